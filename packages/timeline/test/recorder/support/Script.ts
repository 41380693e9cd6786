import type { Lane, PayloadClass } from "@rspp/contracts/Event"
import type { OutcomeClass } from "@rspp/contracts/Invocation"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { ControlSignal, SignalEmitter, SignalName } from "@rspp/contracts/Signal"
import type { InvocationFacts, TimelineHeader } from "@rspp/contracts/Timeline"
import type { TurnState, TurnTrigger } from "@rspp/contracts/Turn"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionRecorder } from "@rspp/runtime/ports/Recorder"
import { makePlan } from "./Fixture.ts"

/** The part of a recorder that a script writes to; the assembler has it too. */
export type Target = Pick<SessionRecorder, "audio" | "input" | "outputs" | "payload" | "callerAudio">

/**
 * Plays the kernel by hand: the calls that a recorder gets in a session, in the kernel's order, with dense sequence
 * numbers and times that only `wait` moves. `skip` leaves the named records out, as a kernel with a fault would.
 */
export class Script {
  readonly #target: Target
  readonly #header: TimelineHeader
  readonly skip: ReadonlySet<string>
  epoch = 1
  now = 0
  sequence = 0
  sample = 0
  turns = 0
  invocations = 0
  planLevel: RecordingLevel
  readonly #startedMs = new Map<string, number>()

  constructor(target: Target, header: TimelineHeader, skip: ReadonlyArray<string> = []) {
    this.#target = target
    this.#header = header
    this.skip = new Set(skip)
    this.planLevel = header.recording_level
  }

  wait(ms: number): this {
    this.now += ms
    return this
  }

  frames(count: number, jitter: (i: number) => number = () => 0): this {
    for (let i = 0; i < count; i++) {
      this.now += 20 + jitter(i)
      this.#target.audio(this.sequence++, this.sample, this.now)
      this.#target.callerAudio(this.sample, new Int16Array(320).fill(i))
      this.sample += 320
    }
    return this
  }

