import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

/** What became of a call that failed: the turn goes on, or ends with this reason. */
export type Recovery = { readonly goesOn: true } | { readonly goesOn: false; readonly reason: string }

/** How a call failed. */
export interface Failure {
  readonly outcome: string
  /** Whether the same request may succeed when it is sent again. */
  readonly retryable: boolean
  /** How long its vendor asked to wait before that. */
  readonly retryAfterMs?: number
}

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
  readonly failed?: (invocation: Invocation, failure: Failure) => Recovery
  /** The timer by which it waits before it tries again. */
  readonly retryTimer?: string | undefined
  /** A timer of it is due. */
  readonly due?: () => void
  /** Its turn is ending: it does not try again. */
  readonly stop?: () => void
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
  #again: { readonly timer: string; readonly start: () => void } | undefined

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

  get retryTimer(): string | undefined {
    return this.#again?.timer
  }

  due(): void {
    const again = this.#again
    this.#again = undefined
    if (!this.#over) again?.start()
  }

  stop(): void {
    if (this.#again === undefined) return
    this.work.context.disarm(this.#again.timer)
    this.#again = undefined
  }

  abandon(_reason: string): void {
    this.#over = true
    this.stop()
  }

  /** Begins the work of a failed call again: now, or when the wait before that is over. */
  protected again(failed: Invocation, afterMs: number | undefined, start: () => void): void {
    if (afterMs === undefined) return start()
    const { context } = this.work
    // The timer names the call that failed.
    const timer = `retry:${failed.id}`
    this.#again = { timer, start }
    context.arm(timer, context.now + afterMs)
  }

  /** It gives nothing more: the edges after it end, those for when it fails included. */
  protected finish(): void {
    this.#over = true
    for (const edge of [...this.out, ...this.work.edges(this.of.fallback)]) edge.end()
  }
}
