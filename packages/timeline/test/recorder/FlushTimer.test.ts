import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { flushEveryMs, FlushTimer, togetherMs } from "../../src/recorder/FlushTimer.ts"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
})

afterEach(() => {
  vi.useRealTimers()
})

describe("the timer of the writers", () => {
  it("calls each back once, no later than it may wait", () => {
    const timer = new FlushTimer()
    const called: Array<string> = []
    timer.ask(() => called.push("first"))
    vi.advanceTimersByTime(flushEveryMs - 1)
    assert.deepStrictEqual(called, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(called, ["first"])
    vi.advanceTimersByTime(10 * flushEveryMs)
    assert.deepStrictEqual(called, ["first"])
  })

  it("calls those back together that asked at about the same time, and the others in their time", () => {
    const timer = new FlushTimer()
    const called: Array<string> = []
    timer.ask(() => called.push("first"))
    vi.advanceTimersByTime(togetherMs)
    timer.ask(() => called.push("soon after"))
    vi.advanceTimersByTime(1)
    timer.ask(() => called.push("later"))
    vi.advanceTimersByTime(flushEveryMs - togetherMs - 1)
    assert.deepStrictEqual(called, ["first", "soon after"])
    vi.advanceTimersByTime(togetherMs)
    assert.deepStrictEqual(called, ["first", "soon after"])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(called, ["first", "soon after", "later"])
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("does not call back who has taken it back, and waits for nobody then", () => {
    const timer = new FlushTimer()
    const called: Array<string> = []
    const back = timer.ask(() => called.push("taken back"))
    const other = timer.ask(() => called.push("taken back too"))
    back()
    back()
    assert.strictEqual(vi.getTimerCount(), 1)
    other()
    assert.strictEqual(vi.getTimerCount(), 0)
    vi.advanceTimersByTime(flushEveryMs)
    assert.deepStrictEqual(called, [])
    assert.strictEqual(vi.getTimerCount(), 0)
    timer.ask(() => called.push("next"))
    vi.advanceTimersByTime(flushEveryMs)
    assert.deepStrictEqual(called, ["next"])
  })

  it("may be asked again from the call", () => {
    const timer = new FlushTimer()
    let calls = 0
    const again = () => {
      calls++
      if (calls < 3) timer.ask(again)
    }
    timer.ask(again)
    vi.advanceTimersByTime(3 * flushEveryMs)
    assert.strictEqual(calls, 3)
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
