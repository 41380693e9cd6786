// Holds: what was flushed survives kill -9. `make crash` does the same a thousand times.
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { rspp } from "../support/Program.ts"
import { examine, killRecording, latestMs } from "./Crash.ts"
import type { Killed } from "./Crash.ts"

const directory = mkdtempSync(join(tmpdir(), "rspp-crash-test-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Writers that are killed, four at a time. */
const runs = 50
const atOnce = 4

describe("a recording whose process is killed", () => {
  it(`keeps what was flushed, names its tear and replays identical: ${runs} times`, async () => {
    const stream = new RandomStreams(20_261_122).of("crash")
    const times = Array.from({ length: runs }, () => stream.between(0, latestMs))
    let next = 0
    let evidence = 0
    const work = async (): Promise<void> => {
      for (let run = next++; run < runs; run = next++) {
        const killed = await killRecording(join(directory, `${run}.timeline`), times[run] ?? 0)
        const left = await examine(killed)
        assert.deepStrictEqual(left.problems, [], `killed ${killed.afterMs} ms into the call`)
        evidence += killed.safe.evidence
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    assert.isAbove(evidence, 5, "the kills came too early to show anything")
  }, 300_000)
})

describe("the examination of what is left", () => {
  let killed: Killed
  beforeAll(async () => {
    // Late enough for a turn that was closed.
    for (let attempt = 0; attempt < 5; attempt++) {
      killed = await killRecording(join(directory, `planted-${attempt}.timeline`), latestMs + 500 * attempt)
      if (killed.safe.evidence > 0) return
    }
    throw new Error("no turn was closed")
  }, 60_000)

  const harmed = async (harm: (path: string) => void): Promise<ReadonlyArray<string>> => {
    const path = join(directory, "harmed.timeline")
    copyFileSync(killed.path, path)
    harm(path)
    return (await examine({ ...killed, path })).problems
  }

  it("finds nothing wrong with what was not harmed", async () => {
    assert.deepStrictEqual(await harmed(() => {}), [])
  })

  it("finds that what was safe was cut away", async () => {
    const [cut, ...more] = await harmed((path) => truncateSync(path, killed.safe.bytes - 1))
    assert.match(cut ?? "", /^\d+ bytes were safe, and it is read up to byte \d+ \(truncated\)$/u)
    assert.isAtMost(more.length, 1)
  })

  it("finds a byte that was changed", async () => {
    const [changed] = await harmed((path) => {
      const bytes = readFileSync(path)
      const at = Math.floor(killed.safe.bytes / 2)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      writeFileSync(path, bytes)
    })
    assert.match(changed ?? "", /^\d+ bytes were safe, and it is read up to byte \d+ \((?:checksum|garbage)\)$/u)
  })

  it("finds evidence that was taken out, and a record that was", async () => {
    const without = (kind: string) => (path: string) => {
      const decoder = new TimelineDecoder()
      decoder.push(readFileSync(path))
      const result = decoder.finish()
      if (result.is !== "timeline") throw new Error("it cannot be read")
      const { header, records } = result.timeline
      const left = records.filter(({ record }, index) =>
        record !== kind || (kind === "command" && index !== records.findIndex((one) => one.record === "command"))
      )
      const bytes = encodeTimeline(header, left.map((record) => [record]))
      writeFileSync(path, Buffer.concat([bytes, new Uint8Array(killed.safe.bytes)]))
    }
    const lost = await harmed(without("evidence"))
    assert.isTrue(
      lost.some((problem) => /^evidence of \d+ turns was safe, that of 0 is there$/u.test(problem)),
      lost.join()
    )
    const diverged = await harmed(without("command"))
    assert.isTrue(diverged.some((problem) => problem.startsWith("the replay diverges")), diverged.join())
  })

  it("is what the program says: verify names the tear, replay replays what is there", async () => {
    const verified = await rspp(directory, "timeline", "verify", killed.path)
    assert.strictEqual(verified.code, 3)
    assert.match(verified.stdout, /truncated at byte \d+, after \d+ records/u)
    const replayed = await rspp(directory, "replay", killed.path)
    assert.strictEqual(replayed.code, 3)
    assert.match(replayed.stdout, /identical, .*\n {2}it is cut off at byte \d+/u)
  }, 60_000)

  it("can be repaired: a whole file with the same records, which verifies and replays", async () => {
    const repaired = join(directory, "repaired.timeline")
    const told = await rspp(directory, "timeline", "repair", killed.path, "--to", repaired)
    assert.strictEqual(told.code, 0, told.stderr)
    const [verified, replayed, again, whole] = await Promise.all([
      rspp(directory, "timeline", "verify", repaired),
      rspp(directory, "replay", repaired),
      rspp(directory, "timeline", "repair", killed.path, "--to", repaired),
      rspp(directory, "timeline", "repair", repaired)
    ])
    assert.strictEqual(verified.code, 0, verified.stdout)
    assert.strictEqual(replayed.code, 0, replayed.stdout)
    assert.strictEqual(again.code, 2)
    assert.include(again.stderr, "exists already")
    assert.include(whole.stdout, "whole, there is nothing to repair")
    const [torn, made] = [readFileSync(killed.path), readFileSync(repaired)]
    const end = Number(
      /truncated at byte (\d+)/u.exec((await rspp(directory, "timeline", "verify", killed.path)).stdout)?.[1]
    )
    assert.isTrue(made.subarray(0, end).equals(torn.subarray(0, end)), "what could be read is unchanged")
  }, 120_000)
})
