import type { PayloadClass } from "@rspp/contracts/Event"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { CommandOf, SessionCommand } from "@rspp/contracts/SessionCommand"
import { createHmac } from "node:crypto"
import type { Agenda } from "./Agenda.ts"
import type { Fault, ProviderScript, Range, Send } from "./Script.ts"
import { SeededStream } from "./SeededStream.ts"

type Start = CommandOf<"start_invocation">

/** Samples of one chunk of speech: 100 ms. */
const chunkSamples = 1600
/** A character of text is so much speech. */
const samplesPerChar = 960

interface Call {
  readonly start: Start
  readonly fault: Fault | undefined
  /** Results that are still to come: each at so much after the one before. */
  readonly results: Array<{ readonly afterMs: number; readonly act: () => void }>
  running: boolean
  held: boolean
  ended: boolean
  partials: boolean
}

/** What the recogniser hears: words of the speech that has ended by now and was not heard before. */
export interface Ears {
  readonly heard: () => { readonly words: number; readonly complete?: boolean } | undefined
  readonly speaking: () => boolean
  readonly forget: () => void
}

/** Scripted recogniser, model with segmenter, and voice: they answer the kernel's commands on virtual time. */
export class ScriptedProviders {
  readonly #agenda: Agenda
  readonly #send: Send
  readonly #script: ProviderScript
  readonly #faults: ReadonlyArray<Fault>
  readonly #ears: Ears
  readonly #partialMs: number
  readonly #draws: Readonly<Record<"stt" | "llm" | "tts" | "cancel", SeededStream>>
  readonly #calls = new Map<string, Call>()
  readonly #counts = new Map<string, number>()
  readonly #samples = new Map<string, number>()
  readonly #key: string
  #handles = 0

  constructor(options: {
    readonly agenda: Agenda
    readonly send: Send
    readonly script: ProviderScript
    readonly faults: ReadonlyArray<Fault>
    readonly ears: Ears
    readonly partialMs: number
    readonly seed: number
  }) {
    this.#agenda = options.agenda
    this.#send = options.send
    this.#script = options.script
    this.#faults = options.faults
    this.#ears = options.ears
    this.#partialMs = options.partialMs
    this.#key = String(options.seed)
    const stream = (name: string) => new SeededStream(options.seed, name)
    this.#draws = { stt: stream("stt"), llm: stream("llm"), tts: stream("tts"), cancel: stream("cancel") }
  }

  /** Samples behind a handle of speech, once. */
  takeSamples(handleId: string): number {
    const samples = this.#samples.get(handleId) ?? 0
    this.#samples.delete(handleId)
    return samples
  }

  handle(payload_class: PayloadClass, length: number, facts?: PayloadHandle["facts"]): PayloadHandle {
    const id = `h_${++this.#handles}`
    const hash = createHmac("sha256", this.#key).update(`${id}/${length}`).digest("hex")
    return { id, payload_class, length, hash, ...(facts === undefined ? {} : { facts }) }
  }

  /** Carries out a command of the kernel that concerns a provider; any other is ignored. */
  command(command: SessionCommand): void {
    switch (command.type) {
      case "start_invocation":
        return this.#start(command)
      case "mark_utterance":
        return this.#mark(command)
      case "cancel_invocation":
        return this.#cancel(command.provider_invocation_id)
      case "pause_invocation":
      case "resume_invocation": {
        const call = this.#calls.get(command.provider_invocation_id)
        if (call === undefined) return
        call.held = command.type === "pause_invocation"
        if (!call.held) this.#next(call)
        return
      }
      default:
        return
    }
  }

  #draw(stream: "stt" | "llm" | "tts" | "cancel", [low, high]: Range): number {
    return this.#draws[stream].between(low, high)
  }

