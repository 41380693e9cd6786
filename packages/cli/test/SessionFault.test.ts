import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { told } from "../src/CliFailure.ts"
import { endsAlone } from "../src/SessionFault.ts"

const ended = (session: Effect.Effect<void, { readonly message: string }>) =>
  Effect.gen(function*() {
    const messages: Array<string> = []
    const exit = yield* Effect.exit(endsAlone((message) => Effect.sync(() => void messages.push(message)))(session))
    return { messages, exit }
  })

it.effect("a session that fails, or in which there is a fault, is told of and ends nothing else", () =>
  Effect.gen(function*() {
    const broken = yield* ended(Effect.die(new Error("no such turn")))
    assert.deepStrictEqual(broken.messages, ["internal fault: no such turn"])
    assert.isTrue(Exit.isSuccess(broken.exit))
    const failed = yield* ended(Effect.fail({ _tag: "TimelineMissing", message: "there is no x.timeline" }))
    assert.deepStrictEqual(failed.messages, ["there is no x.timeline"])
    assert.isTrue(Exit.isSuccess(failed.exit))
    assert.deepStrictEqual((yield* ended(told("violation"))).messages, ["it ended without a word"])
    assert.deepStrictEqual((yield* ended(Effect.void)).messages, [])
  }))

it.effect("a session that is interrupted has not failed", () =>
  Effect.gen(function*() {
    const messages: Array<string> = []
    const session = endsAlone((message) => Effect.sync(() => void messages.push(message)))(Effect.never)
    const fiber = yield* Effect.forkChild(session, { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    assert.deepStrictEqual(messages, [])
  }))
