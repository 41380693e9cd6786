import { Ajv2020 } from "ajv/dist/2020.js"
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { recordingPath, recordings, rspp } from "../support/Program.ts"
import type { Ended } from "../support/Program.ts"
import { wordErrorRate } from "../support/Words.ts"

const root = dirname(dirname(import.meta.dirname))
const cwd = mkdtempSync(join(tmpdir(), "rspp-demo-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

/** Samples in one millisecond. */
const perMs = 16

const lines = (text: string): ReadonlyArray<string> => text.trim().split("\n")

/** What somebody said for good, in order, from the live view. */
const saidBy = (who: "you" | "agent", { stdout }: Ended): ReadonlyArray<string> =>
  lines(stdout).flatMap((line) => new RegExp(`^ *[\\d.]+ {2}${who} +"(.*)"$`, "u").exec(line)?.[1] ?? [])

interface SignalRecord {
  readonly record: string
  readonly signal: { readonly signal: string; readonly turn_id?: string; readonly runtime_timestamp_ms: number }
}
interface InputRecord {
  readonly record: string
  readonly runtime_timestamp_ms: number
  readonly input: { readonly type: string; readonly turn_id?: string }
}

/** Samples of one channel of a 16-bit WAV. */
const channel = (file: string, index: number, channels: number): Int16Array => {
  const bytes = readFileSync(join(cwd, file))
  expect(bytes.readUInt16LE(22)).toBe(channels)
  const all = new Int16Array(bytes.buffer, bytes.byteOffset + 44, (bytes.length - 44) / 2)
  return Int16Array.from({ length: all.length / channels }, (_, i) => all[i * channels + index] ?? 0)
}

describe("the conversation that make run shows", () => {
  const timeline = join("demo", "call.timeline")
  let demo: Ended
  let inputs: ReadonlyArray<InputRecord>
  let signals: ReadonlyArray<SignalRecord["signal"]>

  beforeAll(async () => {
    demo = await rspp(cwd, "demo", "--speed", "max", "--out", "demo")
    const exported = await rspp(cwd, "timeline", "export", timeline, "--format", "jsonl")
    const records = lines(exported.stdout).map((line) => JSON.parse(line) as InputRecord & SignalRecord)
    inputs = records.filter(({ record }) => record === "input")
    signals = records.filter(({ record }) => record === "signal").map(({ signal }) => signal)
  }, 300_000)

  it("ends well", () => {
    expect(demo.stderr).toBe("")
    expect(demo.code).toBe(0)
  })

  it("is a session of its own, so that two of them can be in one store", async () => {
    const summary = await rspp(cwd, "timeline", "summary", timeline, "--json")
    expect(JSON.parse(summary.stdout)).toMatchObject({
      session_id: expect.stringMatching(/^ses_\d{8}T\d{6}_[0-9a-f]{4}$/u)
    })
  })

  it("hears what is said: five utterances, word error rate at most 20 %", () => {
    const heard = saidBy("you", demo)
    expect(heard).toHaveLength(5)
    const said = [
      recordings.goforward,
      recordings.something,
      recordings["vm-savefolder"],
      recordings["librivox-0880"],
      recordings["conf-getpin"]
    ]
    expect(wordErrorRate(said.join(" "), heard.join(" "))).toBeLessThanOrEqual(0.2)
  })

  it("answers each of four turns, is cut in the third, and refuses the fifth before it opens", () => {
    const lifecycle = signals.filter(({ signal }) =>
      ["turn_open", "commit", "abort", "close", "reject"].includes(signal)
    )
    expect(lifecycle.map(({ signal, turn_id }) => `${turn_id} ${signal}`)).toEqual([
      "turn_1 turn_open",
      "turn_1 commit",
      "turn_1 close",
      "turn_2 turn_open",
      "turn_2 commit",
      "turn_2 close",
      "turn_3 turn_open",
      "turn_3 abort",
      "turn_3 close",
      "turn_4 turn_open",
      "turn_4 commit",
      "turn_4 close",
      "turn_5 reject"
    ])
    expect(demo.stdout).toContain("turn 5 is refused before it opens: turn_quota_exhausted")
  })

  it("shows the latency of each stage of each turn", () => {
    const table = lines(demo.stdout).filter((line) => /^ {2}turn_\d/u.test(line))
    expect(table).toHaveLength(5)
    for (const line of table.slice(0, 4)) expect(line).toMatch(/^ {2}turn_\d(?: +\d+){6} {2}\w+/u)
    expect(table[4]).toMatch(/^ {2}turn_5(?: +\d+){2}(?: +-){4} {2}rejected before it opened/u)
  })

  it("is silent within 40 ms of the fence in the stereo file, by sample position, and the rest never appears", () => {
    const agent = channel(join("demo", "stereo.wav"), 1, 2)
    const timeOf = (type: string, turn: string) =>
      inputs.find(({ input }) => input.type === type && input.turn_id === turn)?.runtime_timestamp_ms ?? NaN
    const started = timeOf("playback_started", "turn_3") * perMs
    const fence = timeOf("egress_fenced", "turn_3") * perMs
    const next = timeOf("playback_started", "turn_4") * perMs
    expect(next).toBeGreaterThan(fence)
    const spoken = agent.subarray(started, fence).some((sample) => sample !== 0)
    expect(spoken).toBe(true)
    const rest = agent.subarray(fence + 40 * perMs, next - 40 * perMs)
    expect(rest.length).toBeGreaterThan(1000 * perMs)
    expect(rest.every((sample) => sample === 0)).toBe(true)
    // Nor later: what is heard from then on is as long as what turn 4 played.
    const played = inputs.filter(({ input }) => input.type === "playback_completed" && input.turn_id === "turn_4")
      .reduce((sum, { input }) => sum + (input as unknown as { readonly samples: number }).samples, 0)
    const last = agent.findLastIndex((sample) => sample !== 0)
    expect(last - next).toBeLessThanOrEqual(played + 40 * perMs)
  })

  it("keeps both sides of the call in the stereo file", () => {
    const caller = channel(join("demo", "stereo.wav"), 0, 2)
    const reply = channel(join("demo", "reply.wav"), 0, 1)
    const agent = channel(join("demo", "stereo.wav"), 1, 2)
    expect(reply).toEqual(agent)
    expect(caller.some((sample) => Math.abs(sample) > 1000)).toBe(true)
  })

  it("has complete evidence, one terminal and a close for every accepted turn, and valid records only", async () => {
    expect(demo.stdout).toContain("4 accepted turns, 4 with complete evidence, exactly one terminal and a close")
    const [verified, validated] = await Promise.all([
      rspp(cwd, "timeline", "verify", timeline),
      rspp(cwd, "contracts", "validate", timeline)
    ])
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining("4 of 4 accepted turns complete") })
    expect(validated).toMatchObject({ code: 0, stdout: expect.stringMatching(/valid timeline, \d{3,} artifacts/u) })
  })

  it("has records that a validator of another make accepts, by the checked-in JSON Schema", async () => {
    const schema = JSON.parse(readFileSync(join(root, "contracts/schema/timeline_record.json"), "utf8")) as object
    const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema)
    const exported = await rspp(cwd, "timeline", "export", timeline, "--format", "jsonl")
    const records = lines(exported.stdout).filter((line) => line !== "").map((line) => JSON.parse(line) as unknown)
    expect(records.length).toBeGreaterThan(500)
    for (const record of records) expect(validate(record) ? [] : validate.errors).toEqual([])
  })

  it("is executed again identically, at 100 times real time and more", async () => {
    const replayed = await rspp(cwd, "replay", timeline, "--json")
    expect(replayed.code).toBe(0)
    const report = JSON.parse(replayed.stdout) as { readonly speed: number }
    expect(report).toMatchObject({ identical: true, complete: true, turns: 4 })
    expect(report.speed).toBeGreaterThanOrEqual(100)
  })

  it("is not identical any more when one byte in the middle of a copy is changed", async () => {
    copyFileSync(join(cwd, timeline), join(cwd, "copy.timeline"))
    const bytes = readFileSync(join(cwd, "copy.timeline"))
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x20
    writeFileSync(join(cwd, "copy.timeline"), bytes)
    const replayed = await rspp(cwd, "replay", "copy.timeline")
    expect(replayed.code).toBe(3)
    expect(replayed.stdout).toMatch(/the file was changed at byte \d+/u)
  })

  it("names the first divergence and its class under another endpointing setting", async () => {
    const replayed = await rspp(cwd, "replay", timeline, "--set", "endpointing.min_ms=200")
    expect(replayed.code).toBe(1)
    expect(replayed.stdout).toMatch(/ {2}[A-Z]+_DIVERGENCE \(.*\) at \d+\.\d+ s, record number \d+\n/u)
    expect(replayed.stdout).toMatch(/\n {2}recorded {2}\{.*\n {2}replayed {2}\{/u)
  })

  it("takes one's own recording instead, and never overwrites an earlier call", async () => {
    const own = recordingPath("something")
    const again = await rspp(cwd, "demo", "--speed", "max", "--out", "demo", "--input", own)
    expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining("a timeline is never overwritten") })
    const first = await rspp(cwd, "demo", "--speed", "max", "--input", own)
    expect(first.code).toBe(0)
    expect(saidBy("you", first)).toHaveLength(1)
    expect(readdirSync(join(cwd, ".rspp", "demo-1")).sort()).toEqual(["call.timeline", "reply.wav", "stereo.wav"])
  })
})

