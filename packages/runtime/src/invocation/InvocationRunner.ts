import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
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

/** What the runner needs of its session. */
export interface RunnerOptions {
  readonly payloads: PayloadStore
  readonly history: AudioHistory
  readonly feedBounds: FeedBounds
  readonly partialIntervalMs: number
  /** How long a call that was cancelled may take to end; then it is cut off (CONTRACT section 5, cancellation grace). */
  readonly graceMs: number
  /** The data lane: waits while it is full. */
  readonly offer: (input: SessionInput) => Effect.Effect<unknown>
  /** Keeps the content behind a handle for the recorder. */
  readonly onPayload: (handle: PayloadHandle, content: string | Int16Array) => void
}

/** One provider call that has not been reported as ended. */
interface Call {
  readonly command: Start
  /** Closed by back-pressure. */
  readonly gate: Latch.Latch
  fiber: Fiber.Fiber<void> | undefined
  cancelled: boolean
  /** Its end is reported: whatever it still yields is nobody's. */
  over: boolean
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
 * yielded; I-INV-BOUND a call that does not end within the grace of its cancel, or within its cap after the end of its
 * utterance, is cut off: it is reported as ended and nothing of it is taken any more, and no scope waits for it longer;
 * I-INV-EPOCH whatever it yields carries the epoch under which it was started.
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
  const { graceMs, payloads } = options
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const calls = new Map<string, Call>()
  const feeds = new Map<string, UtteranceFeed>()
  /** Fibers that are still there, those that were cut off included. */
  const running = new Set<Fiber.Fiber<void>>()
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      for (const fiber of running) fiber.interruptUnsafe()
      if (running.size === 0) return Effect.void
      return Effect.flatMap(Effect.timeoutOption(Fiber.awaitAll([...running]), graceMs), (ended) =>
        ended._tag === "Some"
          ? Effect.void
          : Effect.logWarning(`${running.size} provider calls do not end; the session does not wait for them`))
    })
  )
  const bounds = yield* FiberMap.make<string>()
  const forkBound = yield* FiberMap.runtime(bounds)<never>()

  const offer = (call: Call, input: SessionInput): Effect.Effect<unknown> =>
    call.over ? Effect.void : options.offer(input)

  /** Reports the end of a call, the first time that it is asked. */
  const end = (call: Call, exit: Exit.Exit<void, ProviderFailure>): Effect.Effect<unknown> => {
    if (call.over) return Effect.void
    const id = call.command.provider_invocation_id
    call.over = true
    calls.delete(id)
    feeds.delete(id)
    return options.offer(ended(call.command, exit))
  }

  const unbound = (id: string) => {
    const fiber = FiberMap.getUnsafe(bounds, id)
    if (fiber._tag === "Some") fiber.value.interruptUnsafe()
  }

  /** In so many milliseconds the call is over, whether it ends or not. */
  const bind = (call: Call, ms: number, exit: () => Exit.Exit<never, ProviderFailure>) => {
    forkBound(
      call.command.provider_invocation_id,
      Effect.andThen(
        Effect.sleep(ms),
        Effect.suspend(() => {
          const report = end(call, exit())
          call.fiber?.interruptUnsafe()
          return report
        })
      )
    )
  }

  const missing = (command: Start) =>
    Effect.fail(
      new ProviderFailure({
        provider_id: command.provider_id,
        outcome_class: "infrastructure_failure",
        retryable: false,
        message: `no ${command.modality} provider ${command.provider_id} in this runtime`
      })
    )

  /** Takes each result in turn. Held by back-pressure: the result in hand was taken, the next one waits here. */
  const each = <A>(
    call: Call,
    results: Stream.Stream<A, ProviderFailure>,
    take: (result: A) => Effect.Effect<unknown>
  ): Effect.Effect<void, ProviderFailure> =>
    Stream.runForEach(results, (result) => Effect.andThen(take(result), call.gate.await))

  const transcripts = (call: Call, feed: UtteranceFeed): Effect.Effect<void, ProviderFailure> => {
    const { command } = call
    const provider = providers.stt(command.provider_id)
    if (provider === undefined) return missing(command)
    const results = provider.recognise(feed.stream, { partialIntervalMs: options.partialIntervalMs })
    return each(call, results, (result) => {
      if (call.over) return Effect.void
      const text = result.text.trim()
      const words = text === "" ? 0 : text.split(/\s+/u).length
      const final = result._tag === "Final"
      const handle = final
        ? payloads.text(text, { words, complete: result.complete })
        : payloads.text(text, { words }, "interim")
      options.onPayload(handle, text)
      return offer(call, {
        type: "transcript",
        provider_invocation_id: command.provider_invocation_id,
        finality: final ? "final" : "partial",
        ...(final ? { pause_id: result.pauseId } : {}),
        handle,
        authority_epoch: command.authority_epoch
      })
    })
  }

  const messages = (command: Start): ReadonlyArray<Message> =>
    (command.conversation ?? []).map(({ role, parts }) => ({
      role,
      text: parts.map((part) => (payloads.readText(part.handle_id) ?? "").slice(0, part.chars)).join(" ")
    }))

  const reply = (call: Call): Effect.Effect<void, ProviderFailure> => {
    const { command } = call
    const provider = providers.llm(command.provider_id)
    if (provider === undefined) return missing(command)
    const run = segmenter.start()
    const about = {
      provider_invocation_id: command.provider_invocation_id,
      authority_epoch: command.authority_epoch
    } as const
    const sentence = (text: string) => {
      if (call.over) return Effect.void
      const handle = payloads.text(text)
      options.onPayload(handle, text)
      return offer(call, { type: "segment", ...about, handle })
    }
    return Effect.andThen(
      each(call, provider.reply(messages(command)), (delta) =>
        Effect.andThen(
          offer(call, { type: "text_delta", ...about, handle: payloads.text(delta, undefined, "no") }),
          // Cut only once the words are taken.
          Effect.suspend(() => inTurn(run.push(delta), sentence))
        )),
      Effect.suspend(() => {
        const rest = run.flush()
        return rest === undefined ? Effect.void : Effect.andThen(sentence(rest), call.gate.await)
      })
    )
  }

  const voice = (call: Call): Effect.Effect<void, ProviderFailure> => {
    const { command } = call
    const provider = providers.tts(command.provider_id)
    if (provider === undefined) return missing(command)
    const text = command.text === undefined ? "" : payloads.readText(command.text.id) ?? ""
    return each(call, provider.synthesise(text), (samples) =>
      inTurn(pieces(samples), (piece) => {
        if (call.over) return Effect.void
        // What comes after a cancel is told, and counted as late, but never heard: it is not kept.
        const handle = payloads.audio(piece, call.cancelled ? undefined : command.turn_id)
        options.onPayload(handle, piece)
        const chunk = {
          type: "voice_chunk",
          provider_invocation_id: command.provider_invocation_id,
          handle,
          authority_epoch: command.authority_epoch
        } as const
        return Effect.andThen(offer(call, chunk), call.gate.await)
      }))
  }

  const neverEnded = (command: Start) =>
    new ProviderFailure({
      provider_id: command.provider_id,
      outcome_class: "timeout",
      retryable: false,
      message: `the call did not end within ${command.cap_ms} ms after its utterance`
    })

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

  return {
    start: (command) => {
      const id = command.provider_invocation_id
      const call: Call = { command, gate: Latch.makeUnsafe(true), fiber: undefined, cancelled: false, over: false }
      calls.set(id, call)
      // The feed is open before the next frame is applied, so that no word is lost.
      const feed = command.modality === "stt" ? makeUtteranceFeed(options.feedBounds, context) : undefined
      if (feed !== undefined) {
        feed.audio(options.history.from(command.from_sample ?? 0))
        feeds.set(id, feed)
      }
      // Suspended: an adapter that throws when it is called fails its own call, not the session.
      const results = Effect.suspend(() => {
        if (feed !== undefined) return transcripts(call, feed)
        return command.modality === "llm" ? reply(call) : voice(call)
      })
      // Only what the provider does can be interrupted: a call that is cancelled before its first step reports its end too.
      const fiber = fork(
        Effect.interruptible(results).pipe(
          Effect.onExit((exit) =>
            Effect.suspend(() => {
              // After a cut the bound's own fiber is at work on the report.
              if (!call.over) unbound(id)
              return end(call, exit)
            })
          ),
          Effect.ignoreCause,
          named(`provider ${command.provider_id}, ${id}`)
        ),
        { uninterruptible: true }
      )
      call.fiber = fiber
      running.add(fiber)
      fiber.addObserver(() => running.delete(fiber))
    },
    cancel: (id) => {
      const call = calls.get(id)
      if (call === undefined || call.cancelled) return
      call.cancelled = true
      call.fiber?.interruptUnsafe()
      if (!call.over) bind(call, graceMs, () => Exit.interrupt())
    },
    pause: (id) => {
      calls.get(id)?.gate.closeUnsafe()
    },
    resume: (id) => {
      calls.get(id)?.gate.openUnsafe()
    },
    mark: (command) => {
      const id = command.provider_invocation_id
      const feed = feeds.get(id)
      const call = calls.get(id)
      if (feed === undefined || call === undefined) return
      if (command.mark === "pause") feed.mark({ _tag: "Pause", pauseId: command.pause_id ?? 0 })
      else if (command.mark === "resume") feed.mark({ _tag: "Resume" })
      else {
        feeds.delete(id)
        feed.mark({ _tag: "End" })
        if (!call.cancelled) bind(call, call.command.cap_ms, () => Exit.fail(neverEnded(call.command)))
      }
    },
    audio: (samples) => {
      let dropped = 0
      for (const feed of feeds.values()) dropped += feed.audio(samples)
      return dropped
    }
  } satisfies SessionRunner
})

/** One piece is the rule: it needs no loop. */
const inTurn = <A>(items: ReadonlyArray<A>, take: (item: A) => Effect.Effect<unknown>): Effect.Effect<unknown> => {
  const [only] = items
  if (only === undefined) return Effect.void
  return items.length === 1 ? take(only) : Effect.forEach(items, take, { discard: true })
}

const pieces = (samples: Int16Array): ReadonlyArray<Int16Array> => {
  if (samples.length <= chunkSamples * 2) return [samples]
  const cut: Array<Int16Array> = []
  for (let at = 0; at < samples.length; at += chunkSamples) cut.push(samples.slice(at, at + chunkSamples))
  return cut
}
