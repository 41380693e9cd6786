import type { Lane } from "@rspp/contracts/Event"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { CommandOf, SessionCommand } from "@rspp/contracts/SessionCommand"
import { completeSessionConfig } from "@rspp/contracts/SessionConfig"
import type { InputOf, SessionInput } from "@rspp/contracts/SessionInput"
import { egressQueueMaxMs } from "@rspp/contracts/Time"
import { behaviourFlags, timelineFormatVersion } from "@rspp/contracts/Timeline"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { InvariantBroken } from "../authority/InvariantBroken.ts"
import { EgressWriter } from "../connection/EgressWriter.ts"
import { digest } from "../determinism/Digest.ts"
import { named } from "../determinism/FiberName.ts"
import { Timebase } from "../determinism/Timebase.ts"
import type { Next } from "../events/LaneRouter.ts"
import { LaneRouter } from "../events/LaneRouter.ts"
import { InvocationRunner } from "../invocation/InvocationRunner.ts"
import type { ProviderMissing } from "../invocation/ProviderManager.ts"
import { ProviderManager } from "../invocation/ProviderManager.ts"
import { SessionKernel } from "../kernel/SessionKernel.ts"
import type { NodeError } from "../nodes/NodeBinding.ts"
import { capOf } from "../nodes/NodeBinding.ts"
import { NodeHost } from "../nodes/NodeHost.ts"
import { AdmissionLedger } from "../limits/AdmissionLedger.ts"
import { ExecutionPool } from "../limits/ExecutionPool.ts"
import { AudioHistory } from "../listening/AudioHistory.ts"
import { makeBackchannel } from "../listening/Backchannel.ts"
import type { AudioFrame } from "../ports/AudioFrame.ts"
import { frameMs } from "../ports/AudioFrame.ts"
import type { ControlPlaneFailure } from "../ports/ControlPlaneFeed.ts"
import { ControlPlaneFeed } from "../ports/ControlPlaneFeed.ts"
import { EndOfTurnModel } from "../ports/EndOfTurnModel.ts"
import type { ProviderFailure } from "../ports/ProviderFailure.ts"
import { SecretScrubber } from "../ports/SecretScrubber.ts"
import type { RecorderFailure, SessionRecorder } from "../ports/Recorder.ts"
import { Recorder } from "../ports/Recorder.ts"
import type { StateStoreFailure } from "../ports/SessionStateStore.ts"
import { noStateStore, SessionStateStore } from "../ports/SessionStateStore.ts"
import { Transport, TransportFailure } from "../ports/Transport.ts"
import { VoiceActivity } from "../ports/VoiceActivity.ts"
import { PayloadStore } from "./PayloadStore.ts"
import { openStateKeeper } from "./StateKeeper.ts"
import { SessionObservers } from "./SessionObserver.ts"
import { SessionTimers } from "./SessionTimers.ts"
import { openTranscripts } from "./TranscriptWriter.ts"

/** Version of the program, as recordings state it. */
export const rsppVersion = "0.1.0"

/** Steps that the session applies before it lets other fibers run. */
const stepsPerTurnOfLoop = 64

/** The longest loss that is filled with silence for a recogniser: 1 s; a longer one is a pause to it all the same. */
const silenceSamples = 16_000

const silence = (samples: number): Int16Array => new Int16Array(Math.min(samples, silenceSamples))

/** How long a stopped session may take to close what is open, ms: twice the contract's cancellation grace and some. */
const shutdownBudgetMs = 500

