import { assert, describe, it } from "@effect/vitest"
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"
import { Cause, Effect, Exit, Fiber, Scope, Stream } from "effect"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { adapter as elevenLabs } from "@rspp/providers/tts/ElevenLabsWebSocket"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { samplesOf } from "@rspp/runtime/ports/TextToSpeech"
import { cartesiaServer } from "../servers/CartesiaServer.ts"
import { elevenLabsServer, maxContexts } from "../servers/ElevenLabsServer.ts"
import type { ProtocolServer } from "../servers/ProtocolServer.ts"
import { toneMsPerCharacter } from "../servers/SpeechHost.ts"
import { workSpy } from "../support/WorkSpy.ts"

const sentence = "The train to the harbour leaves at ten past four from platform nine."

/** Samples that the server's tone has for a text. */
const toneSamples = (text: string) => text.length * toneMsPerCharacter * 16

const until = (what: string, condition: () => boolean) =>
  Effect.gen(function*() {
    for (let waited = 0; !condition(); waited += 5) {
      if (waited > 20_000) return yield* Effect.die(new Error(`never: ${what}`))
      yield* Effect.sleep(5)
    }
  })

const voices = {
  elevenLabs: (server: ProtocolServer, settings: GivenSettings = {}) =>
    makeInstance(elevenLabs, "test/voice", { base_url: server.baseUrl, api_key: server.key, ...settings }),
  cartesia: (server: ProtocolServer, settings: GivenSettings = {}) =>
    makeInstance(cartesia, "test/voice", { base_url: server.baseUrl, api_key: server.key, ...settings })
}

type Voice = Effect.Success<ReturnType<typeof voices.cartesia>>

/** How many samples a call gives. */
const spoken = ({ synthesise }: Voice, text = sentence) =>
  Stream.runFold(synthesise(text), () => 0, (sum, samples) => sum + samplesOf(samples).length)

const failureOf = <A>(exit: Exit.Exit<A, ProviderFailure>) =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) as ProviderFailure : undefined

