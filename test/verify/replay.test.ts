// The replay gate, with recordings that were altered, damaged, or are not there.
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { checkReplay, isSmoke, recordingsIn } from "../../scripts/verify/ReplayGate.ts"
import { decode } from "../corpus/Corpus.ts"
import { quiet, temporary } from "./support/Directories.ts"
import { root } from "./support/RepositoryCopy.ts"

const name = "typed.timeline"
const source = join(root, "test/corpus/real", name)

const checked = (files: ReadonlyArray<string>, program = root) =>
  checkReplay({ root: program, directory: temporary(), ...quiet }, files)

describe("the replay gate", () => {
  it("passes a recording as it is", async () => {
    const result = await checked([source])
    expect(result).toMatchObject({ verdict: "pass", findings: [], detail: { recordings: 1, turns: 2 } })
  }, 120_000)

  it(
    "fails when a recorded output is not what the kernel does, and when a file is damaged; the others are told too",
    async () => {
      const directory = temporary()
      const { header, records } = decode(readFileSync(source))
      const without = records.filter((record) => record.record !== "signal" || record.signal.signal !== "close")
      expect(without.length).toBeLessThan(records.length)
      writeFileSync(join(directory, "altered.timeline"), encodeTimeline(header, without.map((record) => [record])))
      const bytes = readFileSync(source)
      bytes[Math.floor(bytes.length / 2)]! ^= 0xff
      writeFileSync(join(directory, "damaged.timeline"), bytes)
      cpSync(source, join(directory, name))
      const result = await checked(recordingsIn(directory))
      expect(result.verdict).toBe("fail")
      expect(result.findings.map((line) => /(\w+)\.timeline: (\w+)/u.exec(line)?.slice(1))).toEqual([
        ["altered", "diverged"],
        ["damaged", expect.stringMatching(/damaged|bad|incomplete/u)]
      ])
    },
    120_000
  )

  it("fails when a difference that is expected does not appear", async () => {
    const directory = temporary()
    cpSync(source, join(directory, name))
    const expectation = {
      schema_version: "v1.0",
      expected_divergences: [{ divergence_class: "OUTCOME_DIVERGENCE", scope: "turn:turn_1" }],
      approved: false
    }
    writeFileSync(join(directory, "typed.expected.json"), JSON.stringify(expectation))
    const result = await checked(recordingsIn(directory))
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/typed\.timeline: .*turn_1/u)
  }, 120_000)

  it("has not run without a recording, or where there is no program", async () => {
    expect((await checked([])).verdict).toBe("not_run")
    expect((await checked([source], temporary())).verdict).toBe("not_run")
  })
})

describe("the quick replay", () => {
  it("replays what is marked smoke, and has something to replay", () => {
    expect(recordingsIn(join(root, "test/corpus")).filter(isSmoke).length).toBeGreaterThan(4)
  })
})
