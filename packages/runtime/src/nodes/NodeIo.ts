import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Effect } from "effect"
import type { NodeFacts, NodeKind, TextKind } from "./NodeDefinition.ts"
import type { NodeFailure } from "./NodeFailure.ts"

/** One output on its way out, its kind decided. */
export type GivenOutput =
  | { readonly kind: TextKind; readonly text: string; readonly facts: NodeFacts }
  | { readonly kind: "voice"; readonly samples: Int16Array; readonly facts: NodeFacts }

/** One item on its way in, by handle. */
export interface PushedItem {
  readonly edgeId: string
  readonly kind: NodeKind
  readonly handle: PayloadHandle
}

/** What the runner of calls does for a node's work. */
export interface NodeIo {
  /** Takes one output; waits while there is no room for it. */
  readonly give: (output: GivenOutput) => Effect.Effect<unknown>
  /** The item in work is done. */
  readonly done: Effect.Effect<unknown>
  /** Ends the work with this failure: it is interrupted, and cut off when it does not end within the grace. */
  readonly stop: (failure: NodeFailure) => void
}

/** One invocation of a node, as the runner of calls drives it. All but `run` are synchronous. */
export interface NodeInvocation {
  /** The whole work, from start to end, in the runner's fiber. */
  readonly run: Effect.Effect<void, NodeFailure>
  readonly push: (item: PushedItem) => void
  readonly endItems: () => void
  readonly notify: (notice: "barge_in" | "false_alarm" | "budget_warning") => void
  /** True: the fiber is to be interrupted now. False: the work ends by itself after the item that it is at. */
  readonly cancel: (reason: string) => boolean
}
