import { opusPackets } from "../../src/internal/WebmOpus.ts"
import { assert, describe, it } from "@effect/vitest"

const element = (
  id: ReadonlyArray<number>,
  body: ReadonlyArray<number>,
  size = [0x40 | (body.length >> 8), body.length & 0xff]
) => [
  ...id,
  ...size,
  ...body
]
const unknownSize = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
const text = (value: string) => [...new TextEncoder().encode(value)]

const header = element([0x1a, 0x45, 0xdf, 0xa3], element([0x42, 0x82], text("webm")))
const head = [...text("OpusHead"), 1, 1, 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0]
const tracks = (codec: string, privateData = head) =>
  element(
    [0x16, 0x54, 0xae, 0x6b],
    element([0xae], [...element([0x86], text(codec)), ...element([0x63, 0xa2], privateData)])
  )
const segment = (
  ...body: ReadonlyArray<ReadonlyArray<number>>
) => [0x18, 0x53, 0x80, 0x67, ...unknownSize, ...body.flat()]
const cluster = (...body: ReadonlyArray<ReadonlyArray<number>>) => [
  0x1f,
  0x43,
  0xb6,
  0x75,
  ...unknownSize,
  ...element([0xe7], [0]),
  ...body.flat()
]
const simpleBlock = (packet: ReadonlyArray<number>, flags = 0x80) => element([0xa3], [0x81, 0, 0, flags, ...packet])

const read = (...parts: ReadonlyArray<ReadonlyArray<number>>) => {
  const found = opusPackets(new Uint8Array(parts.flat()))
  return typeof found === "string" ? found : { ...found, packets: found.packets.map((packet) => [...packet]) }
}

describe("Opus in WebM", () => {
  it("gives the packets of blocks and block groups, over several clusters of unknown length", () => {
    const group = element([0xa0], element([0xa1], [0x81, 0, 20, 0, 7, 8]))
    assert.deepStrictEqual(
      read(header, segment(tracks("A_OPUS"), cluster(simpleBlock([1, 2]), simpleBlock([3])), cluster(group))),
      { channels: 1, preSkip: 312, packets: [[1, 2], [3], [7, 8]] }
    )
  })

  it("gives what is there of a file that was cut off", () => {
    const whole = [...header, ...segment(tracks("A_OPUS"), cluster(simpleBlock([1, 2]), simpleBlock([3, 4, 5])))]
    assert.deepStrictEqual(read(whole.slice(0, -2)), { channels: 1, preSkip: 312, packets: [[1, 2]] })
  })

  it("says what is wrong with what it is not", () => {
    assert.strictEqual(read(text("OggS and so on")), "it is not a WebM file")
    assert.strictEqual(read([]), "it has no Opus track")
    assert.strictEqual(read(header, segment(tracks("A_VORBIS"))), "its codec is A_VORBIS, not A_OPUS")
    assert.strictEqual(read(header, segment(tracks("A_OPUS", [1, 2]))), "it has no Opus track")
    assert.strictEqual(
      read(header, segment(tracks("A_OPUS"), cluster(simpleBlock([2, 1, 1], 0x86)))),
      "its blocks hold several packets"
    )
  })

  it("comes to an end with any bytes", () => {
    const whole = [...header, ...segment(tracks("A_OPUS"), cluster(simpleBlock([1, 2]), simpleBlock([3, 4, 5])))]
    let seed = 1
    for (let run = 0; run < 2000; run++) {
      const bytes = [...whole]
      for (let change = 0; change < 3; change++) {
        seed = (seed * 16_807) % 2_147_483_647
        bytes[seed % bytes.length] = (seed >> 8) & 0xff
      }
      opusPackets(new Uint8Array(bytes))
    }
  })
})
