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
import { Scheduler } from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { named } from "../determinism/FiberName.ts"
import { dispatcherOf } from "../events/TaskDispatcher.ts"
import type { Place } from "../limits/ExecutionPool.ts"
import { ExecutionPool, shedReasons } from "../limits/ExecutionPool.ts"
import type { AudioHistory } from "../listening/AudioHistory.ts"
import type { Backchannel } from "../listening/Backchannel.ts"
import type { FeedBounds, UtteranceFeed } from "../listening/UtteranceFeed.ts"
import { makeUtteranceFeed } from "../listening/UtteranceFeed.ts"
import type { BoundNodes } from "../nodes/NodeBinding.ts"
import { NodeFailure } from "../nodes/NodeFailure.ts"
import { NodeHost } from "../nodes/NodeHost.ts"
import type { SessionNodes } from "../nodes/NodeHost.ts"
import type { GivenOutput, NodeInvocation } from "../nodes/NodeIo.ts"
import { ProviderFailure } from "../ports/ProviderFailure.ts"
import { ProviderUsage, UsageSum } from "../ports/ProviderUsage.ts"
import { SecretScrubber } from "../ports/SecretScrubber.ts"
import { SentenceSegmenter } from "../ports/SentenceSegmenter.ts"
import { samplesOf } from "../ports/TextToSpeech.ts"
import type { PayloadStore } from "../session/PayloadStore.ts"
import { ProviderManager } from "./ProviderManager.ts"

type Start = CommandOf<"start_invocation">

/** Longest pause-free stretch of speech that is handed on as one chunk: 100 ms. */
const chunkSamples = 1600

/** The longest wait that a vendor asks for is recorded as this one, a day: no call waits for so long. */
const longestRetryAfterMs = 86_400_000

/** What the runner needs of its session. */
export interface RunnerOptions {
  readonly payloads: PayloadStore
  readonly history: AudioHistory
  readonly feedBounds: FeedBounds
  readonly partialIntervalMs: number
  /** Whose calls they are, to the pool, where the plan names no other key. */
  readonly tenantId?: string
  /** How long a call that was cancelled may take to end; then it is cut off (CONTRACT section 5, cancellation grace). */
  readonly graceMs: number
  /** Signs of attention, where the session has any. */
  readonly backchannel?: Backchannel | undefined
  /** The data lane: waits while it is full. */
  readonly offer: (input: SessionInput) => Effect.Effect<unknown>
  /** What the nodes of the pipeline that are not the kernel's own need to know. */
  readonly nodes: {
    readonly session_id: string
    readonly seed: number
    readonly nowMs: () => number
    readonly bound: BoundNodes
  }
  /** Keeps the content behind a handle for the recorder. */
  readonly onPayload: (handle: PayloadHandle, content: string | Int16Array) => void
}

/** One provider call that has not been reported as ended. */
interface Call {
  readonly command: Start
  /** Closed by back-pressure. */
  readonly gate: Latch.Latch
  fiber: Fiber.Fiber<void> | undefined
  /** Its place in the execution pool. */
  place: Place | undefined
  /** There was no place for it. */
  shed: boolean
  cancelled: boolean
  /** Where it is a node's. */
  node: NodeInvocation | undefined
  /** Why it was ended from outside, where it was no cancel. */
  failure: NodeFailure | undefined
  /** What its adapter says that it used. */
  readonly usage: UsageSum
  /** Its end is reported: whatever it still yields is nobody's. */
  over: boolean
}

/** The provider calls and the nodes' work of one session. Every call is synchronous. */
export interface SessionRunner {
  readonly start: (command: Start) => void
  readonly cancel: (id: string, reason: string) => void
  readonly push: (command: CommandOf<"push_item">) => void
  readonly endItems: (id: string) => void
  readonly notify: (command: CommandOf<"notify_node">) => void
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
      const host = yield* NodeHost
      const pool = yield* ExecutionPool
      return InvocationRunner.of({ open: (options) => openRunner(options, providers, segmenter, host, pool) })
    })
  )
}

type CallFailure = ProviderFailure | NodeFailure

/** Why a call that outlived its grace is over. */
const cutOff = "cut_off"

