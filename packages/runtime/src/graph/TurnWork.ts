import type { GraphEdge } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { TurnFlow } from "../flow/FlowControl.ts"
import type { EdgeSync } from "../flow/SyncIntegrity.ts"
import type { Circuits } from "../invocation/CircuitWatch.ts"
import type { Invocation, SessionInvocations, StartOptions } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionBudgets } from "../limits/Budget.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import type { Segment, Turn } from "../turn/Turn.ts"
import type { EdgeRun, Item } from "./EdgeRun.ts"
import type { NodeRun } from "./NodeRun.ts"
import type { SessionGraph, TurnNode } from "./SessionGraph.ts"
import type { AheadCall } from "./Speculation.ts"

/** What the graph of a turn needs of the session. */
export interface TurnGraphParts {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly graph: SessionGraph
  readonly invocations: SessionInvocations
  readonly budgets: SessionBudgets
  readonly conversation: SessionConversation
  readonly circuits: Circuits
  readonly identity: { readonly segmentId: (turnId: string, ordinal: number) => string }
}

/** What the nodes and edges of one running turn share. */
export interface TurnWork extends TurnGraphParts {
  readonly turn: Turn
  readonly flow: TurnFlow
  readonly sync: EdgeSync
  /** The edges of a node at work. */
  readonly edges: (edges: ReadonlyArray<GraphEdge>) => ReadonlyArray<EdgeRun>
  readonly nextArrival: () => number
  /** The next sentence of the reply. */
  readonly newSegment: (handle: PayloadHandle) => Segment
  /** Starts a call that works for a node; what it gives comes to that node. */
  readonly call: (run: NodeRun, options: Omit<StartOptions, "turnId" | "softMs" | "nodeId">) => Invocation
  /** Says that an item came to an edge; returns the event's id, where there is one. */
  readonly tell: (
    edge: GraphEdge,
    item: Item,
    producer: string | undefined,
    joins: string | undefined
  ) => string | undefined
  /** Says that an item was lost. */
  readonly lost: (item: Item, reason: string, edgeId: string) => void
  /** The call that was made for this node before the turn was open, if there is one; from now on it is the node's. */
  readonly adopt: (run: NodeRun) => AheadCall | undefined
  /** Another path to the output is in use from now on: it gets the budget of a path. */
  readonly newPath: () => void
  /** Names the work of a node in this turn: stable across attempts. */
  readonly workName: (of: TurnNode) => string
  /** The provider that the plan binds to a node; its stand-in, while another call tries it or when that failed. */
  readonly provider: (of: TurnNode) => string
  /** Everything that worked only for these edges stops. */
  readonly abandon: (edges: ReadonlyArray<GraphEdge>, reason: string) => void
}
