import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { TurnState } from "@rspp/contracts/Turn"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"

/** Why an active turn ends without a commit, strongest first (CONTRACT section 4, precedence). */
export const endRank = { authority: 0, cancel: 1, budget: 2, failure: 3, disconnect: 4 } as const

/** A cause that ends an active turn: its rank decides between causes that meet, its reason goes on the `abort`. */
export interface EndCause {
  readonly kind: keyof typeof endRank
  readonly reason: string
}

/** A wish to open a turn: what the caller said or typed, and the epoch under which it came in. */
export interface TurnIntent {
  readonly handle: PayloadHandle
  readonly epoch: number
  readonly proposedMs: number
  /** The recogniser's invocation that the turn adopts; absent for typed text. */
  readonly recognition?: string
  /** What was reserved for it of what the tenant's sessions share. */
  readonly reservation?: string
}

/** How much of a sentence has been spoken after so many samples of it. */
export interface SpeechMark {
  readonly samples: number
  readonly chars: number
}

/** One sentence of the reply on its way to the caller. */
export interface Segment {
  readonly segmentId: string
  readonly handle: PayloadHandle
  invocation: string | undefined
  synthesised: boolean
  /** Samples of speech that were handed to egress. */
  samples: number
  /** Egress has passed all of it on to the transport. */
  accepted: boolean
  playbackStarted: boolean
  playbackEnded: boolean
  /** Samples that the caller is known to have heard. */
  heardSamples: number
  /** Where the voice says how far it has spoken, ascending in both; absent when it does not. */
  marks?: Array<SpeechMark>
}

/** An accepted turn, from `turn_open` to `close` and its delivery after that. */
export interface Turn {
  readonly turnId: string
  readonly epoch: number
  readonly plan: ResolvedTurnPlan
  readonly openMs: number
  readonly userHandle: PayloadHandle
  state: TurnState
  firstOutputMs: number | undefined
  /** The sentences that came to egress, in the order in which they are spoken. */
  readonly segments: Array<Segment>
  outputEnded: boolean
  evidenceRequested: boolean
  ending: EndCause | undefined
  cancelled: boolean
  fenceRequested: boolean
  fenced: boolean
  paused: boolean
}

export const makeTurn = (
  fields: Pick<Turn, "turnId" | "epoch" | "plan" | "openMs" | "userHandle">
): Turn => ({
  state: "Active",
  firstOutputMs: undefined,
  segments: [],
  outputEnded: false,
  evidenceRequested: false,
  ending: undefined,
  cancelled: false,
  fenceRequested: false,
  fenced: false,
  paused: false,
  ...fields
})

/** True while some of the turn's speech may still reach the caller. */
export const isSpeaking = (turn: Turn): boolean =>
  !turn.fenceRequested && turn.segments.some((segment) => segment.samples > 0 && !segment.playbackEnded)
