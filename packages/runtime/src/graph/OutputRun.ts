import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import { markSpeech } from "../session/Heard.ts"
import type { Segment } from "../turn/Turn.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import { firstToArrive } from "./EdgeRun.ts"
import type { NodeRun } from "./NodeRun.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

/**
 * The end of the graph: speech goes to egress, which holds it until it is played. So what was handed on goes on taking
 * its place on the edge until egress has passed it to the transport.
 */
export class OutputRun implements NodeRun {
  readonly of: TurnNode
  readonly #work: TurnWork
  readonly #into: ReadonlyArray<EdgeRun>
  /** Which edge each chunk at egress came by, and its length, oldest first; kept only where there are several edges. */
  readonly #sent: Array<{ readonly edge: EdgeRun; readonly samples: number }> = []
  #sampleIndex = 0
  #over = false

  constructor(of: TurnNode, work: TurnWork) {
    this.of = of
    this.#work = work
    this.#into = work.edges(of.into)
  }

  get isOver(): boolean {
    return this.#over
  }

  pump(): boolean {
    if (this.#over) return false
    let moved = false
    for (let next = firstToArrive(this.#into); next !== undefined; next = firstToArrive(this.#into)) {
      const item = next.pass()
      if (item?.segment === undefined) break
      moved = true
      this.#know(item.segment)
      if (item.end === true) this.#end(item.segment)
      else this.#send(next, item.segment, item.handle)
    }
    if (this.#into.some((edge) => !edge.isOver)) return moved
    this.#over = true
    return true
  }

  /** Egress has passed chunks on: there is room again. */
  dequeued(items: number, samples: number): void {
    const [only, ...others] = this.#into
    if (only !== undefined && others.length === 0) {
      only.release(items, samples * 2, Math.ceil(samples / samplesPerMs))
      return
    }
    for (const { edge, samples: own } of this.#sent.splice(0, items)) {
      edge.release(1, own * 2, Math.ceil(own / samplesPerMs))
    }
  }

  abandon(): void {
    this.#over = true
  }

  #know(segment: Segment): void {
    const { turn } = this.#work
    if (!turn.segments.includes(segment)) turn.segments.push(segment)
  }

  #send(edge: EdgeRun, segment: Segment, { facts, id, length: samples }: PayloadHandle): void {
    const { budgets, context, gateway, turn } = this.#work
    if (this.#into.length > 1) this.#sent.push({ edge, samples })
    if (turn.firstOutputMs === undefined) {
      turn.firstOutputMs = context.now
      budgets.turnSettled(turn.turnId)
    }
    // One event a segment: its place in the turn's speech. The chunks themselves are commands.
    if (segment.samples === 0) {
      gateway.event({
        turn_id: turn.turnId,
        lane: "DataLane",
        payload_class: "audio_raw",
        edge_id: edge.edge.edge_id,
        media_time: { sample_index: this.#sampleIndex },
        ...(segment.invocation === undefined ? {} : { provider_invocation_id: segment.invocation })
      })
    }
    this.#sampleIndex += samples
    segment.samples += samples
    if (facts?.spoken_chars !== undefined && context.behaves("marks")) markSpeech(segment, facts.spoken_chars)
    context.command({
      type: "enqueue_output",
      turn_id: turn.turnId,
      segment_id: segment.segmentId,
      handle_id: id,
      authority_epoch: turn.epoch
    })
  }

  #end(segment: Segment): void {
    segment.synthesised = true
    this.#work.context.command({
      type: "end_segment",
      turn_id: this.#work.turn.turnId,
      segment_id: segment.segmentId
    })
  }
}
