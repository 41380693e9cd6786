import { frameMs } from "@rspp/runtime/ports/AudioFrame"
import type { Faults } from "../Faults.ts"
import type { CallerAction, Scenario } from "../Scenario.ts"
import { signsOfAttention } from "../TurnTaking.ts"
import { soundOf } from "./SpeechBook.ts"
import type { SpeechBook } from "./SpeechBook.ts"

/** How long an agent must have been silent before the caller counts its reply as over, in ms. */
const replyOverMs = 600

/** How long the caller stays on the line after all is said, in ms. */
const lingerMs = 4000

/** How long after the last fault the caller speaks again, in ms. */
const calmMs = 3000

/** What the caller says when the faults are over, and how long it waits for the answer, in ms. */
const lastWords = [300, 240, 360]
const lastPatienceMs = 9000

/**
 * The caller: speaks, pauses, cuts in, types and hangs up as the scenario says. Asked once per 20 ms frame, it answers
 * with what its microphone hears; it knows of the agent only whether it can be heard.
 */
export class SimCaller {
  /** Set once the caller has hung up. */
  gone = false
  /** When the last words of the second phase were over. */
  saidLastMs: number | undefined
  readonly #actions: Array<CallerAction>
  readonly #book: SpeechBook
  readonly #faults: Faults
  readonly #scenario: Scenario
  readonly #type: (text: string) => void
  /** The caller holds a key while it speaks. */
  readonly #key: ((state: "pressed" | "released") => void) | undefined
  #holds = false
  #signs = 0
  #at = 0
  #typed = 0
  /** Sounds that are being made: one entry a frame. */
  #sounds: Array<number> = []
  #soundAt = 0
  #freeMs = 0
  #agentSpeaks = false
  #agentOnsets = 0
  #agentOnsetMs = 0
  #agentEndMs = 0
  #onsetsBefore = 0
  #noiseFrames = 0
  #talksOverAt: number | undefined
  #last: "no" | "said" = "no"

  constructor(options: {
    readonly scenario: Scenario
    readonly faults: Faults
    readonly book: SpeechBook
    readonly type: (text: string) => void
    readonly key: (state: "pressed" | "released") => void
  }) {
    this.#scenario = options.scenario
    this.#actions = [...options.scenario.actions]
    this.#book = options.book
    this.#faults = options.faults
    this.#type = options.type
    const config = options.scenario.spec["session_config"] as { readonly turn_detection?: string } | undefined
    this.#key = config?.turn_detection === "push_to_talk" ? options.key : undefined
  }

  /** What the microphone hears in the 20 ms that end now. */
  frame(nowMs: number, agentAudible: boolean): number {
    this.#hear(nowMs, agentAudible)
    if (this.#soundAt < this.#sounds.length) {
      const sound = this.#sounds[this.#soundAt++] as number
      if (this.#soundAt === this.#sounds.length) this.#freeMs = nowMs
      return sound
    }
    if (this.#holds) {
      // With the first frame after its last one, so that nothing is cut off.
      this.#holds = false
      this.#key?.("released")
    }
    if (nowMs >= this.#scenario.hangUpMs && this.#scenario.ending !== "shutdown") {
      this.gone = true
      return soundOf.silence
    }
    if (this.#faults.strikes("media.noise")) {
      this.#noiseFrames = Math.round(this.#faults.stream("media.noise").between(40, 600) / frameMs)
    }
    if (this.#noiseFrames > 0) {
      this.#noiseFrames--
      return soundOf.noise
    }
    if (this.#talksOverAt !== undefined && nowMs >= this.#talksOverAt) {
      this.#talksOverAt = undefined
      const stream = this.#faults.stream("media.double_talk")
      this.#say(Array.from({ length: stream.between(1, 6) }, () => stream.between(8, 26) * frameMs))
      return soundOf.silence
    }
    this.#next(nowMs)
    return soundOf.silence
  }

  #hear(nowMs: number, agentAudible: boolean): void {
    if (agentAudible && !this.#agentSpeaks && nowMs - this.#agentEndMs > replyOverMs) {
      this.#agentOnsets++
      this.#agentOnsetMs = nowMs
      if (this.#faults.strikes("media.double_talk")) {
        this.#talksOverAt = nowMs + this.#faults.stream("media.double_talk").between(0, 2500)
      }
    }
    if (this.#agentSpeaks && !agentAudible) this.#agentEndMs = nowMs
    this.#agentSpeaks = agentAudible
  }

  #next(nowMs: number): void {
    const action = this.#actions[this.#at]
    if (action === undefined) return this.#end(nowMs)
    if (!this.#isTime(action, nowMs)) return
    this.#at++
    this.#onsetsBefore = this.#agentOnsets
    this.#freeMs = nowMs
    switch (action.does) {
      case "say":
        return this.#say(action.words, action.sign)
      case "noise":
        this.#sounds = Array.from({ length: Math.max(1, Math.round(action.ms / frameMs)) }, () => soundOf.noise)
        this.#soundAt = 0
        return
      case "type":
        for (let message = 0; message < action.messages; message++) this.#typeWords(action.words)
    }
  }

  #isTime({ when }: CallerAction, nowMs: number): boolean {
    const waited = nowMs - this.#freeMs
    if (when.after === "previous") return waited >= when.delayMs
    const replied = this.#agentOnsets > this.#onsetsBefore
    // Who is being answered listens, up to a point.
    if (waited >= (replied && when.after === "reply" ? when.patienceMs + 25_000 : when.patienceMs)) return true
    if (!replied) return false
    if (when.after === "reply_start") return nowMs - this.#agentOnsetMs >= when.delayMs
    return !this.#agentSpeaks && nowMs - this.#agentEndMs >= Math.max(replyOverMs, when.delayMs)
  }

