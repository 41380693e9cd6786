import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { InputOf } from "@rspp/contracts/SessionInput"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { Circuits } from "../invocation/CircuitWatch.ts"
import type { Invocation, SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import { passes } from "./EdgeCondition.ts"
import type { SessionGraph, TurnNode } from "./SessionGraph.ts"

/** Results of one early call that are kept; then its provider is held until its turn opens. */
export const keptAhead = 64

/** A model's call that was made before its turn was open, and what has come of it. */
export interface AheadCall {
  readonly invocation: Invocation
  /** Names the work: another attempt at it, once it is the turn's, goes under the same name. */
  readonly work: string
  readonly items: ReadonlyArray<{ readonly kind: PayloadKind; readonly handle: PayloadHandle }>
  /** It has given everything. */
  readonly ended: boolean
  /** It was held, because much had come already. */
  readonly held: boolean
}

/** Early work of one session: at most one turn ahead. */
export interface SessionSpeculation {
  /** The words of a pause are there, and the caller may yet go on: models that need nothing else start now. */
  readonly begin: (handle: PayloadHandle) => void
  readonly owns: (invocation: Invocation | undefined) => boolean
  readonly gave: (invocation: Invocation, kind: PayloadKind, handle: PayloadHandle) => void
  /** The call is over: well, or not; then it is as if it had not been made. */
  readonly ended: (invocation: Invocation, input: InputOf<"invocation_ended">) => void
  readonly failed: (invocation: Invocation) => void
  /** Nobody will want it: its calls are cancelled. */
  readonly withdraw: (reason: string) => void
  /**
   * A turn opens with these words. Compare and set: what was begun is the turn's own when words, conversation, epoch
   * and provider are those that it was begun with; otherwise it is withdrawn, and the turn begins anew.
   */
  readonly promote: (
    turn: { readonly turnId: string; readonly plan: ResolvedTurnPlan },
    handle: PayloadHandle
  ) => ReadonlyMap<string, AheadCall>
}

interface Ahead extends AheadCall {
  readonly items: Array<{ readonly kind: PayloadKind; readonly handle: PayloadHandle }>
  ended: boolean
  held: boolean
  /** The end as it was reported: it goes on record when it is known whose it is. */
  end: { readonly input: InputOf<"invocation_ended">; readonly atMs: number } | undefined
}

const nothing: ReadonlyMap<string, AheadCall> = new Map()

/**
 * Speculation (a part of RK-07): the language model may start in the pause after the caller's words, before the endpoint
 * has passed. Off unless the session's settings say `speculation.preemptive`.
 *
 * Guarantees: I-AHEAD-SILENT nothing of it is spoken, shown or remembered before `turn_open`; I-AHEAD-CAS it becomes a
 * turn's own only by comparing words, conversation, epoch and provider; I-AHEAD-ONE at most one turn is worked ahead for,
 * and what is given up is cancelled and recorded.
 */
export class Speculation extends Context.Service<Speculation, {
  readonly open: (parts: {
    readonly context: KernelContext
    readonly gateway: SessionGateway
    readonly graph: SessionGraph
    readonly invocations: SessionInvocations
    readonly conversation: SessionConversation
    readonly circuits: Circuits
  }) => SessionSpeculation
}>()("rspp/Speculation") {
  static readonly layer = Layer.succeed(Speculation, {
    open: ({ circuits, context, conversation, gateway, graph, invocations }) => {
      const { pipeline, session_config } = context.header
      const enabled = session_config.speculation?.preemptive === true
      const entries = new Set(graph.entries.map((edge) => edge.edge_id))
      /** Models that are asked what the caller said, as it was said. */
      const models = graph.turnNodes.filter(({ into, node }) => {
        const [only, ...others] = into
        return node.node_type === "language_model" && only !== undefined && others.length === 0 &&
          entries.has(only.edge_id)
      })
      let handle: PayloadHandle | undefined
      let version = 0
      let epoch = 0
      const calls = new Map<string, Ahead>()

      const binding = (bindings: Readonly<Record<string, string>>, { node }: TurnNode) =>
        bindings[`llm.${node.node_id}`] ?? bindings["llm"]
      const tell = (reason: string, ahead: Ahead, turnId?: string) =>
        gateway.event({
          lane: "DataLane",
          payload_class: "metadata",
          node_id: ahead.invocation.nodeId,
          provider_invocation_id: ahead.invocation.id,
          reason,
          ...(turnId === undefined ? {} : { turn_id: turnId })
        })
      const settle = ({ end }: Ahead) => {
        if (end !== undefined) invocations.ended(end.input, end.atMs)
      }
      const giveUp = (nodeId: string, ahead: Ahead, reason: string) => {
        calls.delete(nodeId)
        tell(`speculation_withdrawn:${reason}`, ahead)
        if (ahead.end === undefined) invocations.cancel(ahead.invocation.id, "speculation_withdrawn")
        settle(ahead)
      }
      const withdraw = (reason: string) => {
        handle = undefined
        for (const [nodeId, ahead] of [...calls]) giveUp(nodeId, ahead, reason)
      }
      const of = (invocation: Invocation): Ahead | undefined => {
        const ahead = calls.get(invocation.nodeId)
        return ahead?.invocation === invocation ? ahead : undefined
      }

      return {
        withdraw,
        owns: (invocation) => invocation !== undefined && of(invocation) !== undefined,
        begin: (words) => {
          if (!enabled) return
          withdraw("words_changed")
          handle = words
          version = conversation.version()
          epoch = context.epoch
          for (const model of models) {
            const provider = binding(pipeline.provider_bindings, model)
            if (provider === undefined || !passes(model.into[0]?.condition, words)) continue
            // What may fail, or may be tried once only, is not asked for words that may yet change.
            if (context.behaves("trials") && circuits.stateOf(provider) !== "closed") continue
            const work = `ahead_of_${words.id}/${model.node.node_id}`
            const invocation = invocations.start({
              nodeId: model.node.node_id,
              modality: "llm",
              provider,
              work,
              conversation: conversation.lines(undefined, words),
              ...(model.givesSentences ? {} : { emits: "text" as const })
            })
            const ahead: Ahead = { invocation, work, items: [], ended: false, held: false, end: undefined }
            calls.set(model.node.node_id, ahead)
            tell("speculation_started", ahead)
          }
        },
        gave: (invocation, kind, given) => {
          const ahead = of(invocation)
          if (ahead === undefined) return
          invocations.resulted(invocation)
          ahead.items.push({ kind, handle: given })
          if (ahead.items.length < keptAhead || ahead.held) return
          ahead.held = true
          context.command({ type: "pause_invocation", provider_invocation_id: invocation.id })
        },
        ended: (invocation, input) => {
          const ahead = of(invocation)
          if (ahead === undefined) return
          if (ahead.items.length === 0) {
            // Nothing to go on with: the turn asks anew.
            calls.delete(invocation.nodeId)
            tell("speculation_withdrawn:empty", ahead)
            invocations.ended(input)
            return
          }
          ahead.ended = true
          invocations.settled(invocation)
          ahead.end = { input, atMs: context.now }
        },
        failed: (invocation) => {
          const ahead = of(invocation)
          if (ahead === undefined) return
          calls.delete(invocation.nodeId)
          tell("speculation_withdrawn:failed", ahead)
        },
        promote: (turn, words) => {
          if (calls.size === 0) return nothing
          const same = handle?.id === words.id && version === conversation.version() && epoch === context.epoch
          if (!same) {
            withdraw(handle?.id === words.id ? "context_changed" : "words_changed")
            return nothing
          }
          handle = undefined
          const promoted = new Map<string, AheadCall>()
          for (const [nodeId, ahead] of [...calls]) {
            const model = models.find(({ node }) => node.node_id === nodeId)
            if (model === undefined || binding(turn.plan.provider_bindings, model) !== ahead.invocation.provider) {
              giveUp(nodeId, ahead, "provider_changed")
              continue
            }
            calls.delete(nodeId)
            ahead.invocation.turnId = turn.turnId
            tell("speculation_promoted", ahead, turn.turnId)
            if (ahead.held) context.command({ type: "resume_invocation", provider_invocation_id: ahead.invocation.id })
            settle(ahead)
            promoted.set(nodeId, ahead)
          }
          return promoted
        }
      }
    }
  })
}
