import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

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

/** A node between edges: what comes by those before it, and what it gives to those after it. */
export abstract class EdgesRun implements NodeRun {
  readonly of: TurnNode
  protected readonly work: TurnWork
  protected readonly into: ReadonlyArray<EdgeRun>
  protected readonly out: ReadonlyArray<EdgeRun>
  #over = false

  constructor(of: TurnNode, work: TurnWork) {
    this.of = of
    this.work = work
    this.into = work.edges(of.into)
    this.out = work.edges(of.out)
  }

  get isOver(): boolean {
    return this.#over
  }

  abstract pump(): boolean

  abandon(_reason: string): void {
    this.#over = true
  }

  /** It gives nothing more: the edges after it end, those for when it fails included. */
  protected finish(): void {
    this.#over = true
    for (const edge of [...this.out, ...this.work.edges(this.of.fallback)]) edge.end()
  }
}
