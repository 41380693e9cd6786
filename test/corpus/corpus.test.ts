// The recordings in the tree: every one executes again identically, and a second reader of the format agrees on each.
import { assert, describe, it } from "@effect/vitest"
import { validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { checkReplay } from "@rspp/simulation/Recordings"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { preambleOf, readableVersions } from "@rspp/timeline/format/TimelineFormat"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { catalogue } from "../simulation/Catalogue.ts"
import { corpus, decode } from "./Corpus.ts"
import { readIndependently } from "./independentReader.ts"
import { expectationFiles, namedScenarios, recordCase, smokeIds } from "./Simulated.ts"

const files = corpus()

/** As long in each version. */
const preamble = preambleOf(2)

/** All of the corpus, in ms: what the issue asks for. */
const replayBoundMs = 60_000

/** What is wrong with a file, as `rspp replay` would see it: damage, or the first difference. */
const verdict = (bytes: Uint8Array): string | undefined => {
  const { header, records, tear } = decode(bytes)
  if (tear !== undefined) return `torn at byte ${tear.offset}`
  return checkReplay(header, records)[0]?.message
}

const simulated = (id: string) => files.filter(({ name }) => name.startsWith(`simulated/${id}-`))

describe("the corpus", () => {
  it("has at least 50 recordings, one or more of each scenario, and real calls", () => {
    assert.isAtLeast(files.length, 50)
    const ids = [...catalogue.held, ...catalogue.open].map(({ id }) => id)
    assert.isAtLeast(ids.length, 31)
    assert.deepStrictEqual(ids.filter((id) => simulated(id).length === 0), [], "scenarios without a recording")
    assert.isAtLeast(files.filter(({ name }) => name.startsWith("real/")).length, 5)
  })

  it("says beside recordings what is expected of them; the quick verification has real calls and each failure", () => {
    const names = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    const gates = names.filter((name) => name.endsWith(".expected.json")).map((name) => {
      const verdict = validate("replay_expectation", JSON.parse(readFileSync(join(import.meta.dirname, name), "utf8")))
      assert.isTrue(verdict.ok, name)
      const recording = name.replace(/\.expected\.json$/u, ".timeline")
      assert.include(names, recording)
      return { recording, gate: verdict.ok ? verdict.value.gate : undefined }
    })
    const smoke = gates.filter(({ gate }) => gate === "smoke").map(({ recording }) => recording)
    assert.isAtLeast(smoke.filter((name) => name.startsWith("real/")).length, 5)
    for (const id of smokeIds) assert.lengthOf(smoke.filter((name) => name.startsWith(`simulated/${id}-`)), 1, id)
    assert.deepStrictEqual(
      new Set(gates.map(({ recording }) => recording).filter((name) => name.startsWith("real/"))),
      new Set(names.filter((name) => name.startsWith("real/") && name.endsWith(".timeline")))
    )
    const made = expectationFiles(files.map(({ bytes, name }) => ({ bytes, name: name.replace(/^simulated\//u, "") })))
    for (const { bytes, name } of made) {
      assert.strictEqual(
        readFileSync(join(import.meta.dirname, "simulated", name), "utf8"),
        Buffer.from(bytes).toString("utf8")
      )
    }
  })

  it("is small", () => {
    // What somebody promotes into the tree is their own to weigh.
    const own = files.filter(({ name }) => !name.startsWith("promoted/"))
    assert.isBelow(own.reduce((sum, { bytes }) => sum + bytes.length, 0), 1024 * 1024)
  })

  it("replays identically, all of it in far less than a minute", () => {
    const begun = performance.now()
    const wrong = files.flatMap(({ bytes, name }) => {
      const found = verdict(bytes)
      return found === undefined ? [] : [`${name}: ${found}`]
    })
    assert.deepStrictEqual(wrong, [])
    assert.isBelow(performance.now() - begun, replayBoundMs)
  }, replayBoundMs)

  it("is written again with the same bytes", async () => {
    const [first] = (await namedScenarios()).filter(({ id }) => id === "S11")
    for (const one of first?.cases ?? []) {
      const [once, twice] = [recordCase("S11", one), recordCase("S11", one)]
      assert.isNotEmpty(once)
      assert.deepStrictEqual(once, twice)
    }
  })

  it("has golden recordings of every version of the format that is read, as that version was written", () => {
    for (const version of readableVersions) {
      const golden = files.filter(({ name }) => name.startsWith(`golden/format-${version}/`))
      assert.isAtLeast(golden.length, 3, `node test/corpus/write.ts writes golden/format-${version} once`)
      for (const { bytes, name } of golden) {
        assert.strictEqual(bytes.subarray(0, 16).toString("latin1"), `rspp-timeline ${version}\n`, name)
      }
    }
  })

  it("is what `make replay` executes", () => {
    const makefile = readFileSync(new URL("../../Makefile", import.meta.url), "utf8")
    assert.match(makefile, /^replay: .*\n.*\n.* replay .*test\/corpus/mu)
  })
})

describe("a recording of the corpus that was changed", () => {
  it("by one byte, at any place, is not accepted", () => {
    for (const { bytes, name } of files.filter((_, index) => index % 5 === 0)) {
      const headerEnd = preamble.length + 8 + bytes.readUInt32BE(preamble.length)
      const step = Math.floor((bytes.length - headerEnd) / 4)
      for (let at = headerEnd; at < bytes.length; at += step) {
        const copy = Buffer.from(bytes)
        copy[at] = (copy[at] ?? 0) ^ 1
        assert.match(verdict(copy) ?? "nothing", /^torn at byte [0-9]+$/u, `${name}, byte ${at}`)
      }
    }
  })

  it("by one record, under a right checksum, diverges", () => {
    const changed: Readonly<Record<string, (record: TimelineRecord) => TimelineRecord>> = {
      signal: (record) =>
        record.record === "signal"
          ? { ...record, signal: { ...record.signal, authority_epoch: record.signal.authority_epoch + 1 } }
          : record,
      command: (record) =>
        record.record === "command" && record.command.type === "arm_timer"
          ? { ...record, command: { ...record.command, due_ms: record.command.due_ms + 1 } }
          : record,
      decision: (record) =>
        record.record === "decision"
          ? { ...record, decision: { ...record.decision, reason: "planted" } }
          : record
    }
    let planted = 0
    for (const { bytes, name } of files.filter((_, index) => index % 7 === 0)) {
      const { header, records } = decode(bytes)
      for (const [kind, change] of Object.entries(changed)) {
        const at = records.findLastIndex((record) => change(record) !== record)
        if (at < 0) continue
        planted++
        const others = records.map((record, index) => index === at ? change(record) : record)
        const copy = encodeTimeline(header, others.map((record) => [record]))
        assert.match(verdict(copy) ?? "nothing", /^the replay diverges/u, `${name}: ${kind}`)
      }
    }
    assert.isAbove(planted, 12)
  })
})

describe("the independent reader", () => {
  it("agrees with ours on every record of every file", () => {
    for (const { bytes, name } of files) {
      const { header, records } = decode(bytes)
      const read = readIndependently(bytes)
      assert.strictEqual(read.tornAt, undefined, name)
      assert.strictEqual(JSON.stringify(read.records), JSON.stringify([header, ...records]), name)
    }
  })

  it("agrees with ours on what no recording of the corpus holds", () => {
    const [first] = files
    if (first === undefined) return assert.fail("there is no file")
    const { header } = decode(first.bytes)
    const hash = "0123456789abcdef".repeat(4)
    const values = [
      ...[0, -5, 2 ** 47, 0.25, 1e300, null, true, "", "007", "a1b22", "\u0000 1", "\ud800", hash, "x".repeat(500)],
      ...[[1, -2, 300], [1, 2.5], [{ a: 1 }, { a: 2 }, { a: 3 }], [{ a: 2 }, { a: 3 }, { a: 4 }], {}, { "": 0 }, {
        b: 1
      }],
      ...Array.from({ length: 300 }, (_, i) => i.toString(16).padStart(64, "0")),
      ...Array.from({ length: 100 }, (_, i) => ({ [`k${i % 7}`]: i % 3 === 0 ? i : `turn_${i}`, n: i * i }))
    ]
    const groups = [...values, ...values.toReversed()].map((
      value
    ) => [{ record: "input", input: { value }, lane: "DataLane" } as unknown as TimelineRecord])
    const bytes = encodeTimeline({ ...header, format_version: 2 }, groups)
    const { records } = decode(bytes)
    assert.deepStrictEqual(records.map(canonicalJson), groups.flat().map(canonicalJson))
    assert.strictEqual(JSON.stringify(readIndependently(Buffer.from(bytes)).records.slice(1)), JSON.stringify(records))
  })

  it("finds the same tear in every file that is cut off, and the same records before it", () => {
    for (const { bytes, name } of files) {
      const headerEnd = preamble.length + 8 + bytes.readUInt32BE(preamble.length)
      for (const part of [0, 0.13, 0.5, 0.77, 0.999]) {
        const cut = bytes.subarray(0, Math.floor(headerEnd + (bytes.length - headerEnd) * part))
        const { records, tear } = decode(cut)
        const read = readIndependently(cut)
        assert.deepStrictEqual(
          { offset: read.tornAt, before: read.records.length },
          { offset: tear?.offset, before: records.length + 1 },
          `${name}, ${cut.length} bytes`
        )
      }
    }
  })

  it("and ours both see room that was taken and never written", () => {
    const [first] = files
    if (first === undefined) return assert.fail("there is no file")
    const half = first.bytes.subarray(0, decode(first.bytes.subarray(0, first.bytes.length / 2)).tear?.offset)
    const room = Buffer.concat([half, Buffer.alloc(4096)])
    assert.strictEqual(readIndependently(room).tornAt, half.length)
    assert.strictEqual(decode(room).tear?.offset, half.length)
  })
})
