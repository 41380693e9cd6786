import { assert, describe, it } from "@effect/vitest"
import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { Effect, Stream } from "effect"
import { connect } from "node:net"
import { openAiServer } from "../../servers/OpenAiServer.ts"
import type { Driven } from "./HostedCase.ts"
import { hostedCases } from "./HostedCases.ts"
import { hostedEntry } from "./HostedEntry.ts"

// Each case turns red when what it forbids is done. The bends are put around a sound adapter.

const entry = hostedEntry({
  adapter: openAi,
  server: (answer) =>
    openAiServer({
      engine: async function*() {
        yield* answer().match(/[\s\S]{1,5}/gu) ?? []
      }
    }),
  settings: { model: "test-model" },
  wordsAtServer: (request) => JSON.stringify(request)
})

type Bend = (driven: Driven) => Driven["call"]

const failed = (message: string) =>
  new ProviderFailure({ provider_id: "bent/one", outcome_class: "blocked", retryable: false, message })

const bends: Readonly<Record<string, { readonly bend: Bend; readonly red: ReadonlyArray<string> }>> = {
  "takes every failure for an end": {
    bend: ({ call }) => (words) => call(words).pipe(Stream.catch(() => Stream.empty)),
    red: ["no answer", "stall", "cut", "malformed", "401", "429", "5xx, then well", "vendor's error", "wrong type"]
  },
  "tells the key": {
    bend: ({ call, server }) => (words) => Stream.mapError(call(words), () => failed(`refused: ${server.key}`)),
    red: ["401"]
  },
  "gives everything twice": {
    bend: ({ call }) => (words) => Stream.flatMap(call(words), (output) => Stream.make(output, output)),
    red: ["streams", "slow start", "duplicate final"]
  },
  "gives everything at once, at the end": {
    bend: ({ call }) => (words) =>
      Stream.fromEffect(
        Effect.map(Stream.runCollect(call(words)), (all) => ({ text: all.map(({ text }) => text).join("") }))
      ),
    red: ["streams"]
  },
  "goes on when it is cancelled": {
    bend: ({ call }) => (words) =>
      Stream.fromEffect(Effect.flatMap(Effect.forkDetach(Stream.runDrain(call(words))), () => Effect.never)),
    red: ["cancel: before output"]
  },
  "waits for the vendor when it is cancelled": {
    bend: ({ call }) => (words) => Stream.ensuring(call(words), Effect.sleep(1_500)),
    red: ["cancel: before output", "cancel: mid-stream"]
  },
  "leaves a connection open with each call": {
    bend: ({ call, server }) => (words) =>
      Stream.suspend(() => {
        const { hostname, port } = new URL(server.baseUrl)
        connect(Number(port), hostname).on("error", () => {}).unref()
        return call(words)
      }),
    red: ["long session"]
  },
  "says what is left of the call before": {
    bend: ({ call }) => {
      let left = ""
      return (words) =>
        Stream.suspend(() => {
          const before = left
          left = " …"
          return Stream.concat(before === "" ? Stream.empty : Stream.make({ text: before }), call(words))
        })
    },
    red: ["late chunk", "cut"]
  },
  "takes silence for a failure": {
    bend: ({ call }) => (words) =>
      Stream.suspend(() => {
        let some = false
        return Stream.concat(
          Stream.tap(call(words), () => Effect.sync(() => void (some = true))),
          Stream.suspend(() => some ? Stream.empty : Stream.fail(failed("nothing")))
        )
      }),
    red: ["empty"]
  },
  "spells in ASCII": {
    bend: ({ call }) => (words) =>
      Stream.map(call(words), ({ text = "" }) => ({ text: text.replace(/[^ -~]/gu, "?") })),
    red: ["unicode"]
  }
}

/** A driven adapter that does as the bend wants, with other settings, too. */
const bent = (driven: Driven, bend: Bend): Driven => ({
  ...driven,
  call: bend(driven),
  withSettings: (changed) => Effect.map(driven.withSettings(changed), (other) => bent(other, bend))
})

describe("the conformance table", () => {
  for (const [what, { bend, red }] of Object.entries(bends)) {
    for (const name of red) {
      it.live(`has a ${name} that turns red for an adapter that ${what}`, () =>
        Effect.gen(function*() {
          const one = hostedCases.find((candidate) => candidate.name === name)
          assert.isDefined(one, name)
          const exit = yield* Effect.exit(
            Effect.scoped(Effect.flatMap(entry.drive, (driven) => one.run(bent(driven, bend)))).pipe(
              Effect.timeout(8_000)
            )
          )
          assert.strictEqual(exit._tag, "Failure")
        }), 60_000)
    }
  }
})
