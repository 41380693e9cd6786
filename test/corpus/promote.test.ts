// `rspp timeline promote`: a recorded call becomes a regression fixture, without what was said.
import { assert, describe, it } from "@effect/vitest"
import { checkReplay } from "@rspp/simulation/Recordings"
import { timelineBytes, withoutContent } from "@rspp/timeline/export/RegressionFixture"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { scenario as withWords } from "../simulation/scenarios/S12-recogniser-connects.ts"
import { rspp } from "../support/Program.ts"
import { corpus, decode } from "./Corpus.ts"
import { recordInFull } from "./Simulated.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-promote-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const [firstCase] = withWords.cases
if (firstCase === undefined) throw new Error("the scenario has no case")
/** A recording at L2, with the words and the sound of both sides. */
const [full] = recordInFull("S12", firstCase)
if (full === undefined) throw new Error("nothing was recorded")

const promote = (file: string, ...more: ReadonlyArray<string>) =>
  rspp(cwd, "timeline", "promote", file, "--as", "call", ...more)

describe("a fixture", () => {
  it("has neither the words nor the sound of the recording, and replays identically", () => {
    const recorded = decode(full.bytes)
    const said = recorded.records.flatMap((record) =>
      record.record === "payload" && record.text !== undefined ? [record.text] : []
    )
    const sounds = recorded.records.flatMap((record) => "pcm_base64" in record ? [record.pcm_base64] : [])
    assert.isAbove(said.length, 3)
    assert.isAbove(sounds.length, 3)
    const { header, records, tear } = decode(timelineBytes(withoutContent(recorded)))
    const left = JSON.stringify([header, ...records])
    assert.deepStrictEqual(said.filter((text) => left.includes(JSON.stringify(text))), [])
    assert.notInclude(left, "pcm_base64")
    assert.isUndefined(tear)
    assert.deepStrictEqual(header.not_captured, ["caller_audio", "payloads"])
    assert.deepStrictEqual(checkReplay(header, records), [])
  })

  it("can be made of every recording of the corpus, and of a fixture again with the same bytes", () => {
    for (const { bytes, name } of corpus()) {
      const once = timelineBytes(withoutContent(decode(bytes)))
      const { header, records, tear } = decode(once)
      assert.isUndefined(tear, name)
      assert.deepStrictEqual(checkReplay(header, records), [], name)
      assert.isTrue(Buffer.from(timelineBytes(withoutContent(decode(once)))).equals(once), name)
    }
  })
})

describe("rspp timeline promote", () => {
  it("writes the fixture and its expectations, once", async () => {
    writeFileSync(join(cwd, "full.timeline"), full.bytes)
    const made = await promote("full.timeline", "--to", "made")
    assert.deepStrictEqual([made.code, made.stderr], [0, ""])
    assert.match(made.stdout, /made\/call\.timeline: written, 2 turns, [0-9]+ bytes, replays identical/u)
    assert.deepStrictEqual(JSON.parse(readFileSync(join(cwd, "made/call.expected.json"), "utf8")), {
      schema_version: "v1.0",
      gate: "full",
      expected_divergences: [],
      approved: false,
      timing_tolerance_ms: 0
    })
    assert.strictEqual((await rspp(cwd, "replay", "made/call.timeline")).code, 0)
    const before = readFileSync(join(cwd, "made/call.timeline"))
    const again = await promote("full.timeline", "--to", "made")
    assert.strictEqual(again.code, 3)
    assert.match(again.stderr, /made\/call\.timeline exists already, and a fixture is never overwritten/u)
    assert.isTrue(readFileSync(join(cwd, "made/call.timeline")).equals(before))
  }, 60_000)

  it(
    "refuses a torn file, one that does not replay identical, and a name that is none; nothing is written",
    async () => {
      const { header, records } = decode(full.bytes)
      writeFileSync(join(cwd, "torn.timeline"), full.bytes.subarray(0, full.bytes.length - 10))
      const changed = records.map((record) =>
        record.record === "signal" && record.signal.signal === "turn_open"
          ? { ...record, signal: { ...record.signal, authority_epoch: record.signal.authority_epoch + 1 } }
          : record
      )
      writeFileSync(join(cwd, "changed.timeline"), timelineBytes({ header, records: changed }))
      const torn = await promote("torn.timeline", "--to", "refused")
      assert.strictEqual(torn.code, 3)
      assert.match(torn.stderr, /torn\.timeline is torn at byte [0-9]+, after [0-9]+ records, and was not promoted/u)
      const diverges = await promote("changed.timeline", "--to", "refused")
      assert.strictEqual(diverges.code, 1)
      assert.match(diverges.stderr, /changed\.timeline does not replay identical .* \(AUTHORITY_DIVERGENCE/u)
      const named = await rspp(cwd, "timeline", "promote", "torn.timeline", "--as", "../out")
      assert.strictEqual(named.code, 2)
      assert.match(named.stderr, /"\.\.\/out" is no name for a fixture/u)
      assert.notInclude(readdirSync(cwd), "refused")
    },
    60_000
  )
})
