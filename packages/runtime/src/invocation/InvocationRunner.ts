import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { named } from "../determinism/FiberName.ts"
import type { AudioHistory } from "../listening/AudioHistory.ts"
import type { FeedBounds, UtteranceFeed } from "../listening/UtteranceFeed.ts"
import { makeUtteranceFeed } from "../listening/UtteranceFeed.ts"
import type { Message } from "../ports/LanguageModel.ts"
import { ProviderFailure } from "../ports/ProviderFailure.ts"
import { SentenceSegmenter } from "../ports/SentenceSegmenter.ts"
import type { PayloadStore } from "../session/PayloadStore.ts"
import { ProviderManager } from "./ProviderManager.ts"

type Start = CommandOf<"start_invocation">

/** Longest pause-free stretch of speech that is handed on as one chunk: 100 ms. */
const chunkSamples = 1600

/** How long the end of a session waits for provider calls that were told to end, in ms. */
const closeWithinMs = 250

/** What the runner needs of its session. */
export interface RunnerOptions {
  readonly payloads: PayloadStore
  readonly history: AudioHistory
  readonly feedBounds: FeedBounds
  readonly partialIntervalMs: number
  /** The data lane: waits while it is full. */
  readonly offer: (input: SessionInput) => Effect.Effect<unknown>
  /** Keeps the content behind a handle for the recorder. */
  readonly onPayload: (handle: PayloadHandle, content: string | Int16Array) => void
}

/** The provider calls of one session. Every call is synchronous. */
export interface SessionRunner {
  readonly start: (command: Start) => void
  readonly cancel: (id: string) => void
  readonly pause: (id: string) => void
  readonly resume: (id: string) => void
  readonly mark: (command: CommandOf<"mark_utterance">) => void
  /** Feeds the open utterances. Returns the number of samples that were dropped. */
  readonly audio: (samples: Int16Array) => number
}

/**
 * Provider invocation (RK-11), the port's side: runs each provider call as one fiber, and reports what it yields as
 * inputs through the data lane.
 *
 * Guarantees: I-INV-FIBER a cancel interrupts the fiber, and its end is reported exactly once, after everything that it
 * yielded; I-INV-EPOCH whatever it yields carries the epoch under which it was started.
 */
export class InvocationRunner extends Context.Service<InvocationRunner, {
  readonly open: (options: RunnerOptions) => Effect.Effect<SessionRunner, never, Scope.Scope>
}>()("rspp/InvocationRunner") {
  static readonly layerNoDeps = Layer.effect(
    InvocationRunner,
    Effect.gen(function*() {
      const providers = yield* ProviderManager
      const segmenter = yield* SentenceSegmenter
      return InvocationRunner.of({ open: (options) => openRunner(options, providers, segmenter) })
    })
  )
}