/** The session broke one of its own rules, or its control lane overflowed. A defect of RSPP; the recording says where. */
export class SessionFailure extends Schema.TaggedError<SessionFailure>()("SessionFailure", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

export interface SessionOptions {
  readonly session_id: string
  readonly tenant_id: string
  readonly pipeline: NormalizedPipeline
  /** Seeds the session's named random streams; recorded. */
  readonly seed: number
  /** Key of the hashes of what was said; not recorded. */
  readonly payloadKey: string
  readonly clock: "realtime" | "virtual"
  /** Goes on with what the {@link SessionStateStore} has of this session; without anything there it starts anew. */
  readonly resume?: boolean
}

/** How a session came to its end. */
export interface SessionSummary {
  readonly session_id: string
  readonly durationMs: number
  /** Caller frames that were lost because the session had no room for them. */
  readonly lostFrames: number
}

/** Whatever may keep a session from starting or going on. */
export type SessionError =
  | SessionFailure
  | TransportFailure
  | RecorderFailure
  | ProviderFailure
  | ProviderMissing
  | NodeError
  | ControlPlaneFailure
  | StateStoreFailure

/**
 * Session (RK-01): runs one call from the opening of its transport to the last record of its timeline.
 *
 * One fiber applies inputs to the kernel, control lane first, and carries out the commands that come back; ports run in
 * fibers of their own, in the session's scope. When the session is interrupted it still closes what is open: the turn's
 * output is fenced, its evidence completed and the timeline closed, within 500 ms.
 */
export class Session extends Context.Service<Session, {
  readonly run: (options: SessionOptions) => Effect.Effect<SessionSummary, SessionError>
}>()("rspp/Session") {
  static readonly layerNoDeps = Layer.effect(
    Session,
    Effect.gen(function*() {
      const context = yield* Effect.context<
        | SessionKernel
        | LaneRouter
        | Timebase
        | InvocationRunner
        | AdmissionLedger
        | ProviderManager
        | NodeHost
        | Transport
        | VoiceActivity
        | Recorder
        | ControlPlaneFeed
      >()
      return Session.of({
        // The session's scope is inside of the context, whose own scope is that of the layer.
        run: (options) =>
          Effect.provide(Effect.scoped(runSession(options)), context).pipe(
            Effect.annotateLogs({
              "session.id": options.session_id,
              "rspp.tenant.id": options.tenant_id,
              "rspp.pipeline.version": options.pipeline.pipeline_version
            })
          )
      })
    })
  )

  /** As `layer`, but tenants' places are kept in a ledger that is given: several of these in one process share it. */
  static readonly layerNoLedger = Session.layerNoDeps.pipe(
    Layer.provideMerge(Layer.mergeAll(
      SessionKernel.layer,
      LaneRouter.layer,
      Timebase.layer,
      InvocationRunner.layerNoDeps
    )),
    Layer.provideMerge(NodeHost.layerNoDeps),
    Layer.provideMerge(ExecutionPool.layer)
  )

  /** With the kernel and everything of the runtime; needs only ports. */
  static readonly layer = Session.layerNoLedger.pipe(Layer.provideMerge(AdmissionLedger.layer))
}

/** The header of a session's recording. */
export const makeHeader = (
  options: SessionOptions,
  wallClockStartMs: number,
  providerCaps: Readonly<Record<string, number>>
): TimelineHeader => {
  const level = options.pipeline.recording_policy.recording_level
  return {
    record: "header",
    schema_version: "v1.0",
    format_version: timelineFormatVersion,
    rspp_version: rsppVersion,
    session_id: options.session_id,
    tenant_id: options.tenant_id,
    pipeline_version: options.pipeline.pipeline_version,
    behaviour_flags: Object.values(behaviourFlags),
    seed: options.seed,
    wall_clock_start_ms: wallClockStartMs,
    clock: options.clock,
    recording_level: level,
    session_config: options.pipeline.session_config,
    session_config_hash: digest(options.pipeline.session_config),
    pipeline: options.pipeline,
    provider_caps: providerCaps,
    not_captured: level === "L2" ? [] : level === "L1" ? ["caller_audio"] : ["caller_audio", "payloads"]
  }
}

const runSession = Effect.fnUntraced(function*(options: SessionOptions) {
  const { pipeline } = options
  const settings = completeSessionConfig(pipeline.session_config)
  const providers = yield* ProviderManager
  yield* providers.check(pipeline.provider_bindings)
  const nodes = yield* (yield* NodeHost).bind(pipeline)
  const store = yield* SessionStateStore
  const before = options.resume === true ? yield* store.load(options.session_id) : undefined
  const keeper = yield* openStateKeeper(store, before?.idempotency_keys ?? [])
  const observers = yield* SessionObservers
  const inbox = yield* (yield* LaneRouter).open
  const payloads = new PayloadStore(options.payloadKey, yield* SecretScrubber)
  const history = new AudioHistory()

  // An overflow of the control lane is told to the main loop, which ends the session.
  let overflow = false
  const control = (input: SessionInput) => {
    if (!inbox.control(input)) overflow = true
  }

  const transport = yield* (yield* Transport).open({ session_id: options.session_id })
  const { capacityMs } = transport.output
  // Less than a frame would never let one in.
  if (!(capacityMs >= frameMs && capacityMs <= egressQueueMaxMs)) {
    return yield* new TransportFailure({
      transport_id: transport.transport_id,
      message: `its output queue holds ${capacityMs} ms; ${frameMs} to ${egressQueueMaxMs} ms are allowed`
    })
  }
  const clock = yield* Clock.Clock
  const timebase = yield* (yield* Timebase).start
  const caps: Record<string, number> = {}
  for (const { provider_id, firstResultCapMs } of providers.descriptors) {
    if (firstResultCapMs !== undefined) caps[provider_id] = firstResultCapMs
  }
  for (const { definition } of nodes.all) {
    const { itemMs, startMs } = definition.timeouts
    if (itemMs === undefined && startMs === undefined) continue
    caps[definition.id] = capOf(definition, pipeline.provider_first_result_ms)
  }
  const header = makeHeader(options, timebase.wallClockStartMs, caps)
  const kernel = (yield* SessionKernel).open(header)
  const recorder: SessionRecorder = yield* (yield* Recorder).open({
    header,
    onAppended: (turn_id, result) => control({ type: "evidence_appended", turn_id, result }),
    onPressure: (pressure) => control({ type: "recording_pressure", ...pressure })
  })
  for (const observer of observers) observer.opened?.(header, (id) => payloads.readText(id), inbox.queues)

  const lease = { epoch: 0, deadlineNanos: 0n }
  const egress = yield* EgressWriter.make(transport.output, control, {
    epoch: () => lease.epoch,
    leaseHolds: () => clock.monotonicTimeNanosUnsafe() < lease.deadlineNanos
  })
  const recogniserNode = pipeline.graph.nodes.find((node) => node.node_type === "speech_to_text")?.node_id
  const audioEdge = pipeline.graph.edges.find((edge) =>
    edge.payload_kind === "caller_audio" && edge.to_node_id === recogniserNode
  )?.edge_id ?? "caller_audio"
  const audioPolicy = pipeline.edge_buffer_policies[audioEdge]
  const runner = yield* (yield* InvocationRunner).open({
    payloads,
    history,
    feedBounds: {
      items: audioPolicy?.max_queue_items ?? 50,
      bytes: audioPolicy?.max_queue_bytes ?? 65_536,
      ms: audioPolicy?.max_queue_ms ?? 1000,
      ...(audioPolicy === undefined ? {} : { strategy: audioPolicy.lane_handling.DataLane })
    },
    partialIntervalMs: settings.recognition.partial_interval_ms,
    backchannel: makeBackchannel(settings.barge_in.backchannel),
    tenantId: options.tenant_id,
    graceMs: pipeline.cancellation_grace_ms,
    nodes: { session_id: options.session_id, seed: options.seed, nowMs: timebase.nowMs, bound: nodes },
    offer: inbox.data,
    onPayload: recorder.payload
  })
  const reservations = (yield* AdmissionLedger).open(options.tenant_id, options.session_id)
  yield* Effect.addFinalizer(() => Effect.sync(reservations.close))
  const transcripts = yield* openTranscripts({ closingMs: shutdownBudgetMs })
  const timers = yield* SessionTimers.open({
    nowMs: timebase.nowMs,
    fire: (timer, generation) => control({ type: "timer", timer, generation })
  })

  const speech = yield* (yield* VoiceActivity).open({
    settings: pipeline.session_config.voice_activity,
    onEdge: (edge) => control({ type: "voice_activity", edge: edge.edge, sample_index: edge.sampleIndex }),
    onFailure: () => control({ type: "connection", state: "stall" })
  })

  // Frames that never came in, and frames that a slow recogniser has not heard: both have notices.
  const cameLess = lossesOf((loss) => control({ type: "media_loss", edge_id: audioEdge, ...loss }))
  const heardLess = lossesOf((loss) => control({ type: "media_loss", edge_id: audioEdge, ...loss }))

  /** The sample that the next frame begins at, when nothing is lost. */
  let heardTo: number | undefined

  const predictor = yield* EndOfTurnModel
  const predictions = yield* FiberMap.make<string>()
  const forkPrediction = yield* FiberMap.runtime(predictions)<never>()
  /** Asks the end-of-turn model; the answer, or why there is none, is an input. One question at a time per utterance. */
  const predict = ({ conversation, pause_id, provider_invocation_id, timeout_ms }: CommandOf<"predict_turn">): void => {
    const answer = (said: { readonly percent: number } | { readonly reason: string }) =>
      control({ type: "turn_prediction", provider_invocation_id, pause_id, ...said })
    if (predictor === undefined) return answer({ reason: "no_model" })
    const percentOf = (value: number) => Math.min(100, Math.max(0, Math.round(value)))
    forkPrediction(
      provider_invocation_id,
      Effect.suspend(() => predictor.predict(payloads.messages(conversation))).pipe(
        Effect.timeoutOption(timeout_ms),
        Effect.matchCause({
          onSuccess: (said) =>
            said._tag === "None"
              ? answer({ reason: "timeout" })
              : Number.isFinite(said.value)
              ? answer({ percent: percentOf(said.value) })
              : answer({ reason: "not_a_number" }),
          onFailure: (cause) => {
            // Asked anew about the next pause: nobody waits for this answer any more.
            if (Cause.hasInterruptsOnly(cause)) return
            const failure = Cause.findErrorOption(cause)
            answer({ reason: failure._tag === "Some" ? failure.value.outcome_class : "provider_defect" })
          }
        }),
        named(`end of turn, ${provider_invocation_id}`)
      )
    )
  }

  let over = false
  const dispatch = (command: SessionCommand): void => {
    switch (command.type) {
      case "start_invocation":
        return runner.start(command)
      case "mark_utterance":
        return runner.mark(command)
      case "predict_turn":
        return predict(command)
      case "cancel_invocation":
        return runner.cancel(command.provider_invocation_id, command.reason)
      case "push_item":
        return runner.push(command)
      case "end_items":
        return runner.endItems(command.provider_invocation_id)
      case "notify_node":
        return runner.notify(command)
      case "write_transcript": {
        const { handle, node_id, role, turn_id } = command
        const text = payloads.readText(handle.id)
        if (text !== undefined) {
          transcripts.write({
            session_id: options.session_id,
            turn_id,
            node_id,
            role,
            text: text.slice(0, handle.length)
          })
        }
        return
      }
      case "pause_invocation":
        return runner.pause(command.provider_invocation_id)
      case "resume_invocation":
        return runner.resume(command.provider_invocation_id)
      case "arm_timer":
        return timers.arm(command.timer, command.generation, command.due_ms)
      case "disarm_timer":
        return timers.disarm(command.timer)
      case "enqueue_output": {
        const samples = payloads.takeAudio(command.handle_id)
        if (samples === undefined) return
        return egress.enqueue(command.turn_id, command.segment_id, command.authority_epoch, samples)
      }
      case "end_segment":
        return egress.endSegment(command.turn_id, command.segment_id)
      case "pause_output":
        return egress.pause(command.turn_id)
      case "resume_output":
        return egress.resume(command.turn_id)
      case "fence_output":
        egress.fence(command.turn_id)
        return payloads.dropAudio(command.turn_id)
      case "reserve_turn": {
        const { reservation_id, max_concurrent_turns, max_turns_per_minute } = command
        const limits = {
          ...(max_concurrent_turns === undefined ? {} : { max_concurrent_turns }),
          ...(max_turns_per_minute === undefined ? {} : { max_turns_per_minute })
        }
        const answer = reservations.turn(reservation_id, limits, Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n))
        return control({ type: "turn_reserved", reservation_id, ...answer })
      }
      case "release_turn":
        return reservations.release(command.reservation_id)
      case "reserve_session":
        return control({ type: "session_reserved", ...reservations.session(command.max_sessions) })
      case "end_session":
        over = true
        return
      case "keep_state":
        return keepState()
      case "end_output":
      case "append_evidence":
      case "limit_recording":
        // The recorder acts on these when it gets the outputs; there is nothing else to do.
        return
      case "seal_supplement":
        // The recorder acts on this too. Speech that the turn refused is nobody's now.
        return payloads.dropAudio(command.turn_id)
    }
  }

  const keepState = () => {
    if (store === noStateStore) return
    const { conversation, ...counts } = kernel.durable()
    keeper.keep({
      ...counts,
      session_id: options.session_id,
      conversation: conversation.map(({ parts, ...line }) => ({
        ...line,
        parts: parts.flatMap(({ chars, handle_id }) => {
          const text = payloads.readText(handle_id)
          return text === undefined ? [] : [{ text, chars }]
        })
      }))
    })
  }

  const apply = (next: Next): void => {
    const now = timebase.nowMs()
    if (next.kind === "frame") {
      const { sampleIndex, samples } = next.frame
      recorder.audio(kernel.audio(sampleIndex, samples.length, now), sampleIndex, now)
      recorder.callerAudio(sampleIndex, samples)
      for (const observer of observers) observer.audio?.(sampleIndex, samples.length, now)
      // What was lost on the way is silence, to the recogniser as in the history: positions stay true.
      if (heardTo !== undefined && sampleIndex > heardTo) runner.audio(silence(sampleIndex - heardTo))
      heardTo = sampleIndex + samples.length
      history.push(next.frame)
      speech.push(next.frame)
      if (runner.audio(samples) > 0) heardLess.lost(sampleIndex)
      else heardLess.tell()
      return
    }
    step(next.input, next.lane)
  }

  /**
   * What comes next; a lease that has run out while the process stood still, or without news of it, comes before that, and
   * so do frames that found no room meanwhile: what comes next may end the session.
   */
  const take = (): Next | undefined => {
    if (lease.deadlineNanos > 0n && clock.monotonicTimeNanosUnsafe() >= lease.deadlineNanos) {
      lease.deadlineNanos = 0n
      step({ type: "lease", authority_epoch: lease.epoch, status: "expired", ttl_ms: 0 }, "ControlLane")
    }
    const loss = cameLess.take()
    if (loss !== undefined) step({ type: "media_loss", edge_id: audioEdge, ...loss }, "ControlLane")
    return inbox.next()
  }

  const step = (input: SessionInput, lane: Lane): void => {
    const now = timebase.nowMs()
    if ("idempotency_key" in input) {
      keeper.seen(
        input.idempotency_key && `${input.type === "typed_text" ? "text" : "cancel"}/${input.idempotency_key}`
      )
    }
    const { outputs, sequence } = kernel.step(input, now)
    const record = {
      record: "input",
      runtime_sequence: sequence,
      runtime_timestamp_ms: now,
      lane,
      input
    } as const
    // The fence goes up before anything else is done with what came out.
    for (const output of outputs) {
      if (output.record === "command" && output.command.type === "fence_output") dispatch(output.command)
    }
    recorder.input(record)
    recorder.outputs(outputs)
    for (const observer of observers) {
      observer.input?.(record)
      observer.outputs?.(outputs)
    }
    for (const output of outputs) {
      if (output.record === "command" && output.command.type !== "fence_output") dispatch(output.command)
    }
    timers.settle()
  }

  let audioEnded = false
  const drained = () => {
    if (!audioEnded || inbox.hasFrames()) return
    audioEnded = false
    lastLosses()
    speech.end()
    control({ type: "audio_ended" })
  }

  // Inputs are applied by tasks of the session's scheduler, not by a fiber that each of them would resume: the fiber of
  // the session only waits for the last one. An interruption takes the loop from whoever had it, even in mid-task.
  let loops = 0
  const loop = Effect.callback<void, SessionFailure>((resume) => {
    const own = ++loops
    const finish = (result: Effect.Effect<void, SessionFailure>): boolean => {
      if (own === loops) leave()
      resume(result)
      return false
    }
    const leave = () => {
      loops += 1
      inbox.serveWith(undefined)
    }
    inbox.serveWith(() => {
      try {
        let steps = 0
        for (let next = take(); next !== undefined && !over; next = take()) {
          apply(next)
          if (own !== loops) return false
          if (overflow) return finish(new SessionFailure({ message: "the control lane overflowed" }))
          if (++steps >= stepsPerTurnOfLoop) break
        }
        drained()
        return over ? finish(Effect.void) : steps >= stepsPerTurnOfLoop
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : "the session broke"
        return finish(new SessionFailure({ message, cause }))
      }
    })
    return Effect.sync(leave)
  })

  let lostFrames = 0
  /** The sample that the next frame may begin at, at the earliest. */
  let arrivedTo = 0
  const frame = (arrived: AudioFrame): boolean => {
    // Overtaken or repeated: its place in the stream has passed, and it is taken for lost on the way.
    if (arrived.sampleIndex < arrivedTo) return true
    if (!inbox.frame(arrived)) {
      lostFrames += 1
      cameLess.lost(arrived.sampleIndex)
      return false
    }
    arrivedTo = arrived.sampleIndex + arrived.samples.length
    cameLess.tell()
    return true
  }

  const lastLosses = () => {
    cameLess.tell()
    heardLess.tell()
  }

  control({ type: "session_started" })
  if (before !== undefined) {
    control({
      type: "session_resumed",
      authority_epoch: before.authority_epoch,
      turns: before.turns,
      invocations: before.invocations,
      accepted_turns: before.accepted_turns,
      idempotency_keys: before.idempotency_keys,
      conversation: before.conversation.map(({ parts, ...line }) => ({
        ...line,
        parts: parts.map(({ chars, text }) => {
          const handle = payloads.text(text)
          recorder.payload(handle, text)
          return { handle_id: handle.id, chars }
        })
      }))
    })
  }
  yield* (yield* ControlPlaneFeed).open({
    session_id: options.session_id,
    pipeline,
    onSnapshot: (snapshot) => control({ type: "snapshot", snapshot }),
    onLease: (change: InputOf<"lease">, asOfNs = clock.monotonicTimeNanosUnsafe()) => {
      lease.epoch = Math.max(lease.epoch, change.authority_epoch)
      const held = change.status !== "revoked" && change.status !== "expired"
      lease.deadlineNanos = held ? asOfNs + BigInt(change.ttl_ms) * 1_000_000n : 0n
      control(change)
    }
  })
  // A transport that breaks ends the turn and the session; how it broke is the session's own error, when all is closed.
  // After the caller has hung up there is nobody to speak to, and that output fails then is no fault.
  let broken: SessionError | undefined
  let gone = false
  const breaks = <R>(work: Effect.Effect<unknown, TransportFailure, R>): Effect.Effect<void, never, R> =>
    Effect.catchCause(Effect.asVoid(work), (cause) =>
      Effect.sync(() => {
        if (gone || Cause.hasInterruptsOnly(cause)) return
        const failure = Cause.findErrorOption(cause)
        broken ??= failure._tag === "Some"
          ? failure.value
          : new SessionFailure({ message: "the transport broke", cause: Cause.squash(cause) })
        lastLosses()
        control({ type: "connection", state: "disconnected" })
        control({ type: "connection", state: "ended" })
      }))
  yield* Effect.forkScoped(named("egress")(breaks(egress.run)))
  yield* Effect.forkScoped(
    transport.run({
      audio: frame,
      connection: (state) => {
        gone ||= state === "ended"
        if (state === "ended") lastLosses()
        control({ type: "connection", state })
      },
      pushToTalk: (state) => control({ type: "push_to_talk", state }),
      text: (text, idempotency_key) => {
        const handle = payloads.text(text, { words: text.trim().split(/\s+/u).length })
        recorder.payload(handle, text)
        control({ type: "typed_text", handle, ...(idempotency_key === undefined ? {} : { idempotency_key }) })
      },
      audioEnded: () => {
        audioEnded = true
        drained()
      }
    }).pipe(
      breaks,
      named("transport"),
      Effect.ensuring(Effect.sync(() => {
        lastLosses()
        control({ type: "connection", state: "ended" })
      }))
    )
  )

  // Runs where nothing can be interrupted any more, so its bound is a flag and not a timeout.
  const stop = Effect.gen(function*() {
    recorder.closing("interrupted")
    lastLosses()
    control({ type: "shutdown", reason: "interrupted" })
    yield* Effect.forkScoped(Effect.andThen(
      Effect.sleep(shutdownBudgetMs),
      Effect.sync(() => {
        over = true
        control({ type: "shutdown", reason: "overrun" })
      })
    ))
    yield* Effect.ignore(loop)
  })
  yield* loop.pipe(
    Effect.onInterrupt(() => stop),
    Effect.tapError(({ cause }) =>
      Effect.sync(() => recorder.closing(cause instanceof InvariantBroken ? `broken:${cause.invariant}` : "failed"))
    ),
    Effect.ensuring(inbox.close),
    Effect.ensuring(Effect.sync(() => {
      for (const observer of observers) observer.closed?.()
    }))
  )
  if (broken !== undefined) {
    recorder.closing("failed")
    return yield* Effect.fail(broken)
  }
  recorder.closing("ended")
  const summary: SessionSummary = {
    session_id: options.session_id,
    durationMs: timebase.nowMs(),
    lostFrames
  }
  return summary
})

interface Loss {
  readonly count: number
  readonly first: number
  readonly last: number
}

/** Counts frames that are lost one after the other, and tells of them when one is not. */
const lossesOf = (report: (loss: Loss) => void) => {
  let loss: Loss | undefined
  return {
    /** Those that have not been told; they count as told then. */
    take: (): Loss | undefined => {
      const lost = loss
      loss = undefined
      return lost
    },
    lost: (sampleIndex: number): void => {
      loss = { count: (loss?.count ?? 0) + 1, first: loss?.first ?? sampleIndex, last: sampleIndex }
    },
    tell: (): void => {
      if (loss === undefined) return
      const lost = loss
      loss = undefined
      report(lost)
    }
  }
}
