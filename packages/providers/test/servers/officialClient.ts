import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ProtocolServer } from "./ProtocolServer.ts"

/** A vendor's own client, as the suite uses it. */
export interface OfficialClient {
  readonly name: string
  readonly server: Effect.Effect<ProtocolServer, never, Scope.Scope>
  /** The words of a streamed reply to "Grüße, 世界 🎉", after a system prompt "Be brief.". */
  readonly ask: (server: ProtocolServer, key: string, signal: AbortSignal) => AsyncIterable<string>
  /** The input and output tokens of a streamed reply, as the client reports them. */
  readonly usage: (server: ProtocolServer) => Promise<readonly [number | undefined, number | undefined]>
  /** Whether a client's error is the one that it has for a key that is not valid. */
  readonly isUnauthorised: (error: unknown) => boolean
  /** Whether a client's error is the one that it has for too many requests. */
  readonly isRateLimit: (error: unknown) => boolean
}

/** All that a stream gives. */
export const collect = async <A>(stream: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: Array<A> = []
  for await (const each of stream) all.push(each)
  return all
}

/** Waits until a fact holds; the test fails when it does not within five seconds. */
const until = (what: string, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let waitedMs = 0; waitedMs < 5_000 && !holds(); waitedMs += 5) yield* Effect.sleep(5)
    assert.isTrue(holds(), what)
  })

const ended = (server: ProtocolServer, how: ProtocolServer["calls"][number]["ended"]) =>
  until(`the call ends ${how}`, () => server.calls[0]?.ended === how)

/** What shows that a server speaks its vendor's protocol: the vendor's own client is served by it, well and badly. */
export const officialClientSuite = (client: OfficialClient): void => {
  describe(`${client.name}, by the own client of its vendor`, () => {
    const live = <E>(
      title: string,
      test: (server: ProtocolServer, ask: (key?: string) => Promise<ReadonlyArray<string>>) => Effect.Effect<void, E>
    ) =>
      it.live(
        title,
        () =>
          Effect.scoped(Effect.flatMap(client.server, (server) =>
            test(server, (key = server.key) =>
              collect(client.ask(server, key, new AbortController().signal)))))
      )

    /** What a promise is rejected with. */
    const failure = (run: () => Promise<unknown>): Effect.Effect<unknown> =>
      Effect.promise(() => run().then(() => assert.fail("it was served"), (error: unknown) => error))

    live("streams the words of a reply, of any letters", (server, ask) =>
      Effect.gen(function*() {
        const words = yield* Effect.promise(() => ask())
        assert.isAbove(words.filter((word) => word !== "").length, 4)
        assert.strictEqual(words.join(""), "Good day to you. You said: Grüße, 世界 🎉")
        yield* ended(server, "served")
      }))

    live("reports usage", (server) =>
      Effect.gen(function*() {
        const [input, output] = yield* Effect.promise(() => client.usage(server))
        assert.isAbove(input ?? 0, 0)
        assert.isAbove(output ?? 0, 0)
      }))

    live(
      "gives the vendor's errors for a wrong key and for too many requests",
      (server, ask) =>
        Effect.gen(function*() {
          assert.isTrue(client.isUnauthorised(yield* failure(() => ask("wrong"))))
          server.next({ kind: "refuse", status: 429, retryAfterSeconds: 1 })
          assert.isTrue(client.isRateLimit(yield* failure(() => ask())))
          assert.isAbove((yield* Effect.promise(() => ask())).length, 1)
        })
    )

    for (const kind of ["vendor_error", "cut", "malformed"] as const) {
      live(`fails at ${kind}`, (server, ask) =>
        Effect.gen(function*() {
          server.next(kind === "vendor_error" ? { kind } : { kind, after: 2 })
          assert.instanceOf(yield* failure(() => ask()), Error)
          yield* ended(server, "faulted")
        }))
    }

    for (const kind of ["empty", "slow_first", "huge", "duplicate_final"] as const) {
      live(`is served in spite of ${kind}`, (server, ask) =>
        Effect.gen(function*() {
          server.next(
            kind === "slow_first" ? { kind, ms: 50 } : kind === "huge" ? { kind, bytes: 200_000 } : { kind }
          )
          const text = (yield* Effect.promise(() => ask())).join("")
          if (kind === "empty") assert.strictEqual(text, "")
          else if (kind === "huge") assert.lengthOf(text, 200_000)
          else assert.match(text, /^Good day/u)
          yield* ended(server, "served")
        }))
    }

    for (const kind of ["stall", "late_chunk", "unanswered"] as const) {
      live(`is aborted by the client at ${kind}, and its socket is closed`, (server) =>
        Effect.gen(function*() {
          server.next(kind === "stall" ? { kind, after: 1 } : { kind })
          const controller = new AbortController()
          const asked = (async () => {
            for await (const word of client.ask(server, server.key, controller.signal)) {
              if (word !== "") controller.abort()
            }
          })().catch(() => {})
          yield* until("the call comes", () => server.calls.length === 1)
          if (kind === "unanswered") controller.abort()
          yield* Effect.promise(() => asked)
          yield* until("no socket stays open", () => server.openSockets() === 0)
          yield* ended(server, "aborted")
        }))
    }

    it.live("ends with its scope, and each of its connections", () =>
      Effect.gen(function*() {
        const server = yield* Effect.scoped(Effect.tap(client.server, (server) =>
          Effect.promise(() =>
            collect(client.ask(server, server.key, new AbortController().signal))
          )))
        yield* until("no socket stays open", () =>
          server.openSockets() === 0)
        yield* failure(() => collect(client.ask(server, server.key, new AbortController().signal)))
      }))
  })
}