describe("calls over shared connections", () => {
  it.live("one connection carries several calls, each with its own sound", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer({ paceMs: 1 })
      const voice = yield* voices.cartesia(server)
      const texts = Array.from({ length: 8 }, (_, index) => "word ".repeat(index + 1).trim())
      const given = yield* Effect.all(texts.map((text) => spoken(voice, text)), { concurrency: "unbounded" })
      assert.deepStrictEqual(given, texts.map((text) => toneSamples(text)))
      assert.strictEqual(server.openSockets(), 1)
    }))

  it.live("never more calls on a connection than the vendor allows: the others wait", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 1 })
      const voice = yield* voices.elevenLabs(server, { connect_ms: 20_000 })
      const given = yield* Effect.all(Array.from({ length: 4 * maxContexts }, () => spoken(voice)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(given), new Set([toneSamples(sentence)]))
      assert.strictEqual(server.openSockets(), 1)
    }))

  it.live("more connections, where they are allowed, and no more than that", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 1 })
      const voice = yield* voices.elevenLabs(server, { connect_ms: 20_000, connections: 3 })
      yield* Effect.all(Array.from({ length: 8 * maxContexts }, () => spoken(voice)), { concurrency: "unbounded" })
      assert.strictEqual(server.openSockets(), 3)
    }))

  it.live("a call that finds everything in use fails as overload, which may be tried again", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const voice = yield* voices.elevenLabs(server, { connect_ms: 300 })
      server.next(...Array.from({ length: maxContexts }, () => ({ kind: "stall", after: 1 }) as const))
      const stuck = yield* Effect.forEach(Array.from({ length: maxContexts }), () => Effect.forkChild(spoken(voice)))
      yield* until("all are with the vendor", () => server.calls.length === maxContexts)
      const failure = failureOf(yield* Effect.exit(spoken(voice)))
      assert.deepInclude({ ...failure }, { outcome_class: "overload", retryable: true })
      yield* Effect.forEach(stuck, Fiber.interrupt)
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
    }))

  it.live("calls that wait for room have it in the order in which they came, and only the first of them is woken", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 1 })
      const voice = yield* voices.elevenLabs(server, { connect_ms: 20_000 })
      const [stall, served] = [{ kind: "stall", after: 1 } as const, { kind: "slow_first", ms: 0 } as const]
      const waitFor = ["One.", "Two.", "Three.", "Four."]
      server.next(...Array.from({ length: maxContexts - 1 }, () => stall), served, ...waitFor.map(() => served), stall)
      const scope = yield* Effect.scope
      const start = (text: string) => Effect.forkIn(spoken(voice, text), scope, { startImmediately: true })
      for (let call = 1; call <= maxContexts; call++) {
        yield* start("In use.")
        yield* until("the vendor has it", () => server.calls.length === call)
      }
      const waiters = yield* Effect.forEach(waitFor, start)
      const givenUp = yield* start("Given up.")
      const stuck = yield* start("Stuck.")
      const { layer, spy } = workSpy()
      const last = yield* Effect.provide(start("Last."), layer)
      yield* Fiber.interrupt(givenUp)
      yield* Effect.forEach(waiters, Fiber.join)
      const asked = maxContexts + waitFor.length + 1
      yield* until("the one that stalls is with the vendor", () => server.calls.length === asked)
      // It has waited for its turn, and waits for room since it is the first.
      assert.isAtMost(spy.total, 2)
      yield* Fiber.interrupt(stuck)
      yield* Fiber.join(last)
      const texts = server.calls.slice(maxContexts).map(({ request }) =>
        (request as ReadonlyArray<Record<string, unknown>>).map(({ text }) => text).join("").trim()
      )
      assert.deepStrictEqual(texts, [...waitFor, "Stuck.", "Last."])
    }))

  it.live("an interrupted call is cancelled at the vendor; the others on its connection go on", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer({ paceMs: 5 })
      const voice = yield* voices.cartesia(server)
      const other = yield* Effect.forkChild(spoken(voice, "word ".repeat(20).trim()))
      yield* until("the first call", () => server.calls.length === 1)
      const first = yield* Stream.runHead(voice.synthesise(sentence))
      assert.strictEqual(first._tag, "Some")
      yield* until("the cancel", () => server.calls[1]?.ended === "aborted")
      const messages = server.calls[1]?.request as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(messages[1], { context_id: messages[0]?.["context_id"], cancel: true })
      assert.strictEqual(yield* Fiber.join(other), toneSamples("word ".repeat(20).trim()))
      assert.strictEqual(server.openSockets(), 1)
    }))

  it.live("cancels one after the other never exceed what the vendor counts, over one connection at a time", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 1 })
      const voice = yield* voices.elevenLabs(server, { connect_ms: 20_000 })
      for (let round = 0; round < 40; round++) {
        assert.strictEqual((yield* Stream.runHead(voice.synthesise(sentence)))._tag, "Some")
        assert.isAtMost(server.openSockets(), 2)
      }
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
      const messages = server.calls[0]?.request as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(messages.map((message) => Object.keys(message)), [
        ["text", "context_id"],
        ["text", "context_id", "flush"],
        ["context_id", "close_context"],
        ["context_id", "close_context"]
      ])
    }))

  it.live("a vendor that does not end what was cancelled keeps no call waiting: its connection is left", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 5 })
      const voice = yield* voices.elevenLabs(server)
      const long = "word ".repeat(700)
      for (let call = 0; call < maxContexts; call++) {
        server.next({ kind: "late_chunk" })
        assert.strictEqual((yield* Stream.runHead(voice.synthesise(long)))._tag, "Some")
      }
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
      yield* until("one connection is left", () => server.openSockets() === 1)
      assert.deepStrictEqual(server.calls.map(({ ended }) => ended), [
        ...Array.from({ length: maxContexts }, () => "aborted" as const),
        "served"
      ])
    }))

  it.live("a connection that is cut fails all calls on it; the next call has a new one", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer({ paceMs: 5 })
      const voice = yield* voices.cartesia(server)
      server.next({ kind: "stall", after: 1 }, { kind: "cut", after: 3 })
      const exits = yield* Effect.all([Effect.exit(spoken(voice)), Effect.exit(spoken(voice))], {
        concurrency: "unbounded"
      })
      for (const exit of exits) {
        assert.deepInclude({ ...failureOf(exit) }, { outcome_class: "infrastructure_failure", retryable: true })
      }
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
      yield* until("one connection", () => server.openSockets() === 1)
    }))

  for (
    const [name, serverOf, voiceAt] of [
      ["Cartesia", cartesiaServer, voices.cartesia],
      ["ElevenLabs", elevenLabsServer, voices.elevenLabs]
    ] as const
  ) {
    it.live(`a connection that has fallen silent is left with the call that was given up on it (${name})`, () =>
      Effect.gen(function*() {
        const server = yield* serverOf()
        const voice = yield* voiceAt(server, { connect_ms: 300 })
        server.next({ kind: "stall", after: 1 })
        const call = yield* Effect.forkChild(spoken(voice))
        yield* until("it is with the vendor", () => server.calls.length === 1)
        yield* Effect.sleep(500)
        yield* Fiber.interrupt(call)
        yield* until("it is closed", () => server.openSockets() === 0)
        assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
      }))
  }

  it.live("a call that is interrupted while it connects leaves the connection to the call that waits for it, too", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const voice = yield* voices.cartesia(server, { connect_ms: 400 })
      server.next({ kind: "unanswered" })
      const first = yield* Effect.forkChild(spoken(voice), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.exit(spoken(voice)), { startImmediately: true })
      yield* until("the connection", () => server.calls.length === 1)
      yield* Fiber.interrupt(first)
      assert.strictEqual(server.openSockets(), 1)
      assert.deepInclude({ ...failureOf(yield* Fiber.join(second)) }, { outcome_class: "timeout", retryable: true })
      yield* until("no connection", () => server.openSockets() === 0)
    }))

  it.live("the last call that is interrupted while it connects takes the connection with it", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const voice = yield* voices.elevenLabs(server, { connect_ms: 60_000 })
      server.next({ kind: "unanswered" })
      const call = yield* Effect.forkChild(spoken(voice), { startImmediately: true })
      yield* until("the connection", () => server.calls.length === 1)
      yield* Fiber.interrupt(call)
      yield* until("no connection", () => server.openSockets() === 0)
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
    }))

  it.live("a connection that nobody uses is closed after its time, and opened again when it is needed", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const voice = yield* voices.cartesia(server, { idle_ms: 100 })
      yield* spoken(voice)
      yield* until("it is closed", () => server.openSockets() === 0)
      assert.strictEqual(yield* spoken(voice), toneSamples(sentence))
    }))

  it.live("nothing is left when the scope closes, whatever is under way", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const scope = yield* Scope.make()
      const voice = yield* voices.elevenLabs(server, { connections: 2 }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      server.next(...Array.from({ length: 6 }, () => ({ kind: "stall", after: 1 }) as const))
      const calls = yield* Effect.forEach(Array.from({ length: 6 }), () => Effect.forkChild(Effect.exit(spoken(voice))))
      yield* until("all are with the vendor", () => server.calls.length === 6)
      assert.strictEqual(server.openSockets(), 2)
      yield* Scope.close(scope, Exit.void)
      yield* until("no connection", () => server.openSockets() === 0)
      for (const exit of yield* Effect.forEach(calls, Fiber.join)) {
        assert.deepInclude({ ...failureOf(exit) }, { outcome_class: "infrastructure_failure" })
      }
    }))

  it.live("an address that no connection can be made to fails the call, and does not keep it waiting", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const voice = yield* voices.cartesia(server, { base_url: `${server.baseUrl}/#fragment` })
      for (let call = 0; call < 2; call++) {
        const failure = failureOf(yield* Effect.exit(spoken(voice)))
        assert.deepInclude({ ...failure }, { outcome_class: "infrastructure_failure", retryable: false })
      }
      assert.strictEqual(server.openSockets(), 0)
    }))

  it.live("a kind of message that is not known yet breaks nothing", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.callback<WebSocketServer>((resume) => {
          const made: WebSocketServer = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () =>
            resume(Effect.succeed(made)))
          made.on("connection", (socket) =>
            socket.on("message", (data: Buffer) => {
              const { context_id } = JSON.parse(data.toString()) as { readonly context_id: string }
              const say = (message: object) =>
                socket.send(JSON.stringify({ ...message, context_id }))
              say({ type: "news_of_tomorrow" })
              say({ type: "chunk", data: "AAAA" })
              say({ type: "chunk", data: "AAAA" })
              say({ type: "done" })
            }))
        }),
        (made) =>
          Effect.sync(() => {
            for (const socket of made.clients) socket.terminate()
            made.close()
          })
      )
      const { port } = server.address() as AddressInfo
      const base_url = `http://127.0.0.1:${port}`
      const voice = yield* makeInstance(cartesia, "test/voice", { base_url, api_key: "a-key-of-cartesia" })
      assert.strictEqual(yield* spoken(voice), 3)
    }))

  it.live("an error that the vendor tells means what it says", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const voice = yield* voices.elevenLabs(server)
      server.next({ kind: "vendor_error" })
      const failure = failureOf(yield* Effect.exit(spoken(voice)))
      assert.deepInclude({ ...failure }, { outcome_class: "blocked", retryable: false })
      assert.include(failure?.message, "quota_exceeded")
    }))
})
