import { assert, describe, it } from "@effect/vitest"
import type { TranscriptLine } from "@rspp/runtime/ports/TranscriptSink"
import { TranscriptFailure, TranscriptSink } from "@rspp/runtime/ports/TranscriptSink"
import { lineMs, openTranscripts, waitingLines } from "@rspp/runtime/session/TranscriptWriter"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"

const line = (text: string): TranscriptLine => ({ session_id: "s", turn_id: "t", node_id: "n", role: "user", text })

const open = Effect.fnUntraced(function*(write: (line: TranscriptLine) => Effect.Effect<void, TranscriptFailure>) {
  const scope = yield* Scope.make()
  const writer = yield* openTranscripts({ closingMs: 500 }).pipe(
    Scope.provide(scope),
    Effect.provideService(TranscriptSink, { write })
  )
  return { writer, close: Scope.close(scope, Exit.void) }
})

describe("a transcript", () => {
  it.effect("is written in order, one line at a time, and to its end when the session is over", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const { close, writer } = yield* open(({ text }) =>
        Effect.andThen(Effect.sleep(100), Effect.sync(() => void written.push(text)))
      )
      for (const text of ["a", "b", "c"]) writer.write(line(text))
      yield* TestClock.adjust(150)
      assert.deepStrictEqual(written, ["a"])
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust(200)
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(written, ["a", "b", "c"])
      assert.strictEqual(writer.lost(), 0)
    }))

  it.effect("whose sink fails, dies or throws goes on, and what was lost is counted", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const { writer } = yield* open(({ text }) => {
        if (text === "throws") throw new Error("no")
        if (text === "dies") return Effect.die("no")
        if (text === "fails") return Effect.fail(new TranscriptFailure({ message: "full" }))
        return Effect.sync(() => void written.push(text))
      })
      for (const text of ["fails", "dies", "throws", "fine"]) writer.write(line(text))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(written, ["fine"])
      assert.strictEqual(writer.lost(), 3)
    }))

  it.effect("whose sink hangs holds no session up, and no more than its bound", () =>
    Effect.gen(function*() {
      const { close, writer } = yield* open(() => Effect.never)
      for (let i = 0; i < waitingLines + 10; i++) writer.write(line(`${i}`))
      assert.isAtLeast(writer.lost(), 9)
      yield* TestClock.adjust(lineMs)
      assert.isAtLeast(writer.lost(), 10)
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust(500)
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual(writer.lost(), waitingLines + 10)
      writer.write(line("late"))
      assert.strictEqual(writer.lost(), waitingLines + 11)
    }))
})
