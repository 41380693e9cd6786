import { describe, expect, it } from "vitest"
import { JobSlots } from "@rspp/transports/livekit/worker/JobSlots"

describe("the places of a worker", () => {
  it("counts a reserved place as taken before the job begins", () => {
    const slots = new JobSlots(2)
    expect(slots.reserve("a")).toBeUndefined()
    expect([slots.load, slots.isFull, slots.reserved, slots.running.size]).toEqual([0.5, false, 1, 0])
    expect(slots.begin("a")).toBeUndefined()
    expect([slots.load, slots.isFull, slots.reserved, slots.running.size]).toEqual([0.5, false, 0, 1])
    expect(slots.reserve("b")).toBeUndefined()
    expect([slots.load, slots.isFull]).toEqual([1, true])
  })

  it("refuses what has no place, and takes nothing for it", () => {
    const slots = new JobSlots(1)
    slots.reserve("a")
    expect([slots.reserve("b"), slots.begin("b"), slots.taken]).toEqual(["full", "full", 1])
  })

  it("gives one place to a job, however often it is offered or assigned", () => {
    const slots = new JobSlots(3)
    slots.reserve("a")
    expect(slots.reserve("a")).toBe("known")
    slots.begin("a")
    expect([slots.begin("a"), slots.reserve("a"), slots.taken]).toEqual(["known", "known", 1])
  })

  it("lets a job begin that was not reserved when a place is free", () => {
    const slots = new JobSlots(1)
    expect([slots.begin("a"), slots.isFull]).toEqual([undefined, true])
  })

  it("takes places back once", () => {
    const slots = new JobSlots(2)
    slots.reserve("a")
    expect([slots.unreserve("a"), slots.unreserve("a"), slots.taken]).toEqual([true, false, 0])
    slots.begin("b")
    slots.end("b")
    slots.end("b")
    expect(slots.taken).toBe(0)
    slots.reserve("c")
    slots.begin("d")
    slots.unreserveAll()
    expect([slots.hasReserved("c"), [...slots.running]]).toEqual([false, ["d"]])
  })

  it("is never over its bound, and its load is what is taken, whatever happens", () => {
    // every word of four operations over three jobs
    const operations = ["reserve", "begin", "unreserve", "end"] as const
    const steps = operations.flatMap((operation) => ["a", "b", "c"].map((job) => ({ operation, job })))
    const broken: Array<number> = []
    let word = 0
    for (; word < steps.length ** 4; word++) {
      const slots = new JobSlots(2)
      for (let rest = word, at = 0; at < 4; at++, rest = Math.floor(rest / steps.length)) {
        const { job, operation } = steps[rest % steps.length]!
        slots[operation](job)
        const { taken } = slots
        const kept = taken <= 2 && slots.load === taken / 2 && slots.isFull === (taken === 2)
        if (!kept || (slots.running.has(job) && slots.hasReserved(job))) broken.push(word)
      }
    }
    expect([word, broken]).toEqual([20_736, []])
  })

  it.each([0, -1, 1.5, Number.NaN])("has no %s places", (most) => {
    expect(() => new JobSlots(most)).toThrow(RangeError)
  })
})
