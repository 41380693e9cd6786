import { Effect, Scope } from "effect"
import * as WorkerClient from "../../src/internal/WorkerClient.ts"

// A scope that is never closed: only the worker could keep this process alive.
const client = Effect.runSync(
  Scope.provide(
    WorkerClient.make<string, string>({ name: "echo", url: new URL("./echo.worker.ts", import.meta.url) }),
    Effect.runSync(Scope.make())
  )
)
await Effect.runPromise(client.call("x"))
console.log("answered")
