// One call of the adapter, in a process that must exit by itself when the caller leaves: node one-call.ts URL TOKEN
import { Transport } from "@rspp/runtime/ports/Transport"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { Effect, Redacted } from "effect"

const [url, token] = process.argv.slice(2)
const call = Effect.gen(function*() {
  const session = yield* (yield* Transport).open({ session_id: "s1" })
  process.stdout.write("joined\n")
  yield* session.run({
    audio: () => true,
    connection: (state) => void process.stdout.write(`${state}\n`),
    text: () => {},
    pushToTalk: () => {},
    audioEnded: () => {}
  })
}).pipe(
  Effect.scoped,
  Effect.provide(RoomTransport.layer({ url: url!, token: Redacted.make(token!), connectTimeoutMs: 1_000 }))
)
await Effect.runPromise(call).catch((error: unknown) => process.stdout.write(`failed: ${String(error)}\n`))
// What is collected now may want nothing of a native client that has been disposed of.
for (let i = 0; i < 3; i++) {
  globalThis.gc?.()
  await new Promise((resolve) => setTimeout(resolve, 20))
}
process.stdout.write("done\n")
