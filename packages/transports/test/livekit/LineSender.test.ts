import { LineSender } from "@rspp/transports/livekit/frontend/LineSender"
import type { LinePlace, LineStream } from "@rspp/transports/livekit/frontend/LineSender"
import { assert, describe, it } from "@effect/vitest"

interface Sent {
  readonly sender: string
  readonly attributes: Record<string, string>
  text: string
  closed: boolean
}

/** A room that takes streams, and breaks what it is told to: the opening or the writing that has that number. */
const roomThat = (breaks: { readonly opening?: number; readonly writing?: ReadonlyArray<number> } = {}) => {
  const sent: Array<Sent> = []
  let openings = 0
  let writings = 0
  const place: LinePlace = {
    caller: () => ({ identity: "user", trackSid: "TR_user" }),
    agent: () => ({ identity: "agent", trackSid: undefined }),
    open: async ({ attributes, senderIdentity }) => {
      if (++openings === breaks.opening) throw new Error("the room is busy")
      const stream: Sent = { sender: senderIdentity, attributes, text: "", closed: false }
      sent.push(stream)
      const writer: LineStream = {
        write: async (text) => {
          if (breaks.writing?.includes(++writings) === true) throw new Error("the stream broke")
          stream.text += text
        },
        close: async () => {
          stream.closed = true
        }
      }
      return writer
    }
  }
  return { sent, sender: new LineSender(place), place }
}

const reply = (text: string, end = false, replyId = "r1") => ({ who: "agent", replyId, text, end } as const)
const said = (text: string, final: boolean) => ({ who: "caller", said: { utteranceId: "u1", text, final } } as const)
const texts = (sent: ReadonlyArray<Sent>) => sent.map(({ closed, text }) => `${text}${closed ? "|" : ""}`)

describe("LineSender", () => {
  it("sends a reply as one stream, and each update of the caller as one of its own", async () => {
    const { sender, sent } = roomThat()
    for (
      const line of [said("what", false), said("what time", true), reply("It"), reply(" is"), reply(" late.", true)]
    ) {
      await sender.send(line)
    }
    assert.deepStrictEqual(texts(sent), ["what|", "what time|", "It is late.|"])
    assert.deepStrictEqual(sent.map(({ attributes, sender }) => [sender, attributes]), [
      ["user", { "lk.segment_id": "u1", "lk.transcription_final": "false", "lk.transcribed_track_id": "TR_user" }],
      ["user", { "lk.segment_id": "u1", "lk.transcription_final": "true", "lk.transcribed_track_id": "TR_user" }],
      ["agent", { "lk.segment_id": "r1", "lk.transcription_final": "false" }]
    ])
  })

  it("begins a reply whose stream broke again, once, with all that was said of it", async () => {
    const { sender, sent } = roomThat({ writing: [2] })
    for (const line of [reply("It"), reply(" is"), reply(" late.", true)]) await sender.send(line)
    assert.deepStrictEqual(texts(sent), ["It", "It is late.|"])
    assert.strictEqual(sender.failed, 0)
  })

  it("a reply whose second stream breaks too is whole again when the next words come", async () => {
    const { sender, sent } = roomThat({ writing: [2, 3] })
    for (const line of [reply("It"), reply(" is"), reply(" late.", true)]) await sender.send(line)
    assert.strictEqual(texts(sent).at(-1), "It is late.|")
    assert.strictEqual(sender.failed, 1)
    assert.strictEqual(sender.why, "the stream broke")
  })

  it("tries a final text of the caller again, and not an update", async () => {
    const updates = roomThat({ opening: 1 })
    await updates.sender.send(said("what", false))
    assert.deepStrictEqual([updates.sent, updates.sender.failed], [[], 1])
    const finals = roomThat({ opening: 1 })
    await finals.sender.send(said("what time", true))
    assert.deepStrictEqual([texts(finals.sent), finals.sender.failed], [["what time|"], 0])
  })

  it("closes a reply that another one follows, and counts words of nobody", async () => {
    const { place, sender, sent } = roomThat()
    await sender.send(reply("Well"))
    await sender.send(reply("Fine.", true, "r2"))
    assert.deepStrictEqual(texts(sent), ["Well|", "Fine.|"])
    const alone = new LineSender({ ...place, caller: () => undefined })
    await alone.send(said("hello", true))
    assert.strictEqual(alone.failed, 1)
  })
})
