// Holds I-TELEMETRY-SHED: what telemetry costs is not in a session's steps.
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { Effect } from "effect"
import { afterSteps, maxUnlooked } from "../../src/telemetry/AfterSteps.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

/** Remembers what it was shown, as `what sequence`. */
const witness = () => {
  const seen: Array<string> = []
  const observer: SessionObserver = {
    opened: () => void seen.push("opened"),
    input: ({ runtime_sequence }) => void seen.push(`input ${runtime_sequence}`),
    outputs: (outputs) => void seen.push(`outputs ${outputs.length}`),
    closed: () => void seen.push("closed")
  }
  return { observer, seen }
}

describe("an observer after the steps", () => {
  it.effect("sees what an observer within them sees, in the same order", () =>
    Effect.gen(function*() {
      const kernels = yield* SessionKernel
      const [within, after] = [witness(), witness()]
      scriptedSession(kernels, conversation(3), {
        ...within.observer,
        // As a session gives them: none is told of nothing.
        outputs: (outputs) => outputs.length > 0 && within.observer.outputs?.(outputs)
      })
      scriptedSession(kernels, conversation(3), afterSteps([after.observer]))
      assert.deepStrictEqual(after.seen, within.seen)
    }).pipe(Effect.provide(SessionKernel.layer)))

  it("that throws is shown nothing more, and takes no call and no other observer with it", async () => {
    const { observer, seen } = witness()
    const broken = witness()
    const later = afterSteps([{
      ...broken.observer,
      input: (record) => {
        broken.observer.input?.(record)
        throw new Error("a fault of telemetry")
      }
    }, observer])
    for (const n of [1, 2]) {
      later.input?.({
        record: "input",
        runtime_sequence: n,
        runtime_timestamp_ms: n,
        lane: "ControlLane",
        input: { type: "audio_ended" }
      })
    }
    await new Promise<void>((resolve) => {
      const wait = () => seen.length < 2 ? setImmediate(wait) : resolve()
      wait()
    })
    later.closed?.()
    assert.deepStrictEqual(seen, ["input 1", "input 2", "closed"])
    assert.deepStrictEqual(broken.seen, ["input 1"])
  })

  it("is shown nothing in a step, and everything in a task that follows", async () => {
    const { observer, seen } = witness()
    const later = afterSteps([observer])
    const input = (n: number) => ({
      record: "input",
      runtime_sequence: n,
      runtime_timestamp_ms: n,
      lane: "ControlLane",
      input: { type: "audio_ended" }
    } as const)
    for (let n = 1; n < maxUnlooked; n++) later.input?.(input(n))
    assert.deepStrictEqual(seen, [])
    await new Promise<void>((resolve) => {
      const wait = () => seen.length === 0 ? setImmediate(wait) : resolve()
      wait()
    })
    assert.strictEqual(seen.length, maxUnlooked - 1)
    // The bound is kept, whatever the load: then the session looks by itself.
    for (let n = 0; n < maxUnlooked; n++) later.input?.(input(n))
    assert.strictEqual(seen.length, 2 * maxUnlooked - 1)
  })
})
