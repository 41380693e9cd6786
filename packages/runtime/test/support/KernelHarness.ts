import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { CommandOf, SessionCommand, SessionCommandType } from "@rspp/contracts/SessionCommand"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { ConnectionState, InputOf, LeaseStatus, SessionInput } from "@rspp/contracts/SessionInput"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { KernelSession } from "@rspp/runtime/kernel/SessionKernel"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import { KernelLaws } from "./KernelLaws.ts"
import { literalHeader, literalPipeline, literalSnapshots, sessionConfigWith } from "./LiteralSession.ts"
import type { Partially, SnapshotChanges } from "./LiteralSession.ts"
import { SimulatedEgress } from "./SimulatedEgress.ts"

const kernel = Effect.runSync(Effect.provide(SessionKernel, SessionKernel.layer))

/** Opens the real kernel, with all of its modules. */
export const openKernel = (header: TimelineHeader): KernelSession => kernel.open(header)

type Start = CommandOf<"start_invocation">
type Outcome = InputOf<"invocation_ended">["outcome_class"]

/** What a scripted provider does with one call; times in ms from the start of the call, or from one result to the next. */
export interface Scripted {
  /** Characters of each sentence, samples of each chunk, or the words of each final. */
  readonly results: ReadonlyArray<number>
  readonly firstMs: number
  readonly stepMs: number
  /** How it ends after its results; `never` leaves it open. */
  readonly end: Outcome | "never"
  readonly retryable?: boolean
  /** How much of its sentence has been spoken by the end of each chunk. */
  readonly marks?: ReadonlyArray<number>
  /** What else its port says when it ends. */
  readonly says?: Partial<Pick<InputOf<"invocation_ended">, "attempts" | "retry_after_ms" | "usage">>
}

export const reply = (...sentences: ReadonlyArray<number>): Scripted => ({
  results: sentences,
  firstMs: 100,
  stepMs: 50,
  end: "success"
})
/** Speech in chunks of 100 ms. */
export const speech = (ms: number): Scripted => ({
  results: Array.from({ length: Math.ceil(ms / 100) }, () => 1600),
  firstMs: 80,
  stepMs: 10,
  end: "success"
})
export const silent: Scripted = { results: [], firstMs: 0, stepMs: 0, end: "never" }
export const failing = (end: Outcome, after: Partial<Scripted> = {}): Scripted => ({
  results: [],
  firstMs: 30,
  stepMs: 10,
  end,
  retryable: true,
  ...after
})

/** What a node outside of the kernel does with one item. */
export interface ScriptedItem {
  /** How long it works on it, ms. */
  readonly ms: number
  readonly gives: ReadonlyArray<{
    readonly kind: PayloadKind
    readonly length: number
    readonly facts?: PayloadHandle["facts"]
  }>
  /** It ends here instead, in this way. */
  readonly end?: Outcome | "never"
}

/** A node that hands everything on as it is. */
export const passing = ({ handle, payload_kind }: CommandOf<"push_item">): ScriptedItem => ({
  ms: 10,
  gives: [{
    kind: payload_kind,
    length: handle.length,
    ...(handle.facts === undefined ? {} : { facts: handle.facts })
  }]
})

/** Answers that a test can keep back, to give them later or never. */
export type AnswerKind =
  | "egress_fenced"
  | "evidence_appended"
  | "output_accepted"
  | "egress_dequeued"
  | "playback_started"
  | "playback_completed"
  | "playback_cancelled"
  | "invocation_ended"
  | "turn_reserved"
  | "voice_chunk"
  | "segment"
  | "transcript"

export interface HarnessOptions {
  readonly config?: Partially<SessionConfig>
  readonly pipeline?: (pipeline: NormalizedPipeline) => NormalizedPipeline
  readonly header?: Partial<TimelineHeader>
  readonly snapshots?: SnapshotChanges
  readonly llm?: (start: Start, call: number) => Scripted
  readonly tts?: (start: Start, call: number) => Scripted
  /** Words of the final, by utterance; a function of the pause. */
  readonly stt?: (
    start: Start,
    call: number
  ) => Partial<Scripted> & {
    readonly text?: number
    readonly complete?: boolean
    readonly words?: number
    readonly backchannel?: boolean
  }
  /** The end-of-turn model: per cent, a failure, or no answer; and how long that takes. */
  readonly predict?: (
    command: CommandOf<"predict_turn">
  ) => { readonly percent?: number; readonly reason?: string; readonly afterMs: number } | undefined
  /** What a node does with an item; by default it hands it on. */
  readonly node?: (push: CommandOf<"push_item">, start: Start) => ScriptedItem
  /** What the tenant's ledger answers; by default it grants. */
  readonly tenant?: (
    command: CommandOf<"reserve_turn" | "reserve_session">
  ) => { readonly granted: boolean; readonly reason?: string }
  readonly withhold?: ReadonlyArray<AnswerKind>
  /** Answer of the recorder. */
  readonly evidence?: "appended" | "refused"
  /** How long an interrupted provider takes to say so, ms. */
  readonly cancelAckMs?: number
}