  /** All is said. Once the faults are over the caller says one thing more, to see whether it is still answered. */
  #end(nowMs: number): void {
    if (this.#scenario.ending !== "all_said") return
    if (this.#faults.isOn) return
    const waited = nowMs - this.#freeMs
    if (this.#last === "no") {
      const quiet = !this.#agentSpeaks && nowMs - this.#agentEndMs > 1500
      const calm = nowMs - this.#scenario.faultsUntilMs > calmMs
      if (!calm || waited < lingerMs || !(quiet || waited > 20_000)) return
      this.#last = "said"
      this.#onsetsBefore = this.#agentOnsets
      this.#say(lastWords)
      this.saidLastMs = nowMs
      return
    }
    const answered = this.#agentOnsets > this.#onsetsBefore && !this.#agentSpeaks &&
      nowMs - this.#agentEndMs > replyOverMs * 2
    if (answered || waited > lastPatienceMs + 20_000 || (waited > lastPatienceMs && !this.#agentSpeaks)) {
      this.gone = true
    }
  }

  /** The caller types in the instant in which the agent's reply is complete. */
  interject(): void {
    if (!this.gone) this.#typeWords(2)
  }

  #sign(): string {
    return signsOfAttention[this.#signs++ % signsOfAttention.length] as string
  }

  /** Scripted: it speaks behind what it is saying. */
  say(words: ReadonlyArray<number>): void {
    const rest = this.#sounds.slice(this.#soundAt)
    this.#say(words)
    this.#sounds.unshift(...rest)
  }

  noise(ms: number): void {
    this.#noiseFrames += Math.max(1, Math.round(ms / frameMs))
  }

  type(words: number): void {
    if (!this.gone) this.#typeWords(words)
  }

  /** With the next frame of its microphone the caller is gone. */
  hangUp(): void {
    this.gone = true
  }

  #typeWords(words: number): void {
    this.#type(Array.from({ length: words }, (_, i) => `typed${this.#typed++}${i}`).join(" "))
  }

  #say(words: ReadonlyArray<number>, sign = false): void {
    if (this.#key !== undefined && !this.#holds) {
      this.#holds = true
      this.#key("pressed")
    }
    this.#sounds = []
    this.#soundAt = 0
    for (const ms of words) {
      const sound = ms > 0 ? this.#book.add(ms, sign ? this.#sign() : undefined) : soundOf.silence
      for (let i = 0; i < Math.max(1, Math.round(Math.abs(ms) / frameMs)); i++) this.#sounds.push(sound)
    }
  }
}