  input(input: SessionInput, lane: Lane = "DataLane"): this {
    if (this.skip.has(input.type)) return this
    this.#target.input({
      record: "input",
      runtime_sequence: this.sequence++,
      runtime_timestamp_ms: this.now,
      lane,
      input
    })
    return this
  }

  payload(...kept: Parameters<Target["payload"]>): this {
    this.#target.payload(...kept)
    return this
  }

  outputs(...outputs: ReadonlyArray<KernelOutput | undefined>): this {
    this.#target.outputs(outputs.filter((output) => output !== undefined))
    return this
  }

  signal(signal: SignalName, emitted_by: SignalEmitter, fields: Partial<ControlSignal> = {}): KernelOutput | undefined {
    if (this.skip.has(signal)) return undefined
    return {
      record: "signal",
      signal: {
        ...this.#envelope("ControlLane", "metadata"),
        event_scope: fields.turn_id === undefined ? "session" : "turn",
        signal,
        emitted_by,
        ...fields
      } as ControlSignal
    }
  }

  event(
    fields: { readonly turn_id?: string; readonly lane?: Lane; readonly payload_class?: PayloadClass }
  ): KernelOutput {
    const { lane = "DataLane", payload_class = "audio_raw", ...rest } = fields
    return {
      record: "event",
      event: {
        ...this.#envelope(lane, payload_class),
        event_scope: fields.turn_id === undefined ? "session" : "turn",
        ...(payload_class === "audio_raw" ? { media_time: { sample_index: this.sample } } : {}),
        ...rest
      } as Extract<KernelOutput, { record: "event" }>["event"]
    }
  }

  transition(turn_id: string, from_state: TurnState, trigger: TurnTrigger, to_state: TurnState): KernelOutput {
    return {
      record: "transition",
      runtime_sequence: this.sequence++,
      runtime_timestamp_ms: this.now,
      turn_id,
      transition: { from_state, trigger, to_state, deterministic: true }
    }
  }

  command(command: SessionCommand): KernelOutput | undefined {
    if (this.skip.has(command.type)) return undefined
    return { record: "command", runtime_sequence: this.sequence++, runtime_timestamp_ms: this.now, command }
  }

  start(modality: "stt" | "llm" | "tts", turn_id?: string): readonly [string, KernelOutput | undefined] {
    const id = `inv_${++this.invocations}`
    this.#startedMs.set(id, this.now)
    return [
      id,
      this.command({
        type: "start_invocation",
        provider_invocation_id: id,
        node_id: modality,
        modality,
        provider_id: `scripted/${modality}`,
        authority_epoch: this.epoch,
        idempotency_key: `ses_1/${id}`,
        cap_ms: 1000,
        ...(turn_id === undefined ? {} : { turn_id })
      })
    ]
  }

  ended(
    id: string,
    modality: "stt" | "llm" | "tts",
    fields: Partial<InvocationFacts> & { readonly outcome_class?: OutcomeClass } = {}
  ): this {
    const outcome_class = fields.outcome_class ?? "success"
    this.input({
      type: "invocation_ended",
      provider_invocation_id: id,
      outcome_class,
      retryable: false,
      attempts: 1,
      late_outputs: fields.late_outputs_dropped ?? 0
    })
    if (this.skip.has(`invocation:${modality}`)) return this
    return this.outputs({
      record: "invocation",
      runtime_sequence: this.sequence++,
      runtime_timestamp_ms: this.now,
      invocation: {
        provider_invocation_id: id,
        node_id: modality,
        modality,
        provider_id: `scripted/${modality}`,
        idempotency_key: `ses_1/${id}`,
        authority_epoch: this.epoch,
        outcome_class,
        retryable: false,
        retry_decision: "none",
        attempts: 1,
        started_ms: this.#startedMs.get(id) ?? 0,
        late_outputs_dropped: 0,
        final_latency_ms: 5,
        total_latency_ms: 5,
        ...fields
      }
    })
  }

  /** A turn from the caller's words to `turn_open` and the start of its model. */
  open(): { readonly turn: string; readonly llm: string } {
    const turn = `turn_${++this.turns}`
    this.input({ type: "voice_activity", edge: "speech_started", sample_index: this.sample })
    const [stt, startStt] = this.start("stt")
    this.outputs(startStt).frames(5)
    this.input({
      type: "transcript",
      provider_invocation_id: stt,
      finality: "final",
      handle: { id: `t_${turn}`, payload_class: "text_raw", length: 11 }
    })
    this.#target.payload({ id: `t_${turn}`, payload_class: "text_raw", length: 11 }, "hello there")
    this.wait(3).input({ type: "timer", timer: `endpoint:${turn}`, generation: 1 })
    const proposed = this.signal("turn_open_proposed", "RK-02")
    const opening = this.transition(turn, "Idle", "turn_open_proposed", "Opening")
    const admit: KernelOutput | undefined = this.skip.has("admit") ? undefined : {
      record: "decision",
      runtime_sequence: this.sequence,
      decision: {
        outcome_kind: "admit",
        phase: "pre_turn",
        scope: "turn",
        session_id: this.#header.session_id,
        turn_id: turn,
        event_id: `evt_${this.sequence++}`,
        runtime_timestamp_ms: this.now,
        wall_clock_timestamp_ms: this.#header.wall_clock_start_ms + this.now,
        emitted_by: "RK-25",
        authority_epoch: this.epoch,
        reason: "within_quota"
      }
    }
    const plan: KernelOutput | undefined = this.skip.has("plan") ? undefined : {
      record: "plan",
      runtime_sequence: this.sequence++,
      runtime_timestamp_ms: this.now,
      plan: makePlan(turn, this.epoch, this.planLevel)
    }
    const active = this.transition(turn, "Opening", "turn_open", "Active")
    const opened = this.signal("turn_open", "RK-03", { turn_id: turn })
    const [llm, startLlm] = this.start("llm", turn)
    this.outputs(proposed, opening, admit, plan, active, opened, startLlm)
    this.wait(2).ended(stt, "stt", { turn_id: turn })
    return { turn, llm }
  }

  /** The reply of a turn: text, one segment, speech. The answer is the speech's invocation, still running. */
  speak(turn: string, llm: string): string {
    const text = (id: string) => ({ id, payload_class: "text_raw" as const, length: 4 })
    this.wait(10).input({ type: "text_delta", provider_invocation_id: llm, handle: text(`d_${turn}`) })
    this.input({ type: "segment", provider_invocation_id: llm, handle: text(`s_${turn}`) })
    const [tts, startTts] = this.start("tts", turn)
    this.outputs(startTts).wait(4).ended(llm, "llm", { turn_id: turn })
    this.wait(6).input({
      type: "voice_chunk",
      provider_invocation_id: tts,
      handle: { id: `v_${turn}`, payload_class: "audio_raw", length: 640 }
    })
    this.#target.payload({ id: `v_${turn}`, payload_class: "audio_raw", length: 640 }, new Int16Array(640).fill(3))
    this.outputs(
      this.event({ turn_id: turn }),
      this.command({
        type: "enqueue_output",
        turn_id: turn,
        segment_id: `${turn}_seg_1`,
        handle_id: `v_${turn}`,
        authority_epoch: this.epoch
      })
    )
    return tts
  }

  /** A whole turn that commits. */
  committed(result: "appended" | "refused" = "appended"): string {
    const { turn, llm } = this.open()
    const tts = this.speak(turn, llm)
    this.ended(tts, "tts", { turn_id: turn })
    this.outputs(this.command({ type: "append_evidence", turn_id: turn }))
    this.wait(1).input({ type: "evidence_appended", turn_id: turn, result })
    if (result === "appended") this.end(turn, "commit")
    else this.end(turn, "abort", "recording_evidence_unavailable")
    return turn
  }

  /** A turn that the caller cuts while it speaks, up to the close; its speech has not acknowledged. */
  cut(): { readonly turn: string; readonly tts: string } {
    const { turn, llm } = this.open()
    const tts = this.speak(turn, llm)
    this.wait(30).input({ type: "voice_activity", edge: "speech_started", sample_index: this.sample })
    this.outputs(
      this.signal("cancel", "RK-16", { turn_id: turn, scope: "turn", reason: "barge_in" }),
      this.command({ type: "fence_output", turn_id: turn, authority_epoch: this.epoch, reason: "cancelled" }),
      this.command({ type: "cancel_invocation", provider_invocation_id: tts, reason: "cancelled" })
    )
    this.wait(1).input({ type: "egress_fenced", turn_id: turn, dropped_samples: 320 }, "ControlLane")
    this.end(turn, "abort", "cancelled")
    return { turn, tts }
  }

  /** What follows a cut: the acknowledgement, and the end of the grace. */
  settled({ turn, tts }: { readonly turn: string; readonly tts: string }): this {
    this.wait(7).ended(tts, "tts", {
      turn_id: turn,
      outcome_class: "cancelled",
      cancel_sent_ms: this.now - 8,
      cancel_ack_ms: this.now,
      late_outputs_dropped: 2
    })
    this.input({ type: "playback_cancelled", turn_id: turn, samples: 320 })
    this.wait(68).input({ type: "timer", timer: `grace:${turn}`, generation: 1 })
    return this.outputs(this.command({ type: "seal_supplement", turn_id: turn }))
  }

  end(turn: string, terminal: "commit" | "abort", reason?: string): this {
    return this.outputs(
      this.signal(terminal, "RK-03", { turn_id: turn, ...(reason === undefined ? {} : { reason }) }),
      this.transition(turn, "Active", terminal, "Terminal"),
      this.signal("close", "RK-03", { turn_id: turn }),
      this.transition(turn, "Terminal", "close", "Closed")
    )
  }

  #envelope(lane: Lane, payload_class: PayloadClass) {
    return {
      schema_version: "v1.0",
      session_id: this.#header.session_id,
      pipeline_version: this.#header.pipeline_version,
      event_id: `evt_${this.sequence}`,
      lane,
      transport_sequence: null,
      runtime_sequence: this.sequence++,
      authority_epoch: this.epoch,
      runtime_timestamp_ms: this.now,
      wall_clock_timestamp_ms: this.#header.wall_clock_start_ms + this.now,
      payload_class
    }
  }
}