interface Due {
  readonly due: number
  readonly order: number
  readonly input: SessionInput
  /** The invocation whose result this is: a cancel takes it off the agenda. */
  readonly owner?: string
}

/**
 * A session of the real kernel in virtual time, with everything outside of it scripted: providers, egress, recorder and
 * timers answer the kernel's commands as inputs. Every record is held to {@link KernelLaws} and to the contract's schemas.
 */
export class KernelHarness {
  readonly header: TimelineHeader
  readonly session: KernelSession
  readonly laws = new KernelLaws({ validate: true })
  readonly egress: SimulatedEgress
  readonly outputs: Array<KernelOutput> = []
  readonly inputs: Array<{ readonly at: number; readonly input: SessionInput }> = []
  now = 0
  readonly #options: HarnessOptions
  readonly #withheld = new Set<AnswerKind>()
  #kept: Array<SessionInput> = []
  readonly #lengths = new Map<string, number>()
  readonly #starts = new Map<string, Start>()
  readonly #held = new Set<string>()
  readonly #calls = { stt: 0, llm: 0, tts: 0, external: 0 }
  #agenda: Array<Due> = []
  #order = 0
  #handles = 0
  #mark = 0
  /** Time of the next caller frame, while the caller's stream runs. */
  #frame: number | undefined

