import { TranscriptOutbox, waitingLines } from "@rspp/transports/livekit/frontend/TranscriptOutbox"
import type { Line } from "@rspp/transports/livekit/frontend/TranscriptOutbox"
import { wordEnds } from "@rspp/transports/livekit/frontend/SpokenWords"
import { assert, describe, it } from "@effect/vitest"

const drain = (outbox: TranscriptOutbox): ReadonlyArray<Line> => {
  const lines: Array<Line> = []
  for (let line = outbox.take(); line !== undefined; line = outbox.take()) lines.push(line)
  return lines
}

const show = (lines: ReadonlyArray<Line>): ReadonlyArray<string> =>
  lines.map((line) =>
    line.who === "caller"
      ? `${line.said.utteranceId}: ${line.said.text}${line.said.final ? "." : ""}`
      : `${line.replyId}> ${line.text}${line.end ? "|" : ""}`
  )

describe("TranscriptOutbox", () => {
  it("keeps the newest text of an utterance only, and what waits of a reply as one", () => {
    const outbox = new TranscriptOutbox()
    outbox.said({ utteranceId: "u1", text: "what", final: false })
    outbox.said({ utteranceId: "u1", text: "what time", final: false })
    outbox.said({ utteranceId: "u1", text: "what time is it", final: true })
    outbox.spoken({ kind: "text", replyId: "r1", text: "It" })
    outbox.spoken({ kind: "text", replyId: "r1", text: " is late." })
    outbox.spoken({ kind: "end", replyId: "r1" })
    outbox.spoken({ kind: "text", replyId: "r2", text: "Well" })
    assert.deepStrictEqual(show(drain(outbox)), ["u1: what time is it.", "r1> It is late.|", "r2> Well"])
    assert.strictEqual(outbox.shed, 2)
    assert.strictEqual(outbox.lost, 0)
  })

  it("is bounded, and gives up updates before final texts, the oldest first", () => {
    const outbox = new TranscriptOutbox()
    for (let i = 0; i < waitingLines; i++) outbox.said({ utteranceId: `u${i}`, text: "words", final: i % 2 === 0 })
    for (let i = 0; i < waitingLines / 2; i++) outbox.said({ utteranceId: `v${i}`, text: "words", final: true })
    assert.strictEqual(outbox.size, waitingLines)
    assert.strictEqual(outbox.lost, 0)
    assert.strictEqual(outbox.shed, waitingLines / 2)
    outbox.said({ utteranceId: "last", text: "words", final: true })
    assert.strictEqual(outbox.lost, 1)
    assert.strictEqual(show(drain(outbox)).at(-1), "last: words.")
  })

  it("is bounded in characters", () => {
    const outbox = new TranscriptOutbox()
    for (let i = 0; i < 10; i++) outbox.said({ utteranceId: `u${i}`, text: "x".repeat(20_000), final: true })
    assert.strictEqual(outbox.size, 3)
    assert.strictEqual(outbox.lost, 7)
    assert.lengthOf(drain(outbox), 3)
    outbox.said({ utteranceId: "next", text: "x".repeat(60_000), final: true })
    assert.strictEqual(outbox.size, 1)
  })
})

describe("The words of a sentence", () => {
  it("end with what follows them without a space", () => {
    const text = "Well… \"go home\", they said (twice)!"
    const ends = wordEnds(text)
    const words = ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end))
    assert.deepStrictEqual(words, ["Well…", " \"go", " home\",", " they", " said", " (twice)!"])
    assert.isAbove(wordEnds("今日はいい天気ですね。").length, 2)
    assert.deepStrictEqual(wordEnds("…"), [1])
    assert.deepStrictEqual(wordEnds(""), [])
  })

  it("cover every text, in order, and never cut a character", () => {
    const pieces = ["go", " ", "…", "\"", "日本", "👩‍🚀", "é", "\n", "it's", "—", "42", "."]
    for (let seed = 0; seed < 2000; seed++) {
      let rest = seed * 7919
      const text = Array.from({ length: seed % 9 }, () => {
        rest = (rest * 16_807 + 11) % 2_147_483_647
        return pieces[rest % pieces.length] ?? ""
      }).join("")
      const ends = wordEnds(text)
      assert.strictEqual(ends.at(-1) ?? 0, text.length, text)
      for (const [i, end] of ends.entries()) {
        assert.isAbove(end, ends[i - 1] ?? 0, text)
        assert.isTrue(text.slice(0, end).isWellFormed(), text)
      }
    }
  })
})
