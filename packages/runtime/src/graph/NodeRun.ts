import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { TurnNode } from "./SessionGraph.ts"

/** What became of a call that failed: the turn goes on, or ends with this reason. */
export type Recovery = { readonly goesOn: true } | { readonly goesOn: false; readonly reason: string }

export const goesOn: Recovery = { goesOn: true }

/**
 * A node of the graph at work for one turn. It looks at its edges when it is pumped, and is told what its calls give.
 * It never waits: whatever it cannot do now it does when it is pumped again.
 */
export interface NodeRun {
  readonly of: TurnNode
  /** Nothing more will come of it: its edges have ended. */
  readonly isOver: boolean
  /** Does what can be done now. True when it did something. */
  readonly pump: () => boolean
  /** A call of it gave something. */
  readonly gave?: (invocation: Invocation, kind: PayloadKind, handle: PayloadHandle) => void
  /** A call of it is done with the item that it had. */
  readonly did?: (invocation: Invocation) => void
  /** A call of it ended well. */
  readonly ended?: (invocation: Invocation) => void
  /** A call of it failed or ran out of time. */
  readonly failed?: (invocation: Invocation, outcome: string, retryable: boolean) => Recovery
  /** A timer of it is due. */
  readonly due?: () => void
  /** Nobody wants what it gives any more. */
  readonly abandon: (reason: string) => void
}
