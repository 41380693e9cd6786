// Holds I-CHAIN, I-HEAD.
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { AuditEntry } from "@rspp/contracts/Privacy"
import { assert, describe, it } from "@effect/vitest"
import { chained, verifyAudit } from "../../src/privacy/AuditChain.ts"
import type { AuditHead } from "../../src/privacy/AuditChain.ts"

const entries = (count: number): ReadonlyArray<AuditEntry> => {
  const made: Array<AuditEntry> = []
  for (let i = 0; i < count; i++) {
    made.push(
      chained({ action: "show", outcome: "granted", subject: { file: `${i}.timeline` } }, 1000 + i, made.at(-1))
    )
  }
  return made
}
const lines = entries(5).map((entry) => canonicalJson(entry))
const end: AuditHead | undefined = entries(5).at(-1)

const found = (changed: ReadonlyArray<string>, head: AuditHead | undefined = end) =>
  verifyAudit(Buffer.from(changed.map((line) => `${line}\n`).join("")), head).problems
    .map(({ line, message }) => `${line}: ${message}`)

describe("an audit log", () => {
  it("that nobody touched is whole", () => assert.deepStrictEqual(found(lines), []))

  it("names the line that was changed, and no other", () => {
    assert.deepStrictEqual(found(lines.with(2, (lines[2] ?? "").replace("granted", "denied"))), [
      "3: was changed: its hash is that of something else"
    ])
    assert.match(found(lines.with(2, "{")).join("; "), /^3: is not JSON$/u)
  })

  it("names where a line was removed", () => {
    assert.deepStrictEqual(found(lines.toSpliced(2, 1)), ["3: an entry is missing before it (number 4, not 3)"])
    assert.deepStrictEqual(found(lines.slice(2)), ["1: 2 entries are missing before it (number 3, not 1)"])
  })

  it("names where a line was put in, made as well as can be without the rest", () => {
    const forged = chained({ action: "show", outcome: "denied", subject: { file: "x" } }, 1, entries(2).at(-1))
    assert.deepStrictEqual(found(lines.toSpliced(2, 0, canonicalJson(forged))), [
      "4: its number 3 was there before: this line or one before was put in"
    ])
    assert.deepStrictEqual(found(lines.with(2, canonicalJson(forged))), [
      "4: does not follow the line before it: one of the two was replaced"
    ])
  })

  it("names what was cut off at its end, whole lines and parts of one", () => {
    assert.deepStrictEqual(found(lines.slice(0, 3)), ["4: 2 entries were cut off at the end (the last was number 5)"])
    assert.deepStrictEqual(found([]), ["1: 5 entries were cut off at the end (the last was number 5)"])
    const { problems } = verifyAudit(Buffer.from(lines.join("\n")), end)
    assert.deepStrictEqual(problems.map(({ line }) => line), [5, 5])
    assert.deepStrictEqual(
      verifyAudit(Buffer.from(`${lines.join("\n")}\n`), undefined).problems.map(({ line }) => line),
      [5]
    )
  })

  it("may be one entry ahead of its head file, whose writer died, and no more", () => {
    assert.deepStrictEqual(found(lines, entries(4).at(-1)), [])
    assert.lengthOf(found(lines, entries(3).at(-1)), 1)
  })

  it("goes on behind a line that its writer did not finish, and notices when that is gone", () => {
    const torn = Buffer.from((lines[4] ?? "").slice(0, 50))
    const next = chained({ action: "show", outcome: "granted", subject: { file: "y" } }, 2, entries(4).at(-1), torn)
    const whole = [...lines.slice(0, 4), torn.toString(), canonicalJson(next)]
    assert.deepStrictEqual(found(whole, next), [])
    assert.deepStrictEqual(found(whole.toSpliced(4, 1), next), [
      "5: a line that was cut off stood before it and is gone"
    ])
    assert.deepStrictEqual(found(whole.with(4, "{"), next), ["5: is not JSON"])
  })
})
