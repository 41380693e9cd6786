import type { GraphEdge, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { TurnFlow } from "../flow/FlowControl.ts"
import type { EdgeSync } from "../flow/SyncIntegrity.ts"
import type { Invocation, StartOptions } from "../invocation/InvocationLedger.ts"
import type { Segment, Turn } from "../turn/Turn.ts"
import type { Item } from "./EdgeRun.ts"
import { EdgeRun, syncIdsOf } from "./EdgeRun.ts"
import { ExternalRun } from "./ExternalRun.ts"
import { MergeRun, SelectRun, SinkRun } from "./JoinRuns.ts"
import { ModelRun } from "./ModelRun.ts"
import type { Failure, NodeRun } from "./NodeRun.ts"
import { OutputRun } from "./OutputRun.ts"
import { hasAnotherWay } from "./Recovery.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { AheadCall } from "./Speculation.ts"
import type { TurnGraphParts, TurnWork } from "./TurnWork.ts"
import { VoiceRun } from "./VoiceRun.ts"

/** Something that nodes may want to know while they work. */
export type Notice = "barge_in" | "false_alarm" | "budget_warning"

/**
 * The graph of one turn at work: what the caller said enters it, and speech comes out of it. Each stage streams into the
 * next; nothing waits for a whole but what has to.
 *
 * Guarantees: I-GRAPH-ROUTE a payload moves only along an edge of the compiled graph whose condition it meets;
 * I-EDGE-BOUND, I-EDGE-ORDER (see `EdgeRun`); I-SEG-OWNER (see `VoiceRun`).
 */
export class TurnGraph implements TurnWork {
  readonly turn: Turn
  readonly flow: TurnFlow
  readonly sync: EdgeSync
  readonly context
  readonly gateway
  readonly graph
  readonly invocations
  readonly budgets
  readonly conversation
  readonly circuits
  readonly identity
  readonly #edges = new Map<string, EdgeRun>()
  readonly #runs: ReadonlyArray<NodeRun>
  readonly #output: OutputRun | undefined
  readonly #owners = new Map<string, NodeRun>()
  readonly #ahead: ReadonlyMap<string, AheadCall>
  #arrivals = 0
  #segments = 0
  #stopped = false

  constructor(
    turn: Turn,
    parts: TurnGraphParts,
    works: { readonly flow: TurnFlow; readonly sync: EdgeSync; readonly ahead: ReadonlyMap<string, AheadCall> }
  ) {
    const { ahead, flow, sync } = works
    this.turn = turn
    this.sync = sync
    this.#ahead = ahead
    this.flow = flow
    this.context = parts.context
    this.gateway = parts.gateway
    this.graph = parts.graph
    this.invocations = parts.invocations
    this.budgets = parts.budgets
    this.conversation = parts.conversation
    this.circuits = parts.circuits
    this.identity = parts.identity
    // Last things first: room that is made at the end is used at once.
    this.#runs = parts.graph.turnNodes.map((node) => this.#open(node)).reverse()
    this.#output = this.#runs.find((run) => run instanceof OutputRun)
  }

  start(): void {
    for (const edge of this.edges(this.graph.entries)) {
      edge.offer({ handle: this.turn.userHandle }, undefined)
      edge.end()
    }
    this.budgets.turnOpened(this.turn.plan)
    this.pump()
  }

  /** A call gave something. False: nobody wants it any more. */
  gave(invocation: Invocation, kind: PayloadKind, handle: PayloadHandle): boolean {
    const run = this.#owners.get(invocation.id)
    if (run?.gave === undefined || run.isOver) return false
    run.gave(invocation, kind, handle)
    this.pump()
    return true
  }

  /** A node is done with the item that it had. */
  did(invocation: Invocation): void {
    const run = this.#owners.get(invocation.id)
    if (run === undefined || run.isOver) return
    run.did?.(invocation)
    this.pump()
  }

  /** A call ended well. */
  ended(invocation: Invocation): void {
    const run = this.#owners.get(invocation.id)
    this.#owners.delete(invocation.id)
    if (run === undefined || run.isOver) return
    run.ended?.(invocation)
    this.pump()
  }

  /** A call failed or ran out of time. The reason for which the turn must end, or undefined: it goes on. */
  failed(invocation: Invocation, failure: Failure): string | undefined {
    const { outcome } = failure
    const run = this.#owners.get(invocation.id)
    if (run === undefined || run.isOver) return undefined
    this.#owners.delete(invocation.id)
    if (invocation.modality !== "external") {
      this.gateway.signal("provider_error", "RK-11", {
        turn_id: this.turn.turnId,
        provider_invocation_id: invocation.id,
        reason: outcome
      })
    }
    const recovery = run.failed?.(invocation, failure)
    if (recovery?.goesOn === false) {
      // What leads nowhere that the caller would notice ends alone, and so does one of several that a select can take.
      if (run.of.isToCaller && !this.#hasOthers(run)) return recovery.reason
      run.abandon(outcome)
    }
    this.pump()
    return undefined
  }

  /** The key of the first edge into a node that names one. */
  #fairnessKey(of: TurnNode): string | undefined {
    if (!this.context.behaves("limits")) return undefined
    const policies = this.turn.plan.edge_buffer_policies
    for (const { edge_id } of of.into) {
      const key = policies[edge_id]?.fairness_key
      if (key !== undefined) return key
    }
    return undefined
  }

  /** Whether all that comes of a node goes to a select that can take something else. */
  #hasOthers(failed: NodeRun): boolean {
    for (const run of this.#runs) {
      if (!(run instanceof SelectRun)) continue
      for (const edge of run.of.into) {
        if (!this.graph.onlyBefore([edge]).has(failed.of.node.node_id)) continue
        if (run.doWithout(edge.edge_id)) return true
      }
    }
    return false
  }

  /** Egress has passed chunks on to the transport. */
  dequeued(items: number, samples: number): void {
    this.#output?.dequeued(items, samples)
    this.pump()
  }

  /** A timer of an edge or a node of this turn is due. */
  timer(name: string): void {
    if (name.startsWith("block:")) {
      for (const edge of this.#edges.values()) if (edge.blockTimer === name) edge.blockExpired()
    } else if (name.startsWith("retry:")) {
      this.#runs.find((run) => run.retryTimer === name)?.due?.()
    } else {
      const nodeId = name.slice(`select:${this.turn.turnId}:`.length)
      this.#runs.find((run) => run.of.node.node_id === nodeId)?.due?.()
    }
    this.pump()
  }

  /** Tells the nodes that are at work. */
  notify(notice: Notice, only?: string): void {
    for (const invocation of this.invocations.ofTurn(this.turn.turnId)) {
      if (invocation.modality !== "external" || (only !== undefined && invocation.id !== only)) continue
      if (invocation.cancelSentMs !== undefined) continue
      this.context.command({ type: "notify_node", provider_invocation_id: invocation.id, notice })
    }
  }

  /** Does what can be done, and says when no more output will come. */
  pump(): void {
    const { context, turn } = this
    if (turn.ending !== undefined || turn.outputEnded) return
    for (let moved = true; moved;) {
      moved = false
      for (const run of this.#runs) if (!run.isOver && run.pump()) moved = true
    }
    for (const run of this.#runs) if (!run.isOver && run.of.isToCaller) return
    turn.outputEnded = true
    this.budgets.turnSettled(turn.turnId)
    context.command({ type: "end_output", turn_id: turn.turnId })
  }

  /** The turn is ending: nothing of it waits any more. Its envelope runs on, for the precedence of causes. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const edge of this.#edges.values()) edge.close()
    for (const run of this.#runs) {
      if (run instanceof SelectRun) run.abandon("turn_over")
      else run.stop?.()
    }
  }

  /** The terminal has come: nothing of the turn can run out any more, and nobody works on for it. */
  closed(): void {
    this.budgets.turnSettled(this.turn.turnId)
    for (const run of this.#runs) if (!run.isOver) run.abandon("turn_over")
  }

  edges(edges: ReadonlyArray<GraphEdge>): ReadonlyArray<EdgeRun> {
    return edges.map((edge) => {
      const known = this.#edges.get(edge.edge_id)
      if (known !== undefined) return known
      const run = new EdgeRun(edge, this)
      this.#edges.set(edge.edge_id, run)
      return run
    })
  }

  nextArrival(): number {
    return ++this.#arrivals
  }

  newSegment(handle: PayloadHandle): Segment {
    return {
      segmentId: this.identity.segmentId(this.turn.turnId, ++this.#segments),
      handle,
      invocation: undefined,
      synthesised: false,
      samples: 0,
      accepted: false,
      playbackStarted: false,
      playbackEnded: false,
      heardSamples: 0
    }
  }

  call(run: NodeRun, options: Omit<StartOptions, "turnId" | "softMs" | "nodeId">): Invocation {
    const invocation = this.invocations.start({
      nodeId: run.of.node.node_id,
      turnId: this.turn.turnId,
      softMs: this.turn.plan.budgets.node_budget_ms_default,
      fairnessKey: this.#fairnessKey(run.of),
      ...options
    })
    this.#owners.set(invocation.id, run)
    return invocation
  }

  adopt(run: NodeRun): AheadCall | undefined {
    const ahead = this.#ahead.get(run.of.node.node_id)
    if (ahead !== undefined && !ahead.ended) this.#owners.set(ahead.invocation.id, run)
    return ahead
  }

  newPath(): void {
    const { turn } = this
    if (!this.context.behaves("limits") || turn.firstOutputMs !== undefined || turn.outputEnded) return
    if (turn.ending === undefined) this.budgets.pathStarted(turn.plan)
  }

  /**
   * The budget of the path in use ran out. True: the call that keeps it waiting has given up, and what the plan allows
   * instead is at work. False: there is no other way to the output.
   */
  otherPath(): boolean {
    for (const invocation of this.invocations.ofTurn(this.turn.turnId)) {
      const run = this.#owners.get(invocation.id)
      if (run === undefined || run.isOver || invocation.cancelSentMs !== undefined) continue
      if (!run.of.isToCaller || invocation.firstResultMs !== undefined) continue
      if (!hasAnotherWay(this, run.of, invocation)) continue
      this.invocations.cancel(invocation.id, "timeout")
      this.failed(invocation, { outcome: "timeout", retryable: false })
      return true
    }
    return false
  }

  /** What waits on an edge has waited for as long as the edge may add. */
  edgeLate(edgeId: string): void {
    this.#edges.get(edgeId)?.late()
    this.pump()
  }

  workName(of: TurnNode): string {
    const { node_id } = of.node
    return `${this.turn.turnId}/${node_id === this.graph.onlyModel ? "reply" : node_id}`
  }

  provider({ binding, node }: TurnNode): string {
    const bindings = this.turn.plan.provider_bindings
    const bound = bindings[binding.own] ?? bindings[binding.modality] ?? node.provider_id ?? `builtin/${node.node_type}`
    if (this.circuits.mayCall(bound, this.turn.turnId)) return bound
    return bindings[`${binding.modality}.fallback`] ?? bound
  }

  tell(edge: GraphEdge, item: Item, producer: string | undefined, joins: string | undefined): string | undefined {
    if (item.end === true || edge.payload_kind === "voice") return undefined
    // Text that streams has no events of its own, but where it is to be merged.
    const merged = edge.payload_kind !== "text" || this.graph.merges.has(edge.to_node_id)
    if (!merged && joins === undefined) return undefined
    return this.gateway.event({
      turn_id: this.turn.turnId,
      lane: "DataLane",
      payload_class: item.handle.payload_class,
      edge_id: edge.edge_id,
      ...(edge.payload_kind === "transcript" ? { node_id: edge.to_node_id } : {}),
      ...(producer === undefined ? {} : { provider_invocation_id: producer }),
      ...(joins === undefined
        ? {}
        : { merge_group_id: `merge_${this.turn.turnId}_${edge.edge_id}`, merged_from_event_ids: [joins] })
    })
  }

  lost(item: Item, reason: string, edgeId: string): void {
    const { handle } = item
    const { causeSequence } = this.context
    this.gateway.signal("drop_notice", "RK-12", {
      turn_id: this.turn.turnId,
      edge_id: edgeId,
      target_lane: "DataLane",
      reason: `${reason}:${handle.id}`,
      seq_range: { start: causeSequence, end: causeSequence }
    })
    for (const group of this.sync.lost(edgeId, syncIdsOf(item), reason, this.turn.turnId)) {
      this.#edges.get(group.edgeId)?.dropGroup(group.key)
    }
  }

  abandon(edges: ReadonlyArray<GraphEdge>, reason: string): void {
    const lost = this.graph.onlyBefore(edges)
    for (const run of this.#runs) {
      if (lost.has(run.of.node.node_id) && !run.isOver) run.abandon(reason)
    }
  }

  #open(of: TurnNode): NodeRun {
    switch (of.node.node_type) {
      case "language_model":
        return new ModelRun(of, this)
      case "text_to_speech":
        return new VoiceRun(of, this)
      case "audio_output":
        return new OutputRun(of, this)
      case "merge":
        return new MergeRun(of, this)
      case "select":
        return new SelectRun(of, this)
      case "transcript_sink":
        return new SinkRun(of, this)
      default:
        return new ExternalRun(of, this)
    }
  }
}
