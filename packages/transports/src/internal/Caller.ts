import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AgentRun } from "../loopback/AgentDevice.ts"
import type { CallScript, CallTrigger } from "../loopback/CallScript.ts"

/** What became of one step of the script, in samples of session time. */
export interface CallerStep {
  readonly index: number
  readonly start: number
  readonly end: number
}

/** One frame of the caller's stream. */
export interface CallerFrame {
  readonly samples: Int16Array
  /** What the caller typed within it. */
  readonly texts: ReadonlyArray<string>
  /** What became of its key within it, in order. */
  readonly keys: ReadonlyArray<"pressed" | "released">
  /** The caller hangs up at its end. */
  readonly ended: boolean
}

/** Louder than this part of a recording's peak is speech, as far as the script's waiting is concerned: −28 dB. */
const speechLevel = 0.04

/** The position after the last sample of `samples` that is not trailing silence. */
export const speechLength = (samples: Int16Array): number => {
  let peak = 0
  for (const x of samples) peak = Math.max(peak, Math.abs(x))
  let end = samples.length
  while (end > 0 && Math.abs(samples[end - 1]!) <= peak * speechLevel) end--
  return end
}

/**
 * The caller, following a script: composes the caller's stream frame by frame.
 *
 * - C1. Deterministic: a frame depends on the script and on the agent's runs before the frame's end, on nothing else.
 * - C2. To the sample: a step begins at the position that its trigger names, not at the next frame.
 * - C3. What answers a step is agent audio after the step's last word. A recording's trailing silence is not waited
 *   for, and an answer that the caller cut is none: the next one is waited for. What the caller only talked over has not
 *   started as an answer, but it is heard out.
 */
export class Caller {
  readonly steps: Array<CallerStep> = []
  readonly notices: Array<string> = []
  private readonly script: CallScript
  private readonly runs: ReadonlyArray<AgentRun>
  private readonly origin: number
  private index = 0
  private stepStart: number
  private playing: Int16Array | undefined
  /** Where the last step ended, and where its last word did. */
  private previousEnd: number
  private spokenEnd: number
  /** Whether the trigger that was looked at last is due only because the agent did not answer. */
  private unanswered = false

  constructor(options: {
    readonly script: CallScript
    readonly runs: ReadonlyArray<AgentRun>
    /** The stream's first sample, in session time. */
    readonly origin: number
  }) {
    this.script = options.script
    this.runs = options.runs
    this.origin =
      this.stepStart =
      this.previousEnd =
      this.spokenEnd =
        options.origin
  }

  /** The frame `[from, from + 320)`, in samples of session time. Call once for each frame, in order. */
  frame(from: number): CallerFrame {
    const samples = new Int16Array(frameSamples)
    const texts: Array<string> = []
    const keys: Array<"pressed" | "released"> = []
    const end = from + frameSamples
    const lastStep = this.origin + (this.script.last_step_ms ?? Number.POSITIVE_INFINITY) * samplesPerMs
    let at = from
    while (this.index < this.script.steps.length) {
      const step = this.script.steps[this.index]!
      if (this.playing === undefined) {
        if (from > lastStep) {
          this.index = this.script.steps.length
          break
        }
        const due = this.due(step.at)
        if (due >= end) break
        if (this.unanswered) this.notices.push(`Step ${this.index + 1} waited for the agent in vain: ${this.silent()}.`)
        at = Math.max(at, due)
        this.stepStart = at
        if ("text" in step) {
          texts.push(step.text)
          this.finish(at, at)
          continue
        }
        this.playing = step.say
        if (step.hold_key === true) keys.push("pressed")
      }
      const done = at - this.stepStart
      const n = Math.min(end - at, this.playing.length - done)
      samples.set(this.playing.subarray(done, done + n), at - from)
      at += n
      if (done + n < this.playing.length) break
      if ("say" in step && step.hold_key === true) keys.push("released")
      this.finish(at, this.stepStart + speechLength(this.playing))
      this.playing = undefined
    }
    let ended = false
    if (this.index === this.script.steps.length && this.due(this.script.hang_up) <= end) {
      ended = true
      if (this.unanswered) this.notices.push(`The caller hung up without an answer: ${this.silent()}.`)
    } else if (end - this.origin >= this.script.max_call_ms * samplesPerMs) {
      ended = true
      this.notices.push(`The caller hung up after ${this.script.max_call_ms} ms, the bound on the call.`)
    }
    return { samples, texts, keys, ended }
  }

  private finish(end: number, spokenEnd: number): void {
    this.steps.push({ index: this.index, start: this.stepStart, end })
    this.index++
    this.previousEnd = end
    this.spokenEnd = spokenEnd
  }

  private silent(): string {
    return `no agent audio within ${this.script.reply_timeout_ms} ms`
  }

  /** Where a trigger is due, as far as is known now; later agent audio may move it. */
  private due(trigger: CallTrigger): number {
    this.unanswered = false
    return Math.max(this.previousEnd, this.triggered(trigger))
  }

  private triggered(trigger: CallTrigger): number {
    const delay = trigger.delay_ms * samplesPerMs
    switch (trigger.after) {
      case "start":
        return this.origin + delay
      case "previous":
        return this.previousEnd + delay
      case "agent_started": {
        let answer: AgentRun | undefined
        for (let i = this.runs.length - 1; i >= 0; i--) {
          const run = this.runs[i]!
          if (run.end <= this.spokenEnd) break
          if (run.start >= this.stepStart && !(run.cut && run.start <= this.spokenEnd)) answer = run
        }
        return answer === undefined ? this.timeout() : answer.start + delay
      }
      case "agent_finished": {
        const last = this.runs.at(-1)
        return last !== undefined && last.end > this.spokenEnd && !last.cut
          ? last.end + this.script.agent_quiet_ms * samplesPerMs + delay
          : this.timeout()
      }
    }
  }

  private timeout(): number {
    this.unanswered = true
    const lastEnd = this.runs.at(-1)?.end ?? 0
    return Math.max(this.spokenEnd, lastEnd) + this.script.reply_timeout_ms * samplesPerMs
  }
}