describe("speech in, speech out", () => {
  interface Summary {
    readonly conversation: ReadonlyArray<{ readonly who: "you" | "agent"; readonly text: string }>
  }
  const text = ({ stdout }: Ended, who: "you" | "agent") =>
    (JSON.parse(stdout) as Summary).conversation.filter((line) => line.who === who).map((line) => line.text).join(" ")

  const call = async (name: string, recorded: ReadonlyArray<keyof typeof recordings>) => {
    writeFileSync(
      join(cwd, `${name}.json`),
      JSON.stringify({ steps: recorded.map((one) => ({ say: recordingPath(one) })) })
    )
    return rspp(cwd, "run", "--script", `${name}.json`, "--speed", "max", "--json", "--output", `${name}.wav`)
  }

  it("is heard in all shipped recordings, with a word error rate of at most 20 %", async () => {
    const names = Object.keys(recordings) as Array<keyof typeof recordings>
    const all = await call("all", names)
    expect(all.code).toBe(0)
    const said = names.map((name) => recordings[name]).join(" ")
    expect(wordErrorRate(said, text(all, "you"))).toBeLessThanOrEqual(0.2)
  })

  it("speaks so that the recogniser hears the reply again, with a word error rate of at most 10 %", async () => {
    const spoken = await call("reply", ["goforward", "something", "librivox-0890"])
    expect(spoken.code).toBe(0)
    const again = await rspp(cwd, "run", "--input", "reply.wav", "--speed", "max", "--json")
    expect(again.code).toBe(0)
    expect(wordErrorRate(text(spoken, "agent"), text(again, "you"))).toBeLessThanOrEqual(0.1)
  })
})
