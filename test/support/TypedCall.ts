import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import type { ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import type { TransportIngress } from "@rspp/runtime/ports/Transport"
import { Transport } from "@rspp/runtime/ports/Transport"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Session } from "@rspp/runtime/session/Session"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import { Deferred, Effect, Layer, Schedule, Stream } from "effect"

/**
 * A call of the real session service whose caller types, one text after the other, when the test says so. The providers
 * that the pipeline binds have their answer at once, or when `answers` is over.
 */
export class TypedCall {
  /** `opened`, `committed`, or the outcome before a turn and its reason, as it happened. */
  readonly heard: Array<string> = []
  /** What went into the session. */
  readonly inputs: Array<SessionInput> = []
  /** What the next replies of the model wait for. */
  answers: Effect.Effect<unknown> = Effect.void
  readonly #hungUp = Deferred.makeUnsafe<void>()
  #ingress: TransportIngress | undefined

  /** The caller types something. The session is there from the moment on that {@link run} was forked and connected. */
  readonly say = Effect.suspend(() => {
    if (this.#ingress === undefined) return Effect.fail("the call is not connected yet")
    this.#ingress.text("what time is it")
    return Effect.void
  }).pipe(Effect.retry({ schedule: Schedule.spaced(20), times: 1000 }))

  readonly hangUp = Effect.suspend(() => Deferred.succeed(this.#hungUp, undefined))

  /** Waits until something was heard after the first `from` things. */
  until(from: number, what: RegExp): Effect.Effect<void, string> {
    return Effect.suspend(() =>
      this.heard.slice(from).some((line) => what.test(line))
        ? Effect.void
        : Effect.fail(`not heard: ${what}; but ${[...new Set(this.heard.slice(from))].join(", ")}`)
    ).pipe(Effect.retry({ schedule: Schedule.spaced(20), times: 1000 }))
  }

  /** Says something, and waits for what it comes to: a turn that has closed, or none. */
  readonly turn = Effect.suspend(() => {
    const from = this.heard.length
    return this.say.pipe(
      Effect.andThen(this.until(from, /^(?:committed|aborted|defer |reject )/u)),
      Effect.map(() => this.heard.slice(from).join(", "))
    )
  })

  /** The whole call, until the caller hangs up. */
  run(
    session_id: string,
    { pipeline }: NormalizedSpec,
    feed: Layer.Layer<ControlPlaneFeed>,
    observers: ReadonlyArray<SessionObserver> = []
  ) {
    return Effect.flatMap(Session, (session) =>
      session.run({
        session_id,
        tenant_id: "tests",
        pipeline,
        seed: 7,
        payloadKey: "a key for tests",
        clock: "realtime"
      })).pipe(
        Effect.provideService(SessionObservers, [this.#observer, ...observers]),
        Effect.provide(
          Session.layer.pipe(Layer.provide(this.#ports(pipeline.provider_bindings)), Layer.provide(feed)),
          {
            local: true
          }
        )
      )
  }

  readonly #observer: SessionObserver = {
    input: ({ input }) => void this.inputs.push(input),
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record === "signal") {
          const { signal } = output.signal
          if (signal === "turn_open") this.heard.push("opened")
          if (signal === "commit") this.heard.push("committed")
          if (signal === "abort") this.heard.push("aborted")
        }
        if (output.record === "decision" && /^(?:defer|reject)$/u.test(output.decision.outcome_kind)) {
          this.heard.push(`${output.decision.outcome_kind} ${output.decision.reason}`)
        }
      }
    }
  }

  #ports({ llm = "", stt = "", tts = "" }: Readonly<Record<string, string>>) {
    return Layer.mergeAll(
      Layer.succeed(Transport, {
        open: () =>
          Effect.succeed({
            transport_id: "test/typed",
            output: { capacityMs: 200, capture: () => Effect.void, queuedSamples: () => 0, clear: () => 0 },
            run: (ingress) =>
              Effect.suspend(() => {
                ingress.connection("connected")
                this.#ingress = ingress
                return Deferred.await(this.#hungUp)
              })
          })
      }),
      ProviderManager.layerOf({
        stt: [{ descriptor: { provider_id: stt, modality: "stt" }, recognise: () => Stream.empty }],
        llm: [{
          descriptor: { provider_id: llm, modality: "llm" },
          reply: () => Stream.fromEffect(Effect.as(Effect.suspend(() => this.answers), "Noon. "))
        }],
        tts: [{
          descriptor: { provider_id: tts, modality: "tts" },
          synthesise: () => Stream.succeed(new Int16Array(320).fill(9))
        }]
      }),
      Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) }),
      Layer.succeed(VoiceActivity, { open: () => Effect.succeed({ push: () => {}, end: () => {} }) }),
      MemoryRecorder.layer()
    )
  }
}
