import type { FaultKind } from "./Faults.ts"

/** What a scripted event waits for, in a session's own record: `<record>:<type>` or `<record>:<type>:<detail>`. */
export type Cue = `${"signal" | "input" | "command"}:${string}`

/**
 * The moment of a scripted event: a time of the world in ms, or so many ms after the n-th time (from 1) that the session
 * took an input, gave a signal or a command. With no delay it is the same instant, as a task of its own.
 */
export type Moment =
  | { readonly atMs: number }
  | { readonly on: Cue; readonly nth?: number; readonly delayMs?: number }

/** What goes wrong with one provider call, pinned. What is not named goes right. */
export interface ScriptedCall {
  readonly fails?: "overload" | "unavailable" | "blocked" | "timeout" | "defect"
  /** What an overload asks to wait before the next request. */
  readonly retryAfterMs?: number
  /** Added to the time to the first result. */
  readonly slowMs?: number
  readonly stall?: { readonly after: number; readonly ms: number }
  /** After so many results the stream ends, or fails when it says so. */
  readonly truncated?: { readonly after: number; readonly says: boolean }
  readonly empty?: boolean
  readonly burst?: boolean
  /** How long a cancelled call takes to end. */
  readonly cancelMs?: number
  /** Time that a recogniser takes to connect before it hears anything. */
  readonly connectMs?: number
  /** So long after a final text it comes once more. */
  readonly duplicateMs?: number
  /** The end marker of a recogniser's stream is lost: the call never ends by itself. */
  readonly endLost?: boolean
}

/** What happens. Plain data, so that a script can be shifted, shrunk and printed. */
export type ScriptedAct =
  /** The caller speaks: one entry a word, in ms; a negative one is a pause. Behind what it is saying, if anything. */
  | { readonly does: "say"; readonly words: ReadonlyArray<number> }
  | { readonly does: "noise"; readonly ms: number }
  | { readonly does: "type"; readonly words: number; readonly messages?: number }
  | { readonly does: "hang_up" }
  /** The process is told to stop. */
  | { readonly does: "shutdown" }
  /** The process stands still for so long, and the world does not: another placement may take the session over. */
  | { readonly does: "halt"; readonly forMs: number }
  /** An episode of a fault begins, or, for a fault that comes by chance, its next opportunity is taken. */
  | { readonly does: "fault"; readonly kind: FaultKind; readonly forMs?: number }
  | { readonly does: "lease"; readonly order: "revoke" | "rotate_home" | "rotate_away" }
  /** The machine's wall clock is set to another time; the monotonic one goes on. */
  | { readonly does: "wall_clock"; readonly byMs: number }
  /** The n-th call of a provider (from 1; the next one when absent) that begins after this moment. */
  | { readonly does: "call"; readonly provider: string; readonly nth?: number; readonly with: ScriptedCall }

export interface ScriptedEvent {
  readonly when: Moment
  readonly act: ScriptedAct
}

/** A reply of the simulated model and how its voice speaks it, where a scenario needs them the same each time. */
export interface ScriptedReply {
  /** Words of each sentence. */
  readonly sentences: ReadonlyArray<number>
  /** Audio in one chunk of the voice, in ms. */
  readonly chunkMs: number
  /** How long the voice takes for a chunk, as a part of its length; 0 is at once. */
  readonly factor: number
  /** It says with each chunk how far it has spoken. */
  readonly marks?: boolean
}
