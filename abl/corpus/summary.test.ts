// `rspp timeline summary`: what it counts is what a second reader of the format counts in the same files.
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { rspp } from "../support/Program.ts"
import { corpus } from "./Corpus.ts"
import { readIndependently } from "./independentReader.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-summary-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const file = (name: string) => join(import.meta.dirname, name)

interface Summary {
  readonly opened: number
  readonly committed: number
  readonly aborted: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly caller_audio_ms: number
  readonly media_lost: Readonly<Record<string, number>>
  readonly drops: Readonly<Record<string, number>>
  readonly latencies: Readonly<Record<string, { readonly count: number; readonly p50: number; readonly max: number }>>
  readonly providers: ReadonlyArray<{
    readonly modality: string
    readonly calls: number
    readonly outcomes: Readonly<Record<string, number>>
    readonly output_chars: number
    readonly output_audio_ms: number
  }>
  readonly cost: unknown
  readonly turns: ReadonlyArray<{ readonly turn_id: string; readonly outcome: string }>
}

const lines = (stdout: string) => stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as Summary)
const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, n) => sum + n, 0)
const field = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>(
    (at, key) => typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined,
    value
  )

describe("rspp timeline summary", () => {
  it("counts turns, calls, audio and losses as a second reader does, in every recording of the corpus", async () => {
    const files = corpus()
    const { code, stdout } = await rspp(cwd, "timeline", "summary", "--json", ...files.map(({ name }) => file(name)))
    assert.strictEqual(code, 0)
    const summaries = lines(stdout)
    assert.lengthOf(summaries, files.length + 1)
    files.forEach(({ bytes, name }, index) => {
      const { records } = readIndependently(bytes)
      const count = (path: string, value: string) => records.filter((record) => field(record, path) === value).length
      const sum = (path: string, value: string, of: string) =>
        records.filter((record) => field(record, path) === value).reduce(
          (all, record) => all + Number(field(record, of)),
          0
        )
      const summary = summaries[index]
      if (summary === undefined) return assert.fail(name)
      assert.deepStrictEqual({
        opened: summary.opened,
        committed: summary.committed,
        aborted: total(summary.aborted),
        caller: summary.caller_audio_ms,
        drops: total(summary.drops),
        lost: total(summary.media_lost),
        calls: summary.providers.reduce((all, { calls }) => all + calls, 0),
        ended: summary.providers.reduce((all, { outcomes }) => all + total(outcomes), 0),
        written: summary.providers.reduce((all, { output_chars }) => all + output_chars, 0)
      }, {
        opened: count("signal.signal", "turn_open"),
        committed: count("signal.signal", "commit"),
        aborted: count("signal.signal", "abort"),
        caller: sum("record", "audio", "count") * 20,
        drops: count("signal.signal", "drop_notice"),
        lost: sum("input.type", "media_loss", "input.count"),
        calls: count("command.type", "start_invocation"),
        ended: count("record", "invocation"),
        written: sum("input.type", "text_delta", "input.handle.length")
      }, name)
    })
    const all = summaries.at(-1)
    assert.strictEqual(all?.opened, summaries.slice(0, -1).reduce((sum, { opened }) => sum + opened, 0))
    assert.isAbove(total(all?.refused ?? {}), 0)
  }, 60_000)

  it("tells the latencies of a real call, and estimates its cost by a file of prices", async () => {
    const call = file("real/barge-in.timeline")
    const [plain] = lines((await rspp(cwd, "timeline", "summary", "--json", call)).stdout)
    if (plain === undefined) return assert.fail("there is no summary")
    assert.strictEqual(plain.cost, "not estimated")
    assert.deepStrictEqual(plain.aborted, { cancelled: 1 })
    assert.strictEqual(plain.latencies["speech_end_to_playback_ms"]?.count, 2)
    assert.strictEqual(plain.latencies["cancel_to_fence_ms"]?.count, 1)
    writeFileSync(
      join(cwd, "prices.json"),
      JSON.stringify({
        currency: "EUR",
        prices: [
          { modality: "llm", provider_id: "embedded/rules", per_million_output_tokens: 8, chars_per_token: 4 },
          { modality: "tts", provider_id: "embedded/flite", per_audio_minute: 0.6, per_call: 0.5 }
        ]
      })
    )
    const [priced] = lines((await rspp(cwd, "timeline", "summary", call, "--json", "--prices", "prices.json")).stdout)
    const llm = plain.providers.find(({ modality }) => modality === "llm")
    const tts = plain.providers.find(({ modality }) => modality === "tts")
    const total = ((llm?.output_chars ?? 0) / 4) * 8e-6 + ((tts?.output_audio_ms ?? 0) / 60_000) * 0.6 +
      (tts?.calls ?? 0) * 0.5
    assert.approximately(Number(field(priced?.cost, "total")), total, 1e-5)
    assert.deepStrictEqual(field(priced?.cost, "unpriced"), ["stt embedded/moonshine"])
    const text = await rspp(cwd, "timeline", "summary", call, "--prices", "prices.json")
    assert.match(text.stdout, /^turns {9}2 opened, 1 committed, 1 aborted \(1 cancelled\)$/mu)
    assert.match(text.stdout, /^ {2}turn_1 .* aborted \(cancelled\), silent 0 ms after the cut$/mu)
    assert.deepStrictEqual(plain.turns.map(({ outcome, turn_id }) => [turn_id, outcome]), [
      ["turn_1", "aborted"],
      ["turn_2", "committed"]
    ])
    assert.match(text.stdout, /no price of stt embedded\/moonshine: not in the total/u)
  }, 60_000)

  it("refuses prices that are none, says what is torn, and goes on with the next file", async () => {
    writeFileSync(
      join(cwd, "wrong.json"),
      `{"currency":"EUR","prices":[{"modality":"llm","provider_id":"a","per_cal":1}]}`
    )
    writeFileSync(
      join(cwd, "tokens.json"),
      `{"currency":"EUR","prices":[{"modality":"llm","provider_id":"a","per_million_input_tokens":1}]}`
    )
    const call = file("real/typed.timeline")
    for (
      const [prices, says] of [["wrong.json", /per_cal/u], ["tokens.json", /chars_per_token/u], [
        "no.json",
        /there is no/u
      ]] as const
    ) {
      const { code, stderr, stdout } = await rspp(cwd, "timeline", "summary", call, "--prices", prices)
      assert.deepStrictEqual([code, stdout], [3, ""])
      assert.match(stderr, says)
    }
    const bytes = corpus().find(({ name }) => name === "real/typed.timeline")?.bytes ?? Buffer.alloc(0)
    writeFileSync(join(cwd, "torn.timeline"), bytes.subarray(0, bytes.length >> 1))
    writeFileSync(join(cwd, "none.timeline"), "nothing")
    const { code, stderr, stdout } = await rspp(cwd, "timeline", "summary", "none.timeline", "torn.timeline", call)
    assert.strictEqual(code, 3)
    assert.match(stderr, /none\.timeline: not a timeline/u)
    assert.match(stderr, /torn\.timeline is cut off at byte [0-9]+/u)
    assert.match(stdout, /torn\.timeline: .*, never closed$/mu)
    assert.match(stdout, /^all 2 recordings$/mu)
  }, 60_000)
})
