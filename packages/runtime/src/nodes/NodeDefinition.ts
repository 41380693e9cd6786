import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import { NodeSettings } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope, Stream } from "effect"
import type { NamedRandom } from "../determinism/NamedRandom.ts"
import type { NodeFailure } from "./NodeFailure.ts"
import type { NodeState } from "./NodeState.ts"

/** What a node can be given and can give. */
export type NodeKind = Exclude<PayloadKind, "caller_audio" | "voice_edge">
export type TextKind = Exclude<NodeKind, "voice">

/** What is known of a payload besides its content; edges have conditions on it. */
export type NodeFacts = NonNullable<PayloadHandle["facts"]>

interface ItemBase {
  readonly edgeId: string
  readonly facts: NodeFacts
}

export interface TextItem<K extends TextKind = TextKind> extends ItemBase {
  readonly kind: K
  readonly text: string
}

/** Speech of the agent: 16 kHz mono PCM. Not the node's to change. */
export interface VoiceItem extends ItemBase {
  readonly kind: "voice"
  readonly samples: Int16Array
}

/** One payload that a node is given. */
export type NodeItem<K extends NodeKind = NodeKind> =
  | (K extends TextKind ? TextItem<K> : never)
  | (K extends "voice" ? VoiceItem : never)

/**
 * Text that a node gives. `kind` may be left out when the node gives only one kind of text, or the kind that it was
 * given. `label` (and whatever else is known) is for conditions of edges; what is left out is taken from the item.
 */
export interface TextOutput<K extends NodeKind = NodeKind> {
  readonly text: string
  readonly kind?: Extract<K, TextKind>
  readonly label?: string
  readonly complete?: boolean
}

export interface VoiceOutput {
  readonly samples: Int16Array
  readonly kind?: "voice"
  readonly label?: string
}

export type NodeOutput<K extends NodeKind = NodeKind> =
  | (K extends TextKind ? TextOutput<K> | string : never)
  | (K extends "voice" ? VoiceOutput : never)

/** What a piece of a node's work gives: nothing, one output or several; at once, by an Effect, or as a Stream. */
export type Outputs<K extends NodeKind = NodeKind> = NodeOutput<K> | ReadonlyArray<NodeOutput<K>> | undefined | void
export type Work<K extends NodeKind = NodeKind> =
  | Outputs<K>
  | Effect.Effect<Outputs<K>, NodeFailure, Scope.Scope>
  | Stream.Stream<NodeOutput<K>, NodeFailure, Scope.Scope>

/**
 * What a node knows of where it works. Everything that may differ from run to run comes from here, so that a test or a
 * simulation decides it: no clock, chance or id of a node's own.
 */
export interface NodeContext<S = unknown> {
  readonly sessionId: string
  /** The turn; a node that lives as long as the session starts without one. */
  readonly turnId: string | undefined
  readonly nodeId: string
  /** The node's settings in the pipeline, decoded. */
  readonly settings: S
  /** Milliseconds since the session started. */
  readonly nowMs: () => number
  readonly budget: {
    /** What one item may take, in ms. */
    readonly itemMs: number
    /** What is left for the item in work; all of it when there is none. */
    readonly remainingMs: () => number
  }
  readonly state: {
    /** Gone with the turn. */
    readonly turn: NodeState
    /** Kept for the session, on this machine. */
    readonly session: NodeState
  }
  /** A stream of chance of its own by this name: the same seed gives the same draws. */
  readonly random: (name: string) => NamedRandom
  readonly log: (message: string) => Effect.Effect<void>
  readonly count: (name: string, by?: number) => Effect.Effect<void>
}

