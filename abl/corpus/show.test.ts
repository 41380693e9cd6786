// `rspp timeline show` and `rspp timeline diff`, on recordings of the corpus.
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { rspp } from "../support/Program.ts"
import { corpus } from "./Corpus.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-show-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const call = join(import.meta.dirname, "real/barge-in.timeline")
const show = (...flags: ReadonlyArray<string>) => rspp(cwd, "timeline", "show", call, ...flags)
const linesOf = (stdout: string) => stdout.trimEnd().split("\n")

describe("rspp timeline show", () => {
  it("selects by turn, signal, lane and session time, all at once", async () => {
    const { stdout } = await show("--signal", "cancel")
    const [cancel = ""] = linesOf(stdout)
    const at = cancel.slice(0, "00:00.000".length)
    const narrow = await show("--turn", "1", "--lane", "control", "--from", at, "--to", at)
    assert.strictEqual(narrow.code, 0)
    const lines = linesOf(narrow.stdout)
    assert.isTrue(lines.every((line) => line.startsWith(at) && line.includes("turn_1")))
    assert.isTrue(lines.some((line) => line.includes("abort cancelled")))
    const json = await show("--turn", "1", "--lane", "control", "--from", at, "--to", at, "--json")
    assert.lengthOf(linesOf(json.stdout), lines.length)
    for (const line of linesOf(json.stdout)) JSON.parse(line)
  }, 60_000)

  it("says which moment is none, and which order is the wrong one", async () => {
    const none = await show("--from", "soon")
    assert.deepStrictEqual([none.code, none.stdout], [2, ""])
    assert.match(none.stderr, /--from soon is no moment of a session/u)
    const backwards = await show("--from", "3", "--to", "2")
    assert.strictEqual(backwards.code, 2)
    assert.match(backwards.stderr, /--from 3 is later than --to 2/u)
  }, 60_000)
})

describe("rspp timeline diff", () => {
  it("ends with 0 for the same recording, and 1 with the first difference, turns and signals for another", async () => {
    const same = await rspp(cwd, "timeline", "diff", call, call)
    assert.deepStrictEqual([same.code, same.stdout], [0, `${call} and ${call}: identical\n`])
    const other = join(import.meta.dirname, "real/two-turns.timeline")
    const { code, stdout } = await rspp(cwd, "timeline", "diff", call, other)
    assert.strictEqual(code, 1)
    assert.match(stdout, /^first difference: record [0-9]+ at /mu)
    assert.match(stdout, /~ turn_1: .*ending: abort \(cancelled\) → commit/u)
    assert.match(stdout, /^ {2}- [0-9:.]+ {2}turn_1 cancel barge_in$/mu)
    const json = await rspp(cwd, "timeline", "diff", call, other, "--json")
    const told = JSON.parse(json.stdout) as { readonly identical: boolean; readonly signals: ReadonlyArray<unknown> }
    assert.isFalse(told.identical)
    assert.isAbove(told.signals.length, 3)
  }, 60_000)

  it("finds a recording that was cut off, and says where", async () => {
    const bytes = corpus().find(({ name }) => name === "real/barge-in.timeline")?.bytes ?? Buffer.alloc(0)
    writeFileSync(join(cwd, "torn.timeline"), bytes.subarray(0, Math.floor(bytes.length / 2)))
    const { code, stderr, stdout } = await rspp(cwd, "timeline", "diff", call, "torn.timeline")
    assert.strictEqual(code, 3)
    assert.match(stdout, /in the first, nothing any more in the second/u)
    assert.match(stderr, /torn\.timeline is cut off at byte [0-9]+/u)
    const both = await rspp(cwd, "timeline", "diff", "torn.timeline", "torn.timeline")
    assert.strictEqual(both.code, 3)
  }, 60_000)
})