const openRunner = Effect.fnUntraced(function*(
  options: RunnerOptions,
  providers: ProviderManager["Service"],
  segmenter: SentenceSegmenter["Service"],
  host: NodeHost["Service"],
  pool: ExecutionPool["Service"]
) {
  const { graceMs, payloads } = options
  const scrub = yield* SecretScrubber
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const tasks = yield* Effect.withFiber((fiber) => Effect.succeed(dispatcherOf(fiber.getRef(Scheduler))))
  const calls = new Map<string, Call>()
  const feeds = new Map<string, UtteranceFeed>()
  /** Fibers that are still there, those that were cut off included. */
  const running = new Set<Fiber.Fiber<void>>()
  /** Somebody else may run in its place. A call that does not end is no reason to keep it. */
  const leave = ({ place }: Call): void => {
    if (place !== undefined && place.kind !== "full") place.leave()
  }
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      for (const call of calls.values()) leave(call)
      for (const fiber of running) fiber.interruptUnsafe()
      if (running.size === 0) return Effect.void
      return Effect.flatMap(Effect.timeoutOption(Fiber.awaitAll([...running]), graceMs), (ended) =>
        ended._tag === "Some"
          ? Effect.void
          : Effect.logWarning(`${running.size} provider calls do not end; the session does not wait for them`))
    })
  )
  const nodes: SessionNodes = yield* host.open({
    session_id: options.nodes.session_id,
    seed: options.nodes.seed,
    nowMs: options.nodes.nowMs,
    nodes: options.nodes.bound,
    graceMs,
    readText: (id) => payloads.readText(id),
    readVoice: (id) => payloads.readAudio(id)
  })
  const bounds = yield* FiberMap.make<string>()
  const forkBound = yield* FiberMap.runtime(bounds)<never>()

  const offer = (call: Call, input: SessionInput): Effect.Effect<unknown> =>
    call.over ? Effect.void : options.offer(input)

  /** Reports the end of a call, the first time that it is asked. `cut`: it did not end by itself. */
  const end = (call: Call, exit: Exit.Exit<void, CallFailure>, cut = false): Effect.Effect<unknown> => {
    if (call.over) return Effect.void
    const id = call.command.provider_invocation_id
    call.over = true
    calls.delete(id)
    feeds.delete(id)
    leave(call)
    return options.offer(ended(call, exit, cut))
  }

  const waits = yield* FiberMap.make<string>()
  const forkWait = yield* FiberMap.runtime(waits)<never>()

  /** There was no place for it in the pool: it is shed before it began (F1). */
  const shed = (call: Call, reason: string): Effect.Effect<unknown> => {
    const { modality, provider_id, provider_invocation_id } = call.command
    call.shed = true
    const failure = new ProviderFailure({
      provider_id,
      outcome_class: "overload",
      retryable: false,
      message: `no place for another ${modality} call in this process: ${reason}`
    })
    return Effect.andThen(
      offer(call, { type: "dispatch_shed", provider_invocation_id, reason }),
      Effect.suspend(() => end(call, Exit.fail(failure)))
    )
  }

  const unbound = (id: string) => {
    const fiber = FiberMap.getUnsafe(bounds, id)
    if (fiber._tag === "Some") fiber.value.interruptUnsafe()
  }

  /** In so many milliseconds the call is over, whether it ends or not. */
  const bind = (call: Call, ms: number, exit: () => Exit.Exit<never, CallFailure>, cut = false) => {
    forkBound(
      call.command.provider_invocation_id,
      Effect.andThen(
        Effect.sleep(ms),
        Effect.suspend(() => {
          const report = end(call, exit(), cut)
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
      const facts = {
        words,
        ...(options.backchannel === undefined ? {} : { backchannel: options.backchannel(text) })
      }
      const handle = final
        ? payloads.text(text, { ...facts, complete: result.complete })
        : payloads.text(text, facts, "interim")
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

  const reply = (call: Call): Effect.Effect<void, ProviderFailure> => {
    const { command } = call
    const provider = providers.llm(command.provider_id)
    if (provider === undefined) return missing(command)
    // Its text goes on to nodes as it comes; or, next to a segmenter, as sentences.
    const run = command.emits === "text" ? undefined : segmenter.start()
    const about = {
      provider_invocation_id: command.provider_invocation_id,
      authority_epoch: command.authority_epoch
    } as const
    const sentence = (text: string) => {
      if (call.over) return Effect.void
      // Counted like those of any other text, so that an edge behind the sentences can have a condition on it.
      const handle = payloads.text(text, { words: text.trim().split(/\s+/u).length })
      options.onPayload(handle, text)
      return offer(call, { type: "segment", ...about, handle })
    }
    return Effect.andThen(
      each(call, provider.reply(payloads.messages(command.conversation ?? [])), (delta) => {
        const handle = payloads.text(delta, undefined, run === undefined && !call.cancelled ? "passing" : "no")
        if (run === undefined) {
          options.onPayload(handle, delta)
          return offer(call, { type: "text_delta", ...about, handle })
        }
        return Effect.andThen(
          offer(call, { type: "text_delta", ...about, handle }),
          // Cut only once the words are taken.
          Effect.suspend(() => inTurn(run.push(delta), sentence))
        )
      }),
      Effect.suspend(() => {
        const rest = run?.flush()
        return rest === undefined ? Effect.void : Effect.andThen(sentence(rest), call.gate.await)
      })
    )
  }

  const voice = (call: Call): Effect.Effect<void, ProviderFailure> => {
    const { command } = call
    const provider = providers.tts(command.provider_id)
    if (provider === undefined) return missing(command)
    const text = command.text === undefined ? "" : payloads.readText(command.text.id) ?? ""
    return each(call, provider.synthesise(text), (speech) => {
      const parts = pieces(samplesOf(speech))
      const mark = speech instanceof Int16Array ? undefined : markOf(speech.spokenChars)
      const last = parts.at(-1)
      return inTurn(parts, (piece) => {
        if (call.over) return Effect.void
        // What comes after a cancel is told, and counted as late, but never heard: it is not kept. How far its voice has
        // spoken is known at the end of all of it.
        const owner = call.cancelled ? undefined : command.turn_id
        const handle = payloads.audio(piece, owner, piece === last ? mark : undefined)
        options.onPayload(handle, piece)
        const chunk = {
          type: "voice_chunk",
          provider_invocation_id: command.provider_invocation_id,
          handle,
          authority_epoch: command.authority_epoch
        } as const
        return Effect.andThen(offer(call, chunk), call.gate.await)
      })
    })
  }

  /** One output of a node: kept for whoever it goes to, unless it comes too late for anybody. */
  const give = (call: Call, output: GivenOutput): Effect.Effect<unknown> => {
    const { command } = call
    const one = (handle: PayloadHandle, content: string | Int16Array) => {
      options.onPayload(handle, content)
      const item = {
        type: "node_item",
        provider_invocation_id: command.provider_invocation_id,
        payload_kind: output.kind,
        handle,
        authority_epoch: command.authority_epoch
      } as const
      return Effect.andThen(offer(call, item), call.gate.await)
    }
    return Effect.suspend(() => {
      if (call.over) return Effect.void
      if (output.kind !== "voice") {
        const remembered = output.kind === "transcript" || output.kind === "segment" ? "conversation" : "passing"
        return one(payloads.text(output.text, output.facts, call.cancelled ? "no" : remembered), output.text)
      }
      return Effect.forEach(pieces(output.samples), (piece) =>
        Effect.suspend(() => {
          if (call.over) return Effect.void
          const handle = payloads.audio(piece, call.cancelled ? undefined : command.turn_id)
          const { label } = output.facts
          return one(label === undefined ? handle : { ...handle, facts: { ...handle.facts, label } }, piece)
        }), { discard: true })
    })
  }

  const invoke = (call: Call): NodeInvocation => {
    const { authority_epoch, provider_invocation_id } = call.command
    return nodes.invoke(call.command, {
      give: (output) => give(call, output),
      done: Effect.suspend(() => offer(call, { type: "item_done", provider_invocation_id, authority_epoch })),
      stop: (failure) => {
        if (call.over || call.failure !== undefined) return
        // After a cancel it is cancelled, and the grace is running.
        if (!call.cancelled) call.failure = failure
        call.fiber?.interruptUnsafe()
        if (!call.cancelled && !call.over) bind(call, graceMs, () => Exit.fail(failure), true)
      }
    })
  }

  const neverEnded = (command: Start) =>
    new ProviderFailure({
      provider_id: command.provider_id,
      outcome_class: "timeout",
      retryable: false,
      message: `the call did not end within ${command.cap_ms} ms after its utterance`
    })

  const ended = (
    { command, failure: stopped, usage }: Call,
    exit: Exit.Exit<void, CallFailure>,
    cut: boolean
  ): SessionInput => {
    const { attempts = 0, ...used } = usage.close() ?? {}
    const about = {
      type: "invocation_ended",
      provider_invocation_id: command.provider_invocation_id,
      attempts: 1 + attempts,
      late_outputs: 0,
      ...(Object.keys(used).length === 0 ? {} : { usage: used })
    } as const
    if (Exit.isSuccess(exit)) return { ...about, outcome_class: "success", retryable: false }
    const failure = Exit.findErrorOption(exit)
    if (failure._tag === "Some" || (stopped !== undefined && !Cause.hasDies(exit.cause))) {
      const why = failure._tag === "Some" ? failure.value : stopped as NodeFailure
      const { outcome_class, retryable = false, message } = why
      const reason = scrub(cut ? `${message}, ${cutOff}` : message)
      const after = retryable && "retryAfterMs" in why ? why.retryAfterMs : undefined
      const wait = after !== undefined && after >= 0
        ? { retry_after_ms: Math.min(longestRetryAfterMs, Math.ceil(after)) }
        : {}
      return { ...about, outcome_class, retryable, reason, ...wait }
    }
    if (Cause.hasInterruptsOnly(exit.cause)) {
      return { ...about, outcome_class: "cancelled", retryable: false, ...(cut ? { reason: cutOff } : {}) }
    }
    // A defect of an adapter or a node is its own failure; it must not take the session with it.
    const reason = command.modality === "external" ? "node_defect" : "provider_defect"
    return { ...about, outcome_class: "infrastructure_failure", retryable: false, reason }
  }

  return {
    start: (command) => {
      const id = command.provider_invocation_id
      const call: Call = {
        command,
        gate: Latch.makeUnsafe(true),
        fiber: undefined,
        place: undefined,
        shed: false,
        cancelled: false,
        node: undefined,
        failure: undefined,
        usage: new UsageSum(),
        over: false
      }
      calls.set(id, call)
      if (command.modality === "external") call.node = invoke(call)
      const { node } = call
      // The feed is open before the next frame is applied, so that no word is lost.
      const feed = command.modality === "stt" ? makeUtteranceFeed(options.feedBounds, context) : undefined
      if (feed !== undefined) {
        feed.lead(options.history.from(command.from_sample ?? 0))
        feeds.set(id, feed)
      }
      // Suspended: an adapter that throws when it is called fails its own call, not the session.
      const results = Effect.suspend(() => {
        if (feed !== undefined) return transcripts(call, feed)
        return command.modality === "llm" ? reply(call) : voice(call)
      })
      const work: Effect.Effect<void, CallFailure> = node?.run ?? results
      // What other sessions have to decide comes first: a provider's first step may take as long as some decisions.
      const { firstWaits, scheduleAfterFirst } = tasks
      const begun = firstWaits === undefined || scheduleAfterFirst === undefined
        ? work
        : Effect.suspend(() => firstWaits() ? Effect.andThen(turn(scheduleAfterFirst), work) : work)
      // Only what the provider does can be interrupted: a call that is cancelled before its first step reports its end too.
      const begin = () => {
        const fiber = fork(
          Effect.interruptible(begun).pipe(
            Effect.provideService(ProviderUsage, call.usage),
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
      }
      const place = pool.enter({
        kind: command.modality,
        fairnessKey: command.fairness_key ?? options.tenantId ?? options.nodes.session_id,
        nowMs: options.nodes.nowMs,
        start: begin
      })
      call.place = place
      // It may have ended in the instant in which it began.
      if (call.over) leave(call)
      if (place.kind === "full") forkWait(id, shed(call, shedReasons.full))
      else if (place.kind === "waiting") {
        forkWait(
          id,
          Effect.andThen(
            Effect.sleep(place.waitMs),
            Effect.suspend(() => place.expire() ? shed(call, shedReasons.late) : Effect.void)
          )
        )
      }
    },
    cancel: (id, reason) => {
      const call = calls.get(id)
      if (call === undefined || call.cancelled) return
      call.cancelled = true
      if (call.fiber === undefined) {
        // It never began: there is nothing to interrupt. One that is being shed reports its end by itself.
        if (call.shed) return
        leave(call)
        forkWait(id, end(call, Exit.interrupt()))
        return
      }
      if (call.node === undefined || call.node.cancel(reason)) call.fiber?.interruptUnsafe()
      if (!call.over) bind(call, graceMs, () => Exit.interrupt(), true)
    },
    push: ({ edge_id, handle, payload_kind, provider_invocation_id }) => {
      if (payload_kind === "caller_audio" || payload_kind === "voice_edge") return
      calls.get(provider_invocation_id)?.node?.push({ edgeId: edge_id, kind: payload_kind, handle })
    },
    endItems: (id) => {
      calls.get(id)?.node?.endItems()
    },
    notify: ({ notice, provider_invocation_id }) => {
      calls.get(provider_invocation_id)?.node?.notify(notice)
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

/** Waits for its turn. */
const turn = (schedule: (task: () => void) => void): Effect.Effect<void> =>
  Effect.callback((resume) => schedule(() => resume(Effect.void)))

/** One piece is the rule: it needs no loop. */
const inTurn = <A>(items: ReadonlyArray<A>, take: (item: A) => Effect.Effect<unknown>): Effect.Effect<unknown> => {
  const [only] = items
  if (only === undefined) return Effect.void
  return items.length === 1 ? take(only) : Effect.forEach(items, take, { discard: true })
}

/** A mark as it is recorded; one that is no number from 0 up is none. */
const markOf = (spokenChars: number): number | undefined =>
  spokenChars >= 0 && Number.isFinite(spokenChars) ? Math.floor(spokenChars) : undefined

const pieces = (samples: Int16Array): ReadonlyArray<Int16Array> => {
  if (samples.length <= chunkSamples * 2) return [samples]
  const cut: Array<Int16Array> = []
  for (let at = 0; at < samples.length; at += chunkSamples) cut.push(samples.slice(at, at + chunkSamples))
  return cut
}
