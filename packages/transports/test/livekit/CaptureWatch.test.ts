import { CaptureWatch, stuckCaptureMs } from "@rspp/transports/livekit/CaptureWatch"
import { assert, describe, it } from "@effect/vitest"

const tickMs = 100

/** Looks each 100 ms from `from` on, until it is stuck or `to` has come; when it was stuck. */
const looked = (watch: CaptureWatch, from: number, to: number, since = from): number | undefined => {
  for (let now = from; now <= to; now += tickMs) if (watch.isStuck(now - since, now)) return now
  return undefined
}

describe("CaptureWatch", () => {
  it("tells a capture that is not answered within its bound", () => {
    assert.strictEqual(looked(new CaptureWatch(2 * tickMs), 1_000, 20_000), 1_000 + stuckCaptureMs)
  })

  it("begins anew with each capture, and knows none that has been answered", () => {
    const watch = new CaptureWatch(2 * tickMs)
    for (let i = 0; i < 10; i++) assert.isUndefined(looked(watch, i * 4_000, i * 4_000 + 3_900))
    for (let now = 40_000; now < 60_000; now += tickMs) assert.isFalse(watch.isStuck(0, now))
    assert.isUndefined(looked(watch, 60_000, 64_900))
  })

  it("does not count what a process stood still, and its answer could not be heard", () => {
    const watch = new CaptureWatch(2 * tickMs)
    assert.isUndefined(looked(watch, 0, 1_000))
    assert.isFalse(watch.isStuck(9_000, 9_000))
    for (let now = 12_000; now <= 60_000; now += 3_000) assert.isFalse(watch.isStuck(now, now))
    assert.isNumber(looked(watch, 60_100, 70_000, 0))
  })
})