  #start(start: Start): void {
    const { modality } = start
    if (modality === "external") return
    const ordinal = (this.#counts.get(modality) ?? 0) + 1
    this.#counts.set(modality, ordinal)
    const fault = this.#faults.find((candidate) => candidate.modality === modality && candidate.call === ordinal)
    const call: Call = { start, fault, results: [], running: false, held: false, ended: false, partials: true }
    this.#calls.set(start.provider_invocation_id, call)
    if (fault !== undefined && fault.outcome !== "silent" && fault.outcome !== "late") {
      const { outcome, retryable = false } = fault
      this.#agenda.at(
        this.#agenda.now + (fault.afterMs ?? 20),
        start.provider_invocation_id,
        () => this.#end(call, outcome, retryable)
      )
    }
    if (fault?.outcome === "silent") return
    if (modality === "stt") this.#partial(call)
    else if (modality === "llm") this.#model(call)
    else this.#voice(call, start.text?.length ?? 0)
    this.#next(call)
  }

  #model(call: Call): void {
    const { start: { provider_invocation_id, authority_epoch } } = call
    const about = { provider_invocation_id, authority_epoch }
    const sentences = this.#draw("llm", this.#script.sentences)
    let wait = this.#draw("llm", this.#script.modelMs)
    for (let sentence = 0; sentence < sentences; sentence++) {
      const chars = this.#draw("llm", this.#script.sentenceChars)
      for (let said = 0; said < chars; said += 8) {
        const length = Math.min(8, chars - said)
        call.results.push({
          afterMs: wait,
          act: () => this.#send({ type: "text_delta", ...about, handle: this.handle("text_raw", length) })
        })
        wait = this.#draw("llm", this.#script.deltaMs)
      }
      call.results.push({
        afterMs: 0,
        act: () => this.#send({ type: "segment", ...about, handle: this.handle("text_raw", chars) })
      })
    }
  }

  #voice(call: Call, chars: number): void {
    const { start: { provider_invocation_id, authority_epoch } } = call
    let left = chars * samplesPerChar
    let wait = this.#draw("tts", this.#script.voiceMs)
    while (left > 0) {
      const length = Math.min(chunkSamples, left)
      left -= length
      call.results.push({
        afterMs: wait,
        act: () => {
          const handle = this.handle("audio_raw", length)
          this.#samples.set(handle.id, length)
          this.#send({ type: "voice_chunk", provider_invocation_id, authority_epoch, handle })
        }
      })
      wait = this.#draw("tts", this.#script.chunkMs)
    }
  }

  #next(call: Call): void {
    if (call.ended || call.running || call.held || call.start.modality === "stt") return
    const result = call.results.shift()
    call.running = true
    const wait = result === undefined ? 0 : result.afterMs
    this.#agenda.at(this.#agenda.now + wait, call.start.provider_invocation_id, () => {
      if (call.ended) return
      call.running = false
      if (result === undefined) return this.#end(call, "success", false)
      result.act()
      this.#next(call)
    })
  }

  #partial(call: Call): void {
    const { start: { provider_invocation_id, authority_epoch } } = call
    this.#agenda.at(this.#agenda.now + this.#partialMs, provider_invocation_id, () => {
      if (call.ended || !call.partials) return
      if (this.#ears.speaking()) {
        const handle = this.handle("text_raw", 5, { words: 1 })
        this.#send({ type: "transcript", provider_invocation_id, authority_epoch, finality: "partial", handle })
      }
      this.#partial(call)
    })
  }

  #mark(command: CommandOf<"mark_utterance">): void {
    const call = this.#calls.get(command.provider_invocation_id)
    if (call === undefined || call.ended || call.fault?.outcome === "silent") return
    const { provider_invocation_id } = command
    const { authority_epoch } = call.start
    if (command.mark === "pause") {
      const wait = this.#draw("stt", this.#script.finalMs)
      this.#agenda.at(this.#agenda.now + wait, provider_invocation_id, () => {
        if (call.ended) return
        const heard = this.#ears.heard()
        const words = heard?.words ?? 0
        const complete = heard?.complete === undefined ? {} : { complete: heard.complete }
        this.#send({
          type: "transcript",
          provider_invocation_id,
          authority_epoch,
          finality: "final",
          pause_id: command.pause_id ?? 0,
          handle: this.handle("text_raw", words * 6, { words, ...complete })
        })
      })
    } else if (command.mark === "end") {
      call.partials = false
      this.#ears.forget()
      this.#agenda.at(this.#agenda.now, provider_invocation_id, () => this.#end(call, "success", false))
    }
  }

  #cancel(id: string): void {
    const call = this.#calls.get(id)
    if (call === undefined || call.ended) return
    call.results.length = 0
    const wait = call.fault?.outcome === "late" ? 400 : this.#draw("cancel", this.#script.cancelMs)
    this.#agenda.at(this.#agenda.now + wait, id, () => this.#end(call, "cancelled", false))
    call.held = true
  }

  #end(
    call: Call,
    outcome_class: "success" | "timeout" | "overload" | "blocked" | "infrastructure_failure" | "cancelled",
    retryable: boolean
  ): void {
    if (call.ended) return
    call.ended = true
    const { provider_invocation_id } = call.start
    this.#calls.delete(provider_invocation_id)
    this.#send({
      type: "invocation_ended",
      provider_invocation_id,
      outcome_class,
      retryable,
      attempts: 1,
      late_outputs: 0
    })
  }
}
