import type { OutcomeClass } from "@rspp/contracts/Invocation"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { KernelSession } from "@rspp/runtime/kernel/SessionKernel"
import type { SnapshotOptions } from "./SimplePipeline.ts"

/** Where the scripted ports report to. Never called while a command is being carried out. */
export type Send = (input: SessionInput) => void

/** A stretch of the caller's speech, without a pause. */
export interface Speech {
  readonly atMs: number
  readonly lastsMs: number
  /** Words that the recogniser hears in it; 0 is a noise. */
  readonly words: number
  /** False when the words sound unfinished; absent when the recogniser cannot tell. */
  readonly complete?: boolean
}

/** From how much to how much, both included; drawn anew each time. */
export type Range = readonly [low: number, high: number]

/** How long the scripted providers take, and how much they say. */
export interface ProviderScript {
  /** From the pause to the final text. */
  readonly finalMs: Range
  /** From the start of a model call to its first words. */
  readonly modelMs: Range
  readonly sentences: Range
  readonly sentenceChars: Range
  /** Between two words of the model. */
  readonly deltaMs: Range
  /** From the start of a voice call to its first speech; and between two chunks of 100 ms. */
  readonly voiceMs: Range
  readonly chunkMs: Range
  /** From a cancel to its acknowledgement. */
  readonly cancelMs: Range
}

export const defaultProviders: ProviderScript = {
  finalMs: [60, 140],
  modelMs: [80, 200],
  sentences: [1, 3],
  sentenceChars: [12, 40],
  deltaMs: [2, 8],
  voiceMs: [30, 90],
  chunkMs: [1, 6],
  cancelMs: [0, 20]
}

/** A call that does not go well: the n-th (from 1) of a modality. */
export interface Fault {
  readonly modality: "stt" | "llm" | "tts"
  readonly call: number
  /** `silent` never answers, and so runs into its budget; `late` answers its cancel only after the grace. */
  readonly outcome: Exclude<OutcomeClass, "success" | "cancelled"> | "silent" | "late"
  readonly retryable?: boolean
  /** From the start of the call. */
  readonly afterMs?: number
}

/** What a script may look at and do while the session runs. */
export interface ScriptControl {
  readonly now: number
  readonly kernel: KernelSession
  /** Applies the input at `atMs`, at the earliest now and never in the middle of a step. */
  readonly at: (atMs: number, input: SessionInput | ((control: ScriptControl) => SessionInput | undefined)) => void
}

/** What happens in a session. The same script gives the same recording, byte for byte. */
export interface Script {
  /** Seeds every draw; the header carries it. */
  readonly seed: number
  /** When the caller hangs up. */
  readonly lastsMs: number
  readonly speech?: ReadonlyArray<Speech>
  /** Anything else that comes in: typed text, leases, cancels, connection changes. */
  readonly inputs?: ReadonlyArray<{ readonly atMs: number; readonly input: SessionInput }>
  readonly header?: Partial<TimelineHeader>
  readonly snapshots?: SnapshotOptions
  readonly providers?: Partial<ProviderScript>
  readonly faults?: ReadonlyArray<Fault>
  /** An egress that reports its fence so late, ms; default: at once. */
  readonly fenceMs?: number
  /** Turns whose evidence finds no room, by ordinal from 1. */
  readonly refuseEvidence?: ReadonlyArray<number>
  /** Frames arrive up to so much late; 0 is the virtual clock of a file. */
  readonly jitterMs?: number
  /** Timers fire up to so much late, as they do in real time. */
  readonly timerLatenessMs?: number
  /** Things that are due together come in a seeded order. */
  readonly shuffleTies?: boolean
  /** Ends without hanging up: the recording stops in the middle, without an end record. */
  readonly abandon?: boolean
  /** Sees each output as it comes out, and may add inputs. */
  readonly on?: (output: KernelOutput, control: ScriptControl) => void
}

/** A conversation of `turns` questions, each answered before the next; without faults. */
export const conversation = (turns: number, seed = 1, everyMs = 9000): Script => ({
  seed,
  lastsMs: turns * everyMs + 1000,
  speech: Array.from({ length: turns }, (_, turn) => ({
    atMs: turn * everyMs + 400,
    lastsMs: 900 + (turn % 5) * 200,
    words: 2 + (turn % 4),
    complete: turn % 3 !== 2
  }))
})
