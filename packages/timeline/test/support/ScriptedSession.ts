import type { Lane } from "@rspp/contracts/Event"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { KernelSession, SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { RecordAssembler } from "../../src/recorder/RecordAssembler.ts"
import { Agenda } from "./Agenda.ts"
import type { Script, ScriptControl, Speech } from "./Script.ts"
import { defaultProviders } from "./Script.ts"
import { ScriptedEgress } from "./ScriptedEgress.ts"
import { ScriptedProviders } from "./ScriptedProviders.ts"
import { SeededStream } from "./SeededStream.ts"
import { headerOf, snapshotsOf } from "./SimplePipeline.ts"

/** A session that was run from a script: its recording, as a reader would give it. */
export interface ScriptedTimeline {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

/** Voice activity notices the beginning of speech so much after it: two windows of 32 ms. */
const onsetDelayMs = 64
/** After the caller hung up a session is given so long to end; one that does not end by then hangs. */
const closingMs = 120_000

const dataInputs: ReadonlySet<SessionInput["type"]> = new Set([
  "transcript",
  "text_delta",
  "segment",
  "voice_chunk",
  "invocation_ended"
])

/**
 * Runs a session from a script: the real kernel and the real recorder, a scripted caller, scripted providers and egress,
 * on virtual time. No clock, no chance that is not seeded, nothing asynchronous.
 *
 * Throws when the session does not end by itself after the caller hung up.
 */
export const scriptedSession = (
  kernels: SessionKernel["Service"],
  script: Script,
  observer: SessionObserver = {}
): ScriptedTimeline => {
  const header = headerOf({ seed: script.seed, ...script.header })
  const kernel = kernels.open(header)
  const run = new Run(kernel, header, script, observer)
  run.toEnd()
  return { header, records: run.records }
}

class Run {
  readonly records: Array<TimelineRecord> = []
  readonly #kernel: KernelSession
  readonly #header: TimelineHeader
  readonly #script: Script
  readonly #observer: SessionObserver
  readonly #agenda: Agenda
  readonly #assembler: RecordAssembler
  readonly #providers: ScriptedProviders
  readonly #egress: ScriptedEgress
  readonly #timers = new Map<string, () => void>()
  readonly #media: SeededStream
  readonly #lateness: SeededStream
  /** Speech that has begun and was not handed to the recogniser. */
  #unheard: Array<Speech> = []
  #hungUp = false
  #applying = false

  constructor(kernel: KernelSession, header: TimelineHeader, script: Script, observer: SessionObserver) {
    this.#kernel = kernel
    this.#header = header
    this.#script = script
    this.#observer = observer
    this.#agenda = new Agenda(script.shuffleTies === true ? new SeededStream(script.seed, "ties") : undefined)
    this.#media = new SeededStream(script.seed, "media")
    this.#lateness = new SeededStream(script.seed, "timers")
    this.#assembler = new RecordAssembler(header, {
      // As they are at this moment, like the bytes of a file: what the recorder holds on to may go on changing.
      // A record that was emitted may be on disk already: nothing may change in it any more.
      emit: ({ records }) => this.records.push(...records.map(deepFreeze)),
      appendRequested: (turn_id, ready) => {
        const refused = script.refuseEvidence?.includes(Number(turn_id.slice("turn_".length))) === true
        const result = ready && !refused ? "appended" : "refused"
        this.#agenda.at(this.#agenda.now, "recorder", () => this.#send({ type: "evidence_appended", turn_id, result }))
      }
    })
    this.#providers = new ScriptedProviders({
      agenda: this.#agenda,
      send: this.#send,
      script: { ...defaultProviders, ...script.providers },
      faults: script.faults ?? [],
      ears: {
        heard: () => {
          const last = this.#unheard.at(-1)
          if (last === undefined) return undefined
          const words = this.#unheard.reduce((sum, speech) => sum + speech.words, 0)
          return { words, ...(last.complete === undefined ? {} : { complete: last.complete }) }
        },
        speaking: () => {
          const last = this.#unheard.at(-1)
          return last !== undefined && last.atMs + last.lastsMs > this.#agenda.now
        },
        forget: () => {
          this.#unheard = []
        }
      },
      partialMs: header.session_config.recognition.partial_interval_ms,
      seed: script.seed
    })
    this.#egress = new ScriptedEgress(
      this.#agenda,
      this.#send,
      (id) => this.#providers.takeSamples(id),
      script.fenceMs
    )
  }

  toEnd(): void {
    this.#observer.opened?.(this.#header, () => undefined)
    this.#plan()
    const deadline = this.#script.lastsMs + closingMs
    while (!this.#kernel.hasEnded() && this.#agenda.step()) {
      if (this.#agenda.now > deadline) throw new Error("the scripted session does not end")
      if (this.#script.abandon === true && this.#hungUp) break
    }
    if (this.#script.abandon !== true && !this.#kernel.hasEnded()) throw new Error("the scripted session stalled")
    this.#assembler.finish()
    if (this.#script.abandon !== true) {
      this.records.push(this.#assembler.end("ended", this.records.length + 1))
    }
    this.#observer.closed?.()
  }

  #plan(): void {
    const { inputs = [], lastsMs, snapshots, speech = [] } = this.#script
    const at = (atMs: number, source: string, input: SessionInput) =>
      this.#agenda.at(atMs, source, () => this.#send(input))
    at(0, "session", { type: "session_started" })
    for (const snapshot of snapshotsOf(this.#header, snapshots)) at(0, "session", { type: "snapshot", snapshot })
    at(0, "session", { type: "lease", authority_epoch: 1, status: "issued", ttl_ms: 1_000_000_000, lease_token: "t" })
    at(0, "session", { type: "connection", state: "connected" })
    this.#frame(0)
    for (const spoken of speech) {
      const end = spoken.atMs + spoken.lastsMs
      const silence = this.#header.session_config.voice_activity.min_silence_ms
      this.#agenda.at(spoken.atMs + onsetDelayMs, "caller", () => {
        this.#unheard.push(spoken)
        this.#send({ type: "voice_activity", edge: "speech_started", sample_index: spoken.atMs * samplesPerMs })
      })
      at(end + silence, "caller", { type: "voice_activity", edge: "speech_ended", sample_index: end * samplesPerMs })
    }
    for (const { atMs, input } of inputs) at(atMs, "script", input)
    at(lastsMs, "caller", { type: "audio_ended" })
    this.#agenda.at(lastsMs, "caller", () => {
      this.#hungUp = true
      if (this.#script.abandon !== true) this.#send({ type: "connection", state: "ended" })
    })
  }

  #frame(index: number): void {
    const jitter = this.#script.jitterMs ?? 0
    const late = jitter === 0 ? 0 : this.#media.between(0, jitter)
    // A frame arrives when the last sample of it was spoken.
    this.#agenda.at((index + 1) * frameMs + late, "media", () => {
      if (this.#hungUp) return
      const { now } = this.#agenda
      const sequence = this.#kernel.audio(index * frameSamples, frameSamples, now)
      this.#assembler.audio(sequence, index * frameSamples, now)
      this.#observer.audio?.(index * frameSamples, frameSamples, now)
      this.#frame(index + 1)
    })
  }

  readonly #send = (input: SessionInput): void => {
    if (this.#kernel.hasEnded()) return
    if (this.#applying) throw new Error(`${input.type} was sent in the middle of a step`)
    const { now } = this.#agenda
    const { sequence, outputs } = this.#kernel.step(input, now)
    const lane: Lane = dataInputs.has(input.type) ? "DataLane" : "ControlLane"
    const record = { record: "input", runtime_sequence: sequence, runtime_timestamp_ms: now, lane, input } as const
    this.#applying = true
    this.#assembler.input(record)
    this.#assembler.outputs(outputs)
    this.#observer.input?.(record)
    this.#observer.outputs?.(outputs)
    for (const output of outputs) {
      this.#script.on?.(output, this.#control())
      if (output.record === "command") this.#dispatch(output)
    }
    this.#applying = false
  }

  #dispatch({ command }: Extract<KernelOutput, { readonly record: "command" }>): void {
    if (command.type === "arm_timer") {
      const { due_ms, generation, timer } = command
      const bound = this.#script.timerLatenessMs ?? 0
      const late = bound === 0 ? 0 : this.#lateness.between(0, bound)
      const fire = () => {
        this.#timers.delete(timer)
        this.#send({ type: "timer", timer, generation })
      }
      this.#timers.set(timer, this.#agenda.at(due_ms + late, "timers", fire))
    } else if (command.type === "disarm_timer") {
      this.#timers.get(command.timer)?.()
      this.#timers.delete(command.timer)
    }
    this.#providers.command(command)
    this.#egress.command(command)
  }

  #control(): ScriptControl {
    return {
      now: this.#agenda.now,
      kernel: this.#kernel,
      at: (atMs, what) => {
        this.#agenda.at(atMs, "script", () => {
          const input = typeof what === "function" ? what(this.#control()) : what
          if (input !== undefined) this.#send(input)
        })
      }
    }
  }
}

const deepFreeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
