import { LineStatistics } from "@rspp/transports/livekit/LineStatistics"
import { LineWatch } from "@rspp/transports/livekit/LineWatch"
import { assert, describe, it } from "@effect/vitest"

/** A line that is looked at each 100 ms up to `toMs`; what it told, and when. */
const looked = (line: LineWatch, fromMs: number, toMs: number) => {
  const told: Array<string> = []
  for (let now = fromMs; now <= toMs; now += 100) {
    const state = line.tick(now)
    if (state !== undefined) told.push(`${now} ${state}`)
  }
  return told
}
const watch = () => new LineWatch({ silenceMs: 2_000, stallMs: 8_000 })

describe("LineWatch", () => {
  it("tells silence, then a stall, then that audio is back, each once", () => {
    const line = watch()
    line.expect(true, 0)
    assert.deepStrictEqual(looked(line, 0, 20_000), ["2000 silence", "8000 stall"])
    assert.strictEqual(line.alive(20_100), "live")
    assert.isUndefined(line.alive(20_200))
    assert.deepStrictEqual(looked(line, 20_200, 25_000), ["22200 silence"])
  })

  it("knows no silence where nothing is expected: no track, muted, cut off", () => {
    const line = watch()
    assert.deepStrictEqual(looked(line, 0, 100_000), [])
    line.expect(true, 100_000)
    assert.deepStrictEqual(looked(line, 100_000, 102_000), ["102000 silence"])
    assert.strictEqual(line.expect(false, 102_000), "live")
    assert.deepStrictEqual(looked(line, 102_000, 200_000), [])
    assert.strictEqual(line.quietMs(200_000), 0)
    // Counted from when audio is expected again.
    assert.isUndefined(line.expect(true, 200_000))
    assert.deepStrictEqual(looked(line, 200_000, 203_000), ["202000 silence"])
  })

  it("does not take it for silence that this process stood still", () => {
    const line = watch()
    line.expect(true, 0)
    looked(line, 0, 1_000)
    line.alive(1_000)
    assert.deepStrictEqual(looked(line, 31_000, 31_900), [])
    // That there was nothing before and after it is one.
    assert.deepStrictEqual(looked(line, 32_000, 33_000), ["32000 silence"])
  })

  it("has a stall that is never before silence", () => {
    const line = new LineWatch({ silenceMs: 3_000, stallMs: 10 })
    line.expect(true, 0)
    assert.deepStrictEqual(looked(line, 0, 5_000), ["3000 stall"])
  })
})

const inbound = (ssrc: number, received: number, lost: number, jitter: number, kind = "audio") => ({
  stats: {
    case: "inboundRtp",
    value: {
      rtc: { id: `IT01A${ssrc}` },
      stream: { kind, ssrc },
      received: { packetsReceived: BigInt(received), packetsLost: BigInt(lost), jitter },
      inbound: { concealedSamples: BigInt(lost * 960) }
    }
  }
})
const reading = (
  ...publisherStats: ReadonlyArray<{ readonly stats: { readonly case: string; readonly value: unknown } }>
) => ({
  publisherStats,
  subscriberStats: []
})

describe("LineStatistics", () => {
  it("counts packets, losses and jitter, and says whether packets came", () => {
    const line = new LineStatistics()
    assert.isTrue(line.take(reading(inbound(1, 50, 0, 0.002))))
    assert.isFalse(line.take(reading(inbound(1, 50, 0, 0.002))))
    assert.isTrue(line.take(reading(inbound(1, 100, 3, 0.03))))
    assert.isTrue(line.take(reading(inbound(1, 150, 3, 0.01))))
    assert.deepStrictEqual(line.counts, {
      packets_received: 150,
      packets_lost: 3,
      concealed_samples: 2_880,
      jitter_ms: 10,
      jitter_max_ms: 30
    })
  })

  it("goes on counting when the stream is another one", () => {
    const line = new LineStatistics()
    line.take(reading(inbound(1, 100, 2, 0)))
    assert.isTrue(line.take(reading(inbound(2, 10, 1, 0))))
    assert.deepInclude(line.counts, { packets_received: 110, packets_lost: 3 })
  })

  it("reads nothing but audio that comes in, on whichever connection it is listed", () => {
    const line = new LineStatistics()
    const outbound = { stats: { case: "outboundRtp", value: { stream: { kind: "audio" } } } }
    assert.isFalse(
      line.take(reading(inbound(1, 100, 2, 0, "video"), outbound, { stats: { case: "codec", value: undefined } }))
    )
    assert.isTrue(line.take({ publisherStats: [], subscriberStats: [inbound(1, 5, 0, 0)] }))
    assert.strictEqual(line.counts.packets_received, 5)
  })
})
