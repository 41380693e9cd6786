import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as WorkerClient from "../src/internal/WorkerClient.ts"

const url = new URL("./support/echo.worker.ts", import.meta.url)
const open = WorkerClient.make<string, string>({ name: "echo", url })

describe("WorkerClient", () => {
  it.live("answers, and reports a request that failed without losing the worker", () =>
    Effect.gen(function*() {
      const client = yield* open
      assert.strictEqual(yield* client.call("a"), "a")
      const error = yield* Effect.flip(client.call("throw"))
      assert.deepInclude(error, { died: false, message: "The echo worker: thrown" })
      assert.strictEqual(yield* client.call("b"), "b")
      assert.strictEqual(client.generation(), 1)
    }))

  it.live("fails everything in flight when the worker dies, and starts another one", () =>
    Effect.gen(function*() {
      const client = yield* open
      const fibers = yield* Effect.all(
        ["die", "never"].map((request) => Effect.forkChild(Effect.flip(client.call(request))))
      )
      const errors = yield* Effect.all(fibers.map(Fiber.join))
      assert.deepStrictEqual(errors.map((error) => error.died), [true, true])
      assert.strictEqual(yield* client.call("again"), "again")
      assert.strictEqual(client.generation(), 2)
    }))

  it.live("ignores the reply of a call that was interrupted", () =>
    Effect.gen(function*() {
      const client = yield* open
      yield* client.call("warm")
      const fiber = yield* Effect.forkChild(client.call("late"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* client.call("next"), "next")
    }))

  it.live("ends its worker with the scope, and fails what is in flight then", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(open, scope)
      const fiber = yield* Effect.forkChild(Effect.flip(client.call("wait")), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* Fiber.join(fiber)).died)
      assert.isTrue((yield* Effect.flip(client.call("after"))).died)
    }))

  it.live("lets the thread finish what it is at before it is stopped, whether or not somebody waits for it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(open, scope)
      yield* client.call("warm")
      const startedMs = performance.now()
      const fiber = yield* Effect.forkChild(client.call("wait"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* Scope.close(scope, Exit.void)
      assert.isAtLeast(performance.now() - startedMs, 95)
    }))

  it("does not keep the process alive when nothing is in flight", () => {
    const program = fileURLToPath(new URL("./support/leavesWorkerOpen.ts", import.meta.url))
    const output = execFileSync(process.execPath, [program], { encoding: "utf8", timeout: 10_000 })
    assert.strictEqual(output, "answered\n")
  })
})
