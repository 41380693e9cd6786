import type { GraphEdge, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { Modality } from "@rspp/contracts/Invocation"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { meets, recordedGraph } from "./RecordedGraph.ts"
import type { RecordedGraph } from "./RecordedGraph.ts"

/** One payload of a turn: who gave it, as what, and where in the recording. */
export interface FlowItem {
  readonly handle: PayloadHandle
  readonly kind: PayloadKind
  readonly by: string
  readonly at: number
}

/** One call, as far as the flow of payloads goes. */
export interface FlowCall {
  readonly id: string
  readonly node: string
  readonly modality: Modality
  /** What it was started with: the sentence of a voice, the last line of a model's conversation. */
  readonly asked: ReadonlyArray<string>
  /** Undefined as long as it works ahead of its turn. */
  turn: string | undefined
  /** What it gave before it was a turn's. */
  readonly ahead: Array<Omit<FlowItem, "at">>
  /** The item that it has, if it gets them one by one. */
  inHand: string | undefined
  cancelled: boolean
}

/** What the records of a turn say about the payloads in its graph. */
export interface FlowTurn {
  readonly id: string
  /** What the caller said, which enters the graph at the turn detector. */
  readonly words: string | undefined
  readonly items: Map<string, FlowItem>
  /** `<node> <handle>` of what a node took, with where. */
  readonly taken: Map<string, number>
  /** `<node> <handle>` of what a node had taken and not done when it failed. */
  readonly undone: Set<string>
  /** `<edge> <handle>` of what is told as lost. */
  readonly lost: Set<string>
  /** The edge that each select took, and where in the recording. */
  readonly selected: Map<string, { readonly edge: string; readonly at: number }>
  /** Fallback edges that were told. */
  readonly fallbacks: Set<string>
  /** Nodes that are gone round since they failed. */
  readonly passedBy: Set<string>
  /** Voices that have none any more. */
  readonly muted: Set<string>
  /** Nodes whose call failed with nothing told to take its place. */
  readonly failed: Set<string>
  /** Nodes whose call ended well, with where. */
  readonly ended: Map<string, number>
}

const kinds: Readonly<Partial<Record<SessionInput["type"], PayloadKind>>> = {
  text_delta: "text",
  segment: "segment",
  voice_chunk: "voice"
}

const detectorTypes = ["turn_detector"] as const

/**
 * Follows the payloads of each turn through the recorded graph, from the records alone. Checkers feed it every record,
 * in order, and ask where a payload may be.
 */
export class GraphFlow {
  readonly graph: RecordedGraph
  readonly calls = new Map<string, FlowCall>()
  readonly turns = new Map<string, FlowTurn>()
  readonly #detector: string | undefined
  /** The words of each recogniser call, and those that were proposed last. */
  readonly #heard = new Map<string, PayloadHandle>()
  #proposed: PayloadHandle | undefined
  #input: SessionInput | undefined
  #at = -1

  constructor(header: TimelineHeader) {
    this.graph = recordedGraph(header)
    this.#detector = this.graph.nodesOf(...detectorTypes)[0]?.node_id
  }

  read(record: TimelineRecord): void {
    this.#at++
    switch (record.record) {
      case "audio":
        this.#input = undefined
        return
      case "input":
        this.#take(record.input)
        return
      case "event": {
        const { edge_id, node_id, provider_invocation_id, reason = "", turn_id } = record.event
        const turn = this.turns.get(turn_id ?? "")
        if (reason === "speculation_promoted") this.#promote(provider_invocation_id ?? "", turn)
        else if (reason.startsWith("selected:") && turn !== undefined && node_id !== undefined) {
          if (!turn.selected.has(node_id)) turn.selected.set(node_id, { edge: edge_id ?? "", at: this.#at })
        }
        return
      }
      case "signal":
        this.#signal(record.signal)
        return
      case "command":
        this.#command(record.command)
        return
      default:
        return
    }
  }

  /** Whether a payload may have come onto an edge by now. */
  mayBeOn(turn: FlowTurn, handle: string, edge: GraphEdge): boolean {
    const item = turn.items.get(handle)
    if (item === undefined || item.kind !== edge.payload_kind || !meets(edge.condition, item.handle)) return false
    const giver = this.graph.giver(edge)
    const into = () => this.graph.into(giver).some((before) => this.mayBeOn(turn, handle, before))
    if (edge.fallback_on !== undefined) return turn.fallbacks.has(edge.edge_id) && into()
    if (item.by === giver) return true
    switch (this.graph.node(giver)?.node_type) {
      case "merge":
        return into()
      case "select": {
        const chosen = this.graph.edge(turn.selected.get(giver)?.edge ?? "")
        return chosen !== undefined && this.mayBeOn(turn, handle, chosen)
      }
      default:
        return turn.passedBy.has(giver) && into()
    }
  }

  /** Whether a payload may have come to a node by now. */
  mayBeAt(turn: FlowTurn, handle: string, node: string): boolean {
    return this.graph.into(node).some((edge) => this.mayBeOn(turn, handle, edge))
  }

  /** What was given in a turn that ends well and neither came to anybody nor is told as lost: payload and edge. */
  missing(turn: FlowTurn): ReadonlyArray<readonly [item: FlowItem, edge: GraphEdge]> {
    return [...turn.items.values()].flatMap((item) =>
      this.graph.out(item.by)
        .filter((edge) => !this.#settled(turn, item, edge))
        .map((edge) => [item, edge] as const)
    )
  }

  /**
   * Whether a turn may go on when a node has failed and nobody takes its work over: nothing of it comes to the caller, or
   * all of it is for an edge of a select that has others and has not taken this one.
   */
  canDoWithout(turn: FlowTurn, node: string): boolean {
    if (!this.graph.toCaller.has(node)) return true
    const onward = [...this.graph.out(node), ...this.graph.fallback(node)]
    return onward.length > 0 && onward.every((edge) => {
      const { edge_id, to_node_id: to } = edge
      if (this.graph.node(to)?.node_type !== "select") return this.canDoWithout(turn, to)
      return turn.selected.get(to)?.edge !== edge_id && this.graph.into(to).length > 1
    })
  }

  #settled(turn: FlowTurn, item: FlowItem, edge: GraphEdge): boolean {
    const { id } = item.handle
    if (edge.payload_kind !== item.kind || !meets(edge.condition, item.handle)) return true
    if (turn.lost.has(`${edge.edge_id} ${id}`)) return true
    const to = edge.to_node_id
    const type = this.graph.node(to)?.node_type
    const all = (edges: ReadonlyArray<GraphEdge>) => edges.every((next) => this.#settled(turn, item, next))
    // What only looks on is let go with its turn, and what waits for it too.
    if (this.#isGivenUp(turn, to) || !this.graph.toCaller.has(to)) return true
    if (type === "merge") return all(this.graph.out(to))
    if (type === "select") {
      const chosen = turn.selected.get(to)
      if (chosen === undefined) return false
      return chosen.edge === edge.edge_id ? all(this.graph.out(to)) : item.at > chosen.at
    }
    if (turn.taken.has(`${to} ${id}`) && !turn.undone.has(`${to} ${id}`)) return true
    if (turn.muted.has(to)) return true
    if (item.at > (turn.ended.get(to) ?? Number.POSITIVE_INFINITY)) return true
    const handed = this.graph.fallback(to).filter(({ edge_id }) => turn.fallbacks.has(edge_id))
    const round = turn.passedBy.has(to) ? this.graph.out(to) : []
    return handed.length + round.length > 0 && all([...handed, ...round])
  }

  /** Nobody wants what the node gives: it failed for good, or all that comes of it is for an edge that was not taken. */
  #isGivenUp(turn: FlowTurn, node: string): boolean {
    if (turn.failed.has(node)) return true
    const onward = [...this.graph.out(node), ...this.graph.fallback(node)]
    return onward.length > 0 && onward.every((edge) => {
      const chosen = turn.selected.get(edge.to_node_id)
      return (chosen !== undefined && chosen.edge !== edge.edge_id) || this.#isGivenUp(turn, edge.to_node_id)
    })
  }

  #take(input: SessionInput): void {
    this.#input = input
    if (input.type === "transcript" && input.finality === "final") {
      this.#heard.set(input.provider_invocation_id, input.handle)
    } else if (input.type === "item_done") {
      const call = this.calls.get(input.provider_invocation_id)
      if (call !== undefined && !call.cancelled) call.inHand = undefined
    } else if (input.type === "invocation_ended") {
      const call = this.calls.get(input.provider_invocation_id)
      const turn = this.turns.get(call?.turn ?? "")
      if (call === undefined || turn === undefined || call.cancelled) return
      if (input.outcome_class === "success") turn.ended.set(call.node, this.#at)
      else this.#fails(call, turn)
    } else if ("handle" in input) {
      const call = "provider_invocation_id" in input ? this.calls.get(input.provider_invocation_id) : undefined
      const kind = input.type === "node_item" ? input.payload_kind : kinds[input.type]
      if (call === undefined || kind === undefined || call.cancelled) return
      const item = { handle: input.handle, kind, by: call.node }
      if (call.turn === undefined) call.ahead.push(item)
      else this.turns.get(call.turn)?.items.set(input.handle.id, { ...item, at: this.#at })
    }
  }

  #fails(call: FlowCall, turn: FlowTurn): void {
    turn.failed.add(call.node)
    for (const handle of call.inHand === undefined ? call.asked : [call.inHand]) {
      turn.undone.add(`${call.node} ${handle}`)
    }
  }

  #promote(id: string, turn: FlowTurn | undefined): void {
    const call = this.calls.get(id)
    if (call === undefined || turn === undefined) return
    call.turn = turn.id
    for (const handle of call.asked) turn.taken.set(`${call.node} ${handle}`, this.#at)
    for (const item of call.ahead.splice(0)) turn.items.set(item.handle.id, { ...item, at: this.#at })
  }

  #signal(told: Extract<TimelineRecord, { record: "signal" }>["signal"]): void {
    const { edge_id, node_id, provider_invocation_id, reason = "", signal, turn_id = "" } = told
    const turn = this.turns.get(turn_id)
    const node = node_id ?? this.calls.get(provider_invocation_id ?? "")?.node
    switch (signal) {
      case "turn_open_proposed":
        this.#proposed = this.#heard.get(provider_invocation_id ?? "") ?? handleOf(this.#input)
        return
      case "turn_open":
        this.#open(turn_id)
        return
      case "budget_exhausted":
      case "provider_error": {
        // Out of time, of its own or of its turn's.
        const call = this.calls.get(provider_invocation_id ?? "")
        const own = this.turns.get(call?.turn ?? "")
        if (call !== undefined && own !== undefined) this.#fails(call, own)
        return
      }
      case "drop_notice":
        turn?.lost.add(`${edge_id} ${reason.slice(reason.indexOf(":") + 1)}`)
        return
      case "fallback":
        if (turn === undefined || edge_id === undefined || node === undefined) return
        if (this.graph.edge(edge_id)?.fallback_on === undefined) return
        turn.fallbacks.add(edge_id)
        turn.failed.delete(node)
        return
      case "degrade":
        if (turn === undefined || node === undefined) return
        if (reason.startsWith("node_passed_by:")) turn.passedBy.add(node)
        else if (reason === "speech_unavailable") turn.muted.add(node)
        else if (reason === "reply_cut_short") {
          // What was said answers what was asked.
          for (const undone of turn.undone) if (undone.startsWith(`${node} `)) turn.undone.delete(undone)
        }
        turn.failed.delete(node)
        return
      default:
        return
    }
  }

  #open(id: string): void {
    const words = this.#proposed
    const turn: FlowTurn = {
      id,
      words: words?.id,
      items: new Map(),
      taken: new Map(),
      undone: new Set(),
      lost: new Set(),
      selected: new Map(),
      fallbacks: new Set(),
      passedBy: new Set(),
      muted: new Set(),
      failed: new Set(),
      ended: new Map()
    }
    this.turns.set(id, turn)
    if (words === undefined || this.#detector === undefined) return
    turn.items.set(words.id, { handle: words, kind: "transcript", by: this.#detector, at: this.#at })
  }

  #command(command: Extract<TimelineRecord, { record: "command" }>["command"]): void {
    switch (command.type) {
      case "start_invocation": {
        const { modality, node_id, provider_invocation_id: id, text, turn_id } = command
        if (modality === "stt") return
        const last = command.conversation?.findLast(({ role }) => role === "user")
        const said = (last?.parts ?? []).map(({ handle_id }) => handle_id)
        const asked = text === undefined ? said : [text.id]
        this.calls.set(id, {
          id,
          node: node_id,
          modality,
          asked,
          turn: turn_id,
          ahead: [],
          inHand: undefined,
          cancelled: false
        })
        const turn = this.turns.get(turn_id ?? "")
        if (turn === undefined) return
        turn.failed.delete(node_id)
        turn.ended.delete(node_id)
        for (const handle of asked) {
          turn.taken.set(`${node_id} ${handle}`, this.#at)
          turn.undone.delete(`${node_id} ${handle}`)
        }
        return
      }
      case "push_item": {
        const call = this.calls.get(command.provider_invocation_id)
        if (call === undefined) return
        call.inHand = command.handle.id
        this.turns.get(call.turn ?? "")?.taken.set(`${call.node} ${command.handle.id}`, this.#at)
        return
      }
      case "write_transcript":
        this.turns.get(command.turn_id)?.taken.set(`${command.node_id} ${command.handle.id}`, this.#at)
        return
      case "enqueue_output": {
        const turn = this.turns.get(command.turn_id)
        for (const { node_id } of this.graph.nodesOf("audio_output")) {
          turn?.taken.set(`${node_id} ${command.handle_id}`, this.#at)
        }
        return
      }
      case "cancel_invocation": {
        const call = this.calls.get(command.provider_invocation_id)
        if (call === undefined) return
        const turn = this.turns.get(call.turn ?? "")
        if (command.reason === "timeout" && !call.cancelled && turn !== undefined && !turn.failed.has(call.node)) {
          this.#fails(call, turn)
        }
        call.cancelled = true
        return
      }
      default:
        return
    }
  }
}

const handleOf = (input: SessionInput | undefined): PayloadHandle | undefined =>
  input !== undefined && "handle" in input ? input.handle : undefined
