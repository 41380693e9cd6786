// Holds I-LOG-SILENT.
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Layer, Logger, References } from "effect"
import { Correlations } from "../../src/telemetry/Correlation.ts"
import { LogEvents, SessionLog } from "../../src/telemetry/SessionLog.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

const ran = (logger: Logger.Logger<unknown, void>, events: boolean) => {
  const correlations = new Map()
  return Effect.gen(function*() {
    const kernels = yield* SessionKernel
    return { ...scriptedSession(kernels, conversation(2), (yield* SessionLog).observer()), correlations }
  }).pipe(
    Effect.provide(
      Layer.mergeAll(SessionKernel.layer, SessionLog.layer).pipe(Layer.provide([
        Logger.layer([logger]),
        Layer.succeed(LogEvents, events),
        Layer.succeed(Correlations, correlations)
      ])),
      { local: true }
    )
  )
}

describe("the log of a session", () => {
  it.effect("tells what happened, in order, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const events: Array<unknown> = []
      const { correlations } = yield* ran(
        Logger.make(({ fiber }) => void events.push(fiber.getRef(References.CurrentLogAnnotations)["event.name"])),
        true
      )
      assert.deepStrictEqual(events.filter((event) => event !== "rspp.connection.changed"), [
        "rspp.session.started",
        "rspp.turn.opened",
        "rspp.turn.ended",
        "rspp.turn.opened",
        "rspp.turn.ended",
        "rspp.session.ended"
      ])
      assert.strictEqual(correlations.size, 0)
    }))

  it.effect("is not kept where nobody takes it", () =>
    Effect.gen(function*() {
      let logged = 0
      yield* ran(Logger.make(() => void logged++), false)
      assert.strictEqual(logged, 0)
    }))

  it.effect("never hurts the session: a logger that throws is left alone", () =>
    Effect.gen(function*() {
      const broken = Logger.make<unknown, void>(() => {
        throw new Error("broken logger")
      })
      const { records } = yield* ran(broken, true)
      assert.strictEqual(records.at(-1)?.record, "end")
    }))
})
