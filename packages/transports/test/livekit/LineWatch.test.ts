import { LineStatistics } from "@rspp/transports/livekit/LineStatistics"
import { LineWatch } from "@rspp/transports/livekit/LineWatch"
import { assert, describe, it } from "@effect/vitest"

const watch = () => new LineWatch({ silenceMs: 2_000, stallMs: 8_000 })

describe("LineWatch", () => {
  it("tells silence, then a stall, then that audio is back, each once", () => {
    const line = watch()
    line.expect(true, 0)
    assert.isUndefined(line.tick(1_999))
    assert.strictEqual(line.tick(2_000), "silence")
    assert.isUndefined(line.tick(7_999))
    assert.strictEqual(line.tick(8_000), "stall")
    assert.isUndefined(line.tick(20_000))
    assert.strictEqual(line.alive(20_100), "live")
    assert.isUndefined(line.alive(20_200))
    assert.isUndefined(line.tick(22_199))
    assert.strictEqual(line.tick(22_200), "silence")
  })

  it("knows no silence where nothing is expected: no track, muted, cut off", () => {
    const line = watch()
    assert.isUndefined(line.tick(100_000))
    line.expect(true, 100_000)
    assert.strictEqual(line.tick(102_000), "silence")
    assert.strictEqual(line.expect(false, 102_100), "live")
    assert.isUndefined(line.tick(200_000))
    assert.strictEqual(line.quietMs(200_000), 0)
    // Counted from when audio is expected again.
    assert.isUndefined(line.expect(true, 200_000))
    assert.isUndefined(line.tick(201_999))
  })

  it("has a stall that is never before silence", () => {
    const line = new LineWatch({ silenceMs: 3_000, stallMs: 10 })
    line.expect(true, 0)
    assert.isUndefined(line.tick(2_999))
    assert.strictEqual(line.tick(3_000), "stall")
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