/** Hooks and work of a node that has started. Each runs in its own fiber; none may outlast the limits of the node. */
export interface NodeRun<I extends NodeKind = NodeKind, O extends NodeKind = NodeKind, S = unknown> {
  /** The work on one item. The next comes when this is done. */
  readonly onItem: (item: NodeItem<I>, context: NodeContext<S>) => Work<O>
  /** No more items come in this turn: what is left, if anything. */
  readonly onEnd?: (context: NodeContext<S>) => Work<O>
  /** The caller speaks while the agent does. It may turn out to be nothing: see `onFalseAlarm`. */
  readonly onBargeIn?: (context: NodeContext<S>) => Work<O>
  readonly onFalseAlarm?: (context: NodeContext<S>) => Work<O>
  /** Most of the time for an item is used up: what is given now is still taken. */
  readonly onBudgetWarning?: (context: NodeContext<S>) => Work<O>
  /** The time is used up and the work is stopped. What is given now is late. Comes before `onCancel`. */
  readonly onBudgetExhausted?: (context: NodeContext<S>) => Work<O>
  /** The work of the turn is stopped before it is done, for this reason. What is given now is late. */
  readonly onCancel?: (reason: string, context: NodeContext<S>) => Work<O>
}

/** Limits of a node, in ms. What is left out is what the pipeline allows a provider for its first result. */
export interface NodeTimeouts {
  /** To start. */
  readonly startMs?: number
  /** For one item, without the time that its outputs wait for room. */
  readonly itemMs?: number
  /** For `onEnd`, when all items are done. */
  readonly stopMs?: number
}

/** A node as its author describes it. `S` is the decoded form of its settings. */
export interface NodeDefinition<I extends NodeKind = NodeKind, O extends NodeKind = NodeKind, S = unknown> {
  /** The name that a pipeline calls it by: `provider_id` of its node, such as `acme/redact`. */
  readonly id: string
  readonly inputs: ReadonlyArray<I>
  readonly outputs: ReadonlyArray<O>
  /** `turn`: started anew for each turn. `session`: started once, kept for all turns. */
  readonly scope: "turn" | "session"
  readonly settings: Schema.Decoder<S>
  readonly timeouts: NodeTimeouts
  /** On a cancel: `interrupt` the work at once, or `finish_item` first (within the cancellation grace). */
  readonly cancel: "interrupt" | "finish_item"
  readonly start: (context: NodeContext<S>) => Effect.Effect<NodeRun<I, O, S>, NodeFailure, Scope.Scope>
}

/** Any node, whatever its kinds and settings. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyNode = NodeDefinition<any, any, any>

type Given<I extends NodeKind, O extends NodeKind, S> =
  & {
    readonly id: string
    readonly inputs: ReadonlyArray<I>
    readonly outputs: ReadonlyArray<O>
    readonly scope?: "turn" | "session"
    readonly settings?: Schema.Decoder<S>
    readonly timeouts?: NodeTimeouts
    readonly cancel?: "interrupt" | "finish_item"
  }
  & (
    | { readonly start: NodeDefinition<I, O, S>["start"] }
    // A node that has nothing to start says its hooks at once.
    | NodeRun<I, O, S>
  )

/** A node that says nothing of settings takes none. */
const noSettings = NodeSettings.check(
  Schema.makeFilter((settings) => Object.keys(settings).length === 0 ? undefined : "it takes no settings")
)

/**
 * Defines a node (DX-06). The least that a node needs is an id, its kinds and `onItem`; `start` is for nodes that open
 * something (it runs in a scope that is closed when the node is done), the hooks for nodes that want to know more.
 *
 * Guarantees, kept by the node host: one item at a time, in order; everything that the node gives for an item goes out
 * before the item counts as done; what it throws, dies of or fails with ends its own invocation and nothing else; its
 * scope is closed when it ends, is cancelled or runs out of time.
 *
 * @example
 * ```ts
 * export const shout = defineNode({
 *   id: "example/shout",
 *   inputs: ["segment"],
 *   outputs: ["segment"],
 *   onItem: ({ text }) => text.toUpperCase()
 * })
 * ```
 */
export const defineNode = <const I extends NodeKind, const O extends NodeKind, S = Readonly<Record<string, never>>>(
  given: Given<I, O, S>
): NodeDefinition<I, O, S> => ({
  id: given.id,
  inputs: given.inputs,
  outputs: given.outputs,
  scope: given.scope ?? "turn",
  settings: given.settings ?? (noSettings as unknown as Schema.Decoder<S>),
  timeouts: given.timeouts ?? {},
  cancel: given.cancel ?? "interrupt",
  start: "start" in given ? given.start : () => Effect.succeed(given)
})