  constructor(options: HarnessOptions = {}) {
    this.#options = options
    for (const kind of options.withhold ?? []) this.#withheld.add(kind)
    const base = literalPipeline(sessionConfigWith(options.config))
    const pipeline = options.pipeline?.(base) ?? base
    this.header = literalHeader(pipeline, options.header)
    this.session = openKernel(this.header)
    this.egress = new SimulatedEgress((id) => this.#lengths.get(id) ?? 0)
  }

  /** A session that has its snapshots, its lease (epoch 1) and its caller. */
  static ready(options: HarnessOptions = {}): KernelHarness {
    const harness = new KernelHarness(options)
    harness.step({ type: "session_started" })
    harness.snapshots()
    harness.lease("issued", 1)
    harness.connection("connected")
    harness.forget()
    return harness
  }

  // What a test says.

  step(input: SessionInput): ReadonlyArray<KernelOutput> {
    const { outputs, sequence } = this.session.step(input, this.now)
    this.inputs.push({ at: this.now, input })
    this.laws.input(sequence, this.now, input)
    this.laws.outputs(outputs)
    this.outputs.push(...outputs)
    for (const output of outputs) if (output.record === "command") this.#obey(output.command)
    return outputs
  }

  snapshots(changes: SnapshotChanges = this.#options.snapshots ?? {}): void {
    for (const snapshot of literalSnapshots(this.header, changes)) this.step({ type: "snapshot", snapshot })
  }

  lease(status: LeaseStatus, authority_epoch: number): void {
    this.step({ type: "lease", status, authority_epoch, ttl_ms: 10_000 })
  }

  connection(state: ConnectionState): void {
    this.step({ type: "connection", state })
  }

  /** The caller types: the shortest way to a turn. */
  type(length = 5, authority_epoch?: number): void {
    this.step({
      type: "typed_text",
      handle: this.text(length),
      ...(authority_epoch === undefined ? {} : { authority_epoch })
    })
  }

  /** Voice activity: an edge at `sampleMs`, noticed now. */
  edge(edge: "speech_started" | "speech_ended", sampleMs = this.now): void {
    if (this.#frame === undefined) this.frame(this.now - 20)
    this.step({ type: "voice_activity", edge, sample_index: Math.max(0, sampleMs) * 16 })
  }

  /** A frame of caller audio that began at `startMs` of the stream arrives now. */
  frame(startMs: number): void {
    this.laws.audio(this.session.audio(Math.max(0, startMs) * 16, 320, this.now), this.now)
  }

  /** From now on a frame arrives every 20 ms, as in life; otherwise only before an edge. */
  stream(): void {
    this.#frame = this.now + 20
  }

  /** The caller speaks for `ms`, and is noticed 50 ms after the onset and 250 ms after the end. */
  speak(ms: number): void {
    const onset = this.now
    this.runFor(50)
    this.edge("speech_started", onset)
    this.runUntil(onset + ms + 250)
    this.edge("speech_ended", onset + ms)
  }

  /** The recogniser has heard so much of its open utterance. */
  partial(words: number, backchannel?: boolean): void {
    const provider_invocation_id = this.started("stt").at(-1)?.provider_invocation_id ?? ""
    this.step({
      type: "transcript",
      provider_invocation_id,
      finality: "partial",
      handle: this.text(words * 5, { words, ...(backchannel === undefined ? {} : { backchannel }) })
    })
  }

  cancel(fields: Partial<InputOf<"cancel_requested">> = {}): void {
    this.step({ type: "cancel_requested", scope: "turn", reason: "by_test", ...fields })
  }

  text(length: number, facts?: PayloadHandle["facts"]): PayloadHandle {
    const id = `text_${++this.#handles}`
    return { id, payload_class: "text_raw", length, ...(facts === undefined ? {} : { facts }) }
  }

  voice(samples: number, spoken_chars?: number): PayloadHandle {
    const id = `voice_${++this.#handles}`
    this.#lengths.set(id, samples)
    const facts = spoken_chars === undefined ? {} : { facts: { spoken_chars } }
    return { id, payload_class: "audio_raw", length: samples, ...facts }
  }

  /** Virtual time goes on; everything that is due on the way happens, in order. */
  runFor(ms: number): void {
    this.runUntil(this.now + ms)
  }

  runUntil(ms: number): void {
    for (;;) {
      const next = this.#agenda.reduce<Due | undefined>(
        (best, due) =>
          (due.owner === undefined || !this.#held.has(due.owner)) &&
            (best === undefined || due.due < best.due || (due.due === best.due && due.order < best.order))
            ? due
            : best,
        undefined
      )
      const playout = this.egress.nextDue(this.now)
      if (this.#frame !== undefined && this.#frame <= Math.min(ms, next?.due ?? ms, playout ?? ms)) {
        this.now = this.#frame
        this.#frame += 20
        this.frame(this.now - 20)
        continue
      }
      if (playout !== undefined && (next === undefined || playout < next.due)) {
        if (playout > ms) break
        this.now = Math.max(this.now, playout)
        for (const report of this.egress.advance(this.now)) this.#answer(report)
        continue
      }
      if (next === undefined || next.due > ms) break
      this.now = Math.max(this.now, next.due)
      this.#agenda = this.#agenda.filter((due) => due !== next)
      this.#answer(next.input)
    }
    this.now = Math.max(this.now, ms)
  }

  /** Everything that is due at this instant happens. */
  settle(): void {
    this.runUntil(this.now)
  }

  /** Keeps answers of these kinds back from now on. */
  withhold(...kinds: ReadonlyArray<AnswerKind>): void {
    for (const kind of kinds) this.#withheld.add(kind)
  }

  /** Gives the answers of these kinds that were kept back, oldest first, and keeps none back any more. */
  release(...kinds: ReadonlyArray<AnswerKind>): void {
    for (const kind of kinds) this.#withheld.delete(kind)
    const due = this.#kept.filter((input) => (kinds as ReadonlyArray<string>).includes(input.type))
    this.#kept = this.#kept.filter((input) => !due.includes(input))
    for (const input of due) this.step(input)
  }

  /** The caller hangs up, and every answer that was kept back comes: the session must end by itself, nothing left. */
  hangUp(): void {
    this.connection("ended")
    this.#withheld.clear()
    for (const input of this.#kept.splice(0)) this.step(input)
    this.runFor(60_000)
    this.laws.finished()
  }

  // What a test looks at; `forget` draws the line from which on.

  forget(): void {
    this.#mark = this.outputs.length
  }

  get since(): ReadonlyArray<KernelOutput> {
    return this.outputs.slice(this.#mark)
  }

  /** Control signals, as `name` or `name(reason)`, in order. */
  get signals(): ReadonlyArray<string> {
    return this.since.flatMap((output) => output.record === "signal" ? [shown(output.signal)] : [])
  }

  signalsOf(turnId: string): ReadonlyArray<string> {
    return this.since.flatMap((output) =>
      output.record === "signal" && output.signal.turn_id === turnId ? [shown(output.signal)] : []
    )
  }

  signal(name: ControlSignal["signal"]): ControlSignal | undefined {
    return this.since.flatMap((output) =>
      output.record === "signal" && output.signal.signal === name ? [output.signal] : []
    ).at(-1)
  }

  /** Transitions as `turn: from -trigger-> to`. */
  get transitions(): ReadonlyArray<string> {
    return this.since.flatMap((output) =>
      output.record === "transition"
        ? [
          `${output.turn_id}: ${output.transition.from_state} -${output.transition.trigger}-> ${output.transition.to_state}`
        ]
        : []
    )
  }

  /** Decisions as `kind/phase/scope(reason)`. */
  get decisions(): ReadonlyArray<string> {
    return this.since.flatMap((output) =>
      output.record === "decision"
        ? [
          `${output.decision.outcome_kind}/${output.decision.phase}/${output.decision.scope}(${output.decision.reason})`
        ]
        : []
    )
  }

  commands<T extends SessionCommandType>(type: T): ReadonlyArray<CommandOf<T>> {
    return this.since.flatMap((output) =>
      output.record === "command" && output.command.type === type ? [output.command as CommandOf<T>] : []
    )
  }

  /** Everything that came out, as one word each, in order: signals as above, commands as `!type`, records by name. */
  get story(): ReadonlyArray<string> {
    return this.since.map((output) => {
      switch (output.record) {
        case "signal":
          return shown(output.signal)
        case "command":
          return `!${output.command.type}`
        default:
          return output.record
      }
    })
  }

  /** The plan of the last turn that was opened. */
  get plan(): ResolvedTurnPlan {
    const plan = this.outputs.flatMap((output) => output.record === "plan" ? [output.plan] : []).at(-1)
    if (plan === undefined) throw new Error("no turn was opened")
    return plan
  }

  get events() {
    return this.since.flatMap((output) => output.record === "event" ? [output.event] : [])
  }

  get invocations() {
    return this.since.flatMap((output) => output.record === "invocation" ? [output.invocation] : [])
  }

  /** The commands that started provider calls of one modality. */
  started(modality: Start["modality"]): ReadonlyArray<Start> {
    return this.commands("start_invocation").filter((start) => start.modality === modality)
  }

  // What stands around the kernel.

  #at(delay: number, input: SessionInput, owner?: string): void {
    this.#agenda.push({
      due: this.now + delay,
      order: ++this.#order,
      input,
      ...(owner === undefined ? {} : { owner })
    })
  }

  /** An answer happens now, or is kept back. */
  #answer(input: SessionInput): void {
    if ((this.#withheld as Set<string>).has(input.type)) this.#kept.push(input)
    else this.step(input)
  }

  #answerSoon(input: SessionInput, delay = 0, owner?: string): void {
    if (delay === 0 && (this.#withheld as Set<string>).has(input.type)) this.#kept.push(input)
    else this.#at(delay, input, owner)
  }

  #obey(command: SessionCommand): void {
    switch (command.type) {
      case "arm_timer":
        return this.#at(command.due_ms - this.now, {
          type: "timer",
          timer: command.timer,
          generation: command.generation
        })
      case "disarm_timer":
        this.#agenda = this.#agenda.filter(({ input }) =>
          input.type !== "timer" || input.timer !== command.timer || input.generation !== command.generation
        )
        return
      case "start_invocation":
        return this.#start(command)
      case "mark_utterance":
        return this.#utterance(command)
      case "predict_turn": {
        const said = this.#options.predict?.(command)
        if (said === undefined) return
        const { afterMs, ...answer } = said
        const { pause_id, provider_invocation_id } = command
        return this.#at(afterMs, { type: "turn_prediction", provider_invocation_id, pause_id, ...answer })
      }
      case "cancel_invocation": {
        const id = command.provider_invocation_id
        const own = this.#agenda.filter((due) => due.owner === id)
        this.#agenda = this.#agenda.filter((due) => due.owner !== id)
        this.#held.delete(id)
        if (own.some((due) => due.input.type === "invocation_ended" && due.due <= this.now)) {
          // It had ended already: the end is on its way and says how.
          for (const due of own) if (due.input.type === "invocation_ended") this.#agenda.push(due)
          return
        }
        return this.#answerSoon(
          {
            type: "invocation_ended",
            provider_invocation_id: id,
            outcome_class: "cancelled",
            retryable: false,
            attempts: 1,
            late_outputs: own.filter((due) => due.input.type !== "invocation_ended").length
          },
          this.#options.cancelAckMs ?? 5
        )
      }
      case "pause_invocation":
        this.#held.add(command.provider_invocation_id)
        return
      case "resume_invocation":
        this.#held.delete(command.provider_invocation_id)
        return
      case "enqueue_output":
        return this.egress.enqueue(command, this.now)
      case "end_segment":
        return this.egress.endSegment(command, this.now)
      case "pause_output":
        return this.egress.pause(command.turn_id, this.now)
      case "resume_output":
        return this.egress.resume(command.turn_id, this.now)
      case "fence_output":
        for (const report of this.egress.fence(command.turn_id, this.now)) this.#answerSoon(report)
        return
      case "append_evidence":
        return this.#answerSoon({
          type: "evidence_appended",
          turn_id: command.turn_id,
          result: this.#options.evidence ?? "appended"
        })
      case "push_item":
        return this.#item(command)
      case "end_items":
        return this.#answerSoon(ended(command.provider_invocation_id, "success"), 1, command.provider_invocation_id)
      case "reserve_turn":
        return this.#answerSoon({
          type: "turn_reserved",
          reservation_id: command.reservation_id,
          granted: true,
          ...this.#options.tenant?.(command)
        })
      case "reserve_session":
        return this.#answerSoon({ type: "session_reserved", granted: true, ...this.#options.tenant?.(command) })
      case "release_turn":
      case "notify_node":
      case "write_transcript":
      case "keep_state":
      case "end_output":
      case "seal_supplement":
      case "limit_recording":
      case "end_session":
        return
    }
  }

  #item(push: CommandOf<"push_item">): void {
    const id = push.provider_invocation_id
    const start = this.#starts.get(id)
    if (start === undefined) throw new Error(`an item for ${id}, which was never started`)
    const { end, gives, ms } = this.#options.node?.(push, start) ?? passing(push)
    const about = { provider_invocation_id: id, authority_epoch: start.authority_epoch } as const
    for (const { facts, kind, length } of gives) {
      this.#answerSoon({ type: "node_item", ...about, payload_kind: kind, handle: this.text(length, facts) }, ms, id)
    }
    if (end === undefined) this.#answerSoon({ type: "item_done", ...about }, ms, id)
    else if (end !== "never") this.#answerSoon(ended(id, end), ms, id)
  }

  #start(command: Start): void {
    const id = command.provider_invocation_id
    this.#starts.set(id, command)
    const call = ++this.#calls[command.modality]
    if (command.modality !== "llm" && command.modality !== "tts") return
    const script = command.modality === "llm"
      ? this.#options.llm?.(command, call) ?? reply(20, 30)
      : this.#options.tts?.(command, call) ?? speech(500)
    const about = { provider_invocation_id: id, authority_epoch: command.authority_epoch } as const
    let at = script.firstMs
    for (const [index, amount] of script.results.entries()) {
      if (command.modality === "llm") {
        this.#answerSoon({ type: "text_delta", ...about, handle: this.text(amount) }, at, id)
        if (command.emits === undefined) {
          this.#answerSoon({ type: "segment", ...about, handle: this.text(amount) }, at, id)
        }
      } else {this.#answerSoon(
          { type: "voice_chunk", ...about, handle: this.voice(amount, script.marks?.[index]) },
          at,
          id
        )}
      at += script.stepMs
    }
    if (script.end !== "never") {
      this.#answerSoon({ ...ended(id, script.end, script.retryable), ...script.says }, at, id)
    }
  }

  #utterance(command: CommandOf<"mark_utterance">): void {
    const id = command.provider_invocation_id
    const start = this.#starts.get(id)
    if (start === undefined) return
    const script = this.#options.stt?.(start, this.#calls.stt) ?? {}
    switch (command.mark) {
      case "pause": {
        if (script.end === "never") return
        const delay = script.firstMs ?? 40
        if (script.end !== undefined && script.end !== "success") {
          return this.#answerSoon(ended(id, script.end, script.retryable), delay, id)
        }
        return this.#answerSoon(
          {
            type: "transcript",
            provider_invocation_id: id,
            finality: "final",
            pause_id: command.pause_id ?? 0,
            handle: this.text(script.text ?? 12, {
              words: script.words ?? 2,
              complete: script.complete ?? true,
              ...(script.backchannel === undefined ? {} : { backchannel: script.backchannel })
            }),
            authority_epoch: start.authority_epoch
          },
          delay,
          id
        )
      }
      case "resume":
        this.#agenda = this.#agenda.filter((due) => due.owner !== id)
        return
      case "end":
        return this.#answerSoon(ended(id, "success"), 1, id)
    }
  }
}

/** The end of a provider call, as its port reports it. */
export const ended = (id: string, outcome_class: Outcome, retryable = false): InputOf<"invocation_ended"> => ({
  type: "invocation_ended",
  provider_invocation_id: id,
  outcome_class,
  retryable,
  attempts: 1,
  late_outputs: 0
})

const shown = ({ reason, signal }: ControlSignal): string => reason === undefined ? signal : `${signal}(${reason})`