const openRunner = Effect.fnUntraced(function*(
  options: RunnerOptions,
  providers: ProviderManager["Service"],
  segmenter: SentenceSegmenter["Service"]
) {
  const { payloads, offer } = options
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const fibers = new Map<string, Fiber.Fiber<unknown>>()
  const feeds = new Map<string, UtteranceFeed>()
  const gates = new Map<string, Latch.Latch>()

  const missing = (command: Start) =>
    Stream.fail(
      new ProviderFailure({
        provider_id: command.provider_id,
        outcome_class: "infrastructure_failure",
        retryable: false,
        message: `no ${command.modality} provider ${command.provider_id} in this runtime`
      })
    )

  const transcripts = (command: Start, feed: UtteranceFeed) => {
    const provider = providers.stt(command.provider_id)
    if (provider === undefined) return missing(command)
    return provider.recognise(feed.stream, { partialIntervalMs: options.partialIntervalMs }).pipe(
      Stream.mapEffect((result) => {
        const text = result.text.trim()
        const words = text === "" ? 0 : text.split(/\s+/u).length
        const final = result._tag === "Final"
        const handle = payloads.text(text, final ? { words, complete: result.complete } : { words })
        options.onPayload(handle, text)
        return offer({
          type: "transcript",
          provider_invocation_id: command.provider_invocation_id,
          finality: final ? "final" : "partial",
          ...(final ? { pause_id: result.pauseId } : {}),
          handle,
          authority_epoch: command.authority_epoch
        })
      })
    )
  }

  const messages = (command: Start): ReadonlyArray<Message> =>
    (command.conversation ?? []).map(({ role, parts }) => ({
      role,
      text: parts.map((part) => (payloads.readText(part.handle_id) ?? "").slice(0, part.chars)).join(" ")
    }))

  const reply = (command: Start) => {
    const provider = providers.llm(command.provider_id)
    if (provider === undefined) return missing(command)
    const run = segmenter.start()
    const about = {
      provider_invocation_id: command.provider_invocation_id,
      authority_epoch: command.authority_epoch
    } as const
    const sentence = (text: string) => {
      const handle = payloads.text(text)
      options.onPayload(handle, text)
      return offer({ type: "segment", ...about, handle })
    }
    return Stream.concat(
      provider.reply(messages(command)).pipe(
        Stream.mapEffect((delta) =>
          Effect.andThen(
            offer({ type: "text_delta", ...about, handle: payloads.text(delta, undefined, false) }),
            Effect.forEach(run.push(delta), sentence, { discard: true })
          )
        )
      ),
      Stream.fromEffect(Effect.suspend(() => {
        const rest = run.flush()
        return rest === undefined ? Effect.void : sentence(rest)
      }))
    )
  }

  const voice = (command: Start) => {
    const provider = providers.tts(command.provider_id)
    if (provider === undefined) return missing(command)
    const text = command.text === undefined ? "" : payloads.readText(command.text.id) ?? ""
    payloads.expect(command.provider_invocation_id)
    return provider.synthesise(text).pipe(
      Stream.mapEffect((samples) =>
        Effect.forEach(pieces(samples), (piece) => {
          const handle = payloads.audio(piece, command.provider_invocation_id)
          options.onPayload(handle, piece)
          return offer({
            type: "voice_chunk",
            provider_invocation_id: command.provider_invocation_id,
            handle,
            authority_epoch: command.authority_epoch
          })
        }, { discard: true })
      )
    )
  }

  const ended = (command: Start, exit: Exit.Exit<void, ProviderFailure>): SessionInput => {
    const about = {
      type: "invocation_ended",
      provider_invocation_id: command.provider_invocation_id,
      attempts: 1,
      late_outputs: 0
    } as const
    if (Exit.isSuccess(exit)) return { ...about, outcome_class: "success", retryable: false }
    const failure = Exit.findErrorOption(exit)
    if (failure._tag === "Some") {
      const { outcome_class, retryable, message } = failure.value
      return { ...about, outcome_class, retryable, reason: message }
    }
    if (Cause.hasInterruptsOnly(exit.cause)) return { ...about, outcome_class: "cancelled", retryable: false }
    // A defect of an adapter is this provider's failure; it must not take the session with it.
    return { ...about, outcome_class: "infrastructure_failure", retryable: false, reason: "provider_defect" }
  }

  // Nobody takes results any more. An adapter that does not end when it is told to is left behind, not waited for: the
  // rest of the session is to be closed whatever it does.
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      const open = [...fibers.values()]
      for (const fiber of open) fiber.interruptUnsafe()
      return open.length === 0
        ? Effect.void
        : Effect.timeoutOption(Effect.interruptible(Fiber.awaitAll(open)), closeWithinMs)
    })
  )

  return {
    start: (command) => {
      const id = command.provider_invocation_id
      const gate = Latch.makeUnsafe(true)
      gates.set(id, gate)
      const results = (): Stream.Stream<unknown, ProviderFailure> => {
        if (command.modality === "llm") return reply(command)
        if (command.modality === "tts") return voice(command)
        // The feed is open before the next frame is applied, so that no word is lost.
        const feed = makeUtteranceFeed(options.feedBounds, context)
        feed.audio(options.history.from(command.from_sample ?? 0))
        feeds.set(id, feed)
        return transcripts(command, feed)
      }
      // Held by back-pressure: the result in hand was taken, the next one waits here.
      const run = Stream.runForEach(results(), () => gate.await)
      const fiber = fork(
        run.pipe(
          Effect.onExit((exit) => {
            feeds.delete(id)
            gates.delete(id)
            return closed ? Effect.void : offer(ended(command, exit))
          }),
          Effect.ignore,
          named(`provider ${command.provider_id}, ${id}`)
        )
      )
      fibers.set(id, fiber)
      fiber.addObserver(() => fibers.delete(id))
    },
    cancel: (id) => {
      fibers.get(id)?.interruptUnsafe()
    },
    pause: (id) => {
      gates.get(id)?.closeUnsafe()
    },
    resume: (id) => {
      gates.get(id)?.openUnsafe()
    },
    mark: (command) => {
      const feed = feeds.get(command.provider_invocation_id)
      if (feed === undefined) return
      if (command.mark === "pause") feed.mark({ _tag: "Pause", pauseId: command.pause_id ?? 0 })
      else feed.mark({ _tag: command.mark === "resume" ? "Resume" : "End" })
    },
    audio: (samples) => {
      let dropped = 0
      for (const feed of feeds.values()) dropped += feed.audio(samples)
      return dropped
    }
  } satisfies SessionRunner
})

const pieces = function*(samples: Int16Array): Generator<Int16Array> {
  if (samples.length <= chunkSamples * 2) yield samples
  else for (let at = 0; at < samples.length; at += chunkSamples) yield samples.slice(at, at + chunkSamples)
}
