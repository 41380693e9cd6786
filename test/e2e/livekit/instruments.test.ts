import { copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { describe, expect, it } from "vitest"
import { filesHere } from "./support/Call.ts"
import { Ear } from "./support/Ear.ts"
import type { Heard } from "./support/Ear.ts"
import { Facts } from "./support/Facts.ts"
import { soundRecording } from "./support/Recording.ts"
import { lastHeard, percentile } from "./support/Tail.ts"
import { readWave, writeWave } from "./support/Waves.ts"

const cwd = filesHere()

// What the end-to-end tests measure with must be able to tell a fault.

describe("the ear", () => {
  /** Frames of 10 ms, loud or quiet, each received `lateMs` after it was played; what was told. */
  const hear = (frames: ReadonlyArray<{ readonly loud: boolean; readonly lateMs?: number }>) => {
    const began: Array<Heard> = []
    const ended: Array<Heard> = []
    const ear = new Ear({
      rate: 16_000,
      threshold: 256,
      gapMs: 50,
      onBegan: (heard) => began.push(heard),
      onEnded: (heard) => ended.push(heard)
    })
    frames.forEach(({ lateMs = 5, loud }, i) =>
      ear.push(new Int16Array(160).fill(loud ? 1000 : 3), 1000 + i * 10 + lateMs)
    )
    ear.close()
    return { began, ended }
  }
  const many = (count: number, loud: boolean, lateMs?: number) =>
    Array.from({ length: count }, () => ({ loud, ...(lateMs === undefined ? {} : { lateMs }) }))

  it("tells when sound begins and ends, and how loud it is", () => {
    const { began, ended } = hear([...many(10, false), ...many(20, true), ...many(10, false)])
    expect(began).toMatchObject([{ beganMs: 1105 }])
    expect(ended).toMatchObject([{ beganMs: 1105, endedMs: 1295, peak: 1000 }])
  })

  it("takes a short pause as a part of it, and a longer one as its end", () => {
    expect(hear([...many(5, true), ...many(4, false), ...many(5, true), ...many(9, false)]).ended).toHaveLength(1)
    expect(hear([...many(5, true), ...many(8, false), ...many(5, true), ...many(9, false)]).ended).toHaveLength(2)
  })

  it("is not misled by what holds its process up: the clock of the samples counts", () => {
    const { ended } = hear([...many(30, false), ...many(10, true, 80), ...many(10, false)])
    expect(ended).toMatchObject([{ beganMs: 1305, endedMs: 1395, receivedBeganMs: 1380, receivedEndedMs: 1470 }])
  })

  it("hears a tail that is longer than it may be", () => {
    const { ended } = hear([...many(30, true), ...many(20, true), ...many(10, false)])
    const run = { ...ended[0]!, offsetMs: 0 }
    const fenceMs = 1300
    expect(lastHeard([run], Infinity).endedMs - fenceMs).toBeGreaterThan(150)
  })
})

describe("the tail of a reply that was cut", () => {
  const run = (beganMs: number, endedMs: number, offsetMs = 0) => ({
    beganMs,
    endedMs,
    receivedBeganMs: beganMs,
    receivedEndedMs: endedMs,
    peak: 1000,
    offsetMs
  })

  it("is of the last sound before the next reply", () => {
    expect(lastHeard([run(0, 100), run(150, 300), run(900, 1500)], 800)).toEqual({ endedMs: 300, receivedEndedMs: 300 })
  })

  it("is long when the cut reply is heard once more after a pause, or into the next one", () => {
    expect(lastHeard([run(0, 100), run(500, 700), run(900, 1500)], 800).endedMs).toBe(700)
    expect(lastHeard([run(0, 1500)], 800).endedMs).toBe(1500)
  })

  it("is by the clock of the machine", () => {
    expect(lastHeard([run(0, 100, 5000)], 5800).endedMs).toBe(5100)
  })

  it("is judged by the nearest rank", () => {
    const twenty = Array.from({ length: 20 }, (_, i) => i + 1)
    expect([percentile(twenty, 50), percentile(twenty, 95), percentile([7], 95)]).toEqual([10, 19, 7])
  })
})

describe("facts", () => {
  it("are found among those that were told, and waited for", async () => {
    const facts = new Facts<{ readonly n: number }>("it")
    const from = new PassThrough()
    facts.readLines(from)
    from.write("{\"n\":1}\nnot a fact\n{\"n\"")
    expect(await facts.next("1", ({ n }) => n === 1)).toEqual({ n: 1 })
    const two = facts.next("2", ({ n }) => n === 2)
    from.write(":2}\n")
    expect(await two).toEqual({ n: 2 })
    expect(facts.all).toEqual([{ n: 1 }, { n: 2 }])
  })

  it("that do not come are told of, with those that did, as soon as the process has ended", async () => {
    const facts = new Facts<{ readonly n: number }>("it")
    facts.add({ n: 1 })
    await expect(facts.next("another", ({ n }) => n === 3, { withinMs: 20 })).rejects.toThrow(
      /another.*20 ms[^]*\{"n":1\}/u
    )
    const waiting = facts.next("one after that", () => true, { from: 1 })
    facts.end("it ended with 70")
    await expect(waiting).rejects.toThrow(/it ended with 70/u)
  })
})

describe("waves", () => {
  it("are read as they were written", () => {
    const wave = { rate: 16_000, channels: 2, samples: Int16Array.of(0, 1, -1, 32_767, -32_768, 5) }
    writeWave(join(cwd, "a.wav"), wave)
    expect(readWave(join(cwd, "a.wav"))).toEqual(wave)
  })
})

describe("a recording of a call", () => {
  const golden = join(import.meta.dirname, "../../corpus/real/two-turns.timeline")

  it("is accepted when it is whole and is executed again identically", async () => {
    copyFileSync(golden, join(cwd, "whole.timeline"))
    await soundRecording(cwd, "whole.timeline", 2)
  })

  it("is refused when a byte of it was changed, when it was cut short, and when a turn is missing", async () => {
    const bytes = readFileSync(golden)
    writeFileSync(join(cwd, "short.timeline"), bytes.subarray(0, Math.floor(bytes.length * 0.9)))
    const changed = Buffer.from(bytes)
    changed[bytes.length >> 1] = (changed[bytes.length >> 1] ?? 0) ^ 0x20
    writeFileSync(join(cwd, "changed.timeline"), changed)
    await expect(soundRecording(cwd, "short.timeline")).rejects.toThrow("to match object")
    await expect(soundRecording(cwd, "changed.timeline")).rejects.toThrow("to match object")
    await expect(soundRecording(cwd, "whole.timeline", 3)).rejects.toThrow("to have a length of 3")
  })
})
