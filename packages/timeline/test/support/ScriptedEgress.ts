import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import { egressQueueMaxMs } from "@rspp/contracts/Time"
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { Agenda } from "./Agenda.ts"
import type { Send } from "./Script.ts"

const source = "egress"

interface Chunk {
  readonly turnId: string
  readonly segmentId: string
  readonly samples: number
}

interface Segment {
  readonly turnId: string
  passed: number
  heard: number
  ended: boolean
  accepted: boolean
  started: boolean
  completed: boolean
}

/**
 * Egress on virtual time: a queue of 200 ms that plays in real time, with pause, resume and fence, and the reports that
 * the real one makes. It plays whole chunks; a pause lets the chunk that plays end.
 */
export class ScriptedEgress {
  readonly #agenda: Agenda
  readonly #send: Send
  readonly #samplesOf: (handleId: string) => number
  readonly #segments = new Map<string, Segment>()
  readonly #fenced = new Set<string>()
  #waiting: Array<Chunk> = []
  #queue: Array<Chunk> = []
  #queuedSamples = 0
  #playing: Chunk | undefined
  #paused: string | undefined

  readonly #fenceMs: number

  constructor(agenda: Agenda, send: Send, samplesOf: (handleId: string) => number, fenceMs = 0) {
    this.#fenceMs = fenceMs
    this.#agenda = agenda
    this.#send = send
    this.#samplesOf = samplesOf
  }

  /** Carries out a command of the kernel that concerns output; any other is ignored. */
  command(command: SessionCommand): void {
    switch (command.type) {
      case "enqueue_output": {
        if (this.#fenced.has(command.turn_id)) return
        this.#segment(command.turn_id, command.segment_id)
        this.#waiting.push({
          turnId: command.turn_id,
          segmentId: command.segment_id,
          samples: this.#samplesOf(command.handle_id)
        })
        return this.#soon(() => this.#pass())
      }
      case "end_segment": {
        if (this.#fenced.has(command.turn_id)) return
        this.#segment(command.turn_id, command.segment_id).ended = true
        return this.#soon(() => this.#settle(command.segment_id))
      }
      case "pause_output":
        this.#paused = command.turn_id
        return this.#soon(() =>
          this.#send({ type: "egress_paused", turn_id: command.turn_id, samples: this.#queuedSamples })
        )
      case "resume_output":
        if (this.#paused === command.turn_id) this.#paused = undefined
        return this.#soon(() => this.#pass())
      case "fence_output":
        return this.#fence(command.turn_id)
      default:
        return
    }
  }

  #soon(act: () => void): void {
    this.#agenda.at(this.#agenda.now, source, act)
  }

  #segment(turnId: string, segmentId: string): Segment {
    const known = this.#segments.get(segmentId)
    if (known !== undefined) return known
    const segment = {
      turnId,
      passed: 0,
      heard: 0,
      ended: false,
      accepted: false,
      started: false,
      completed: false
    }
    this.#segments.set(segmentId, segment)
    return segment
  }

  /** Passes on what the queue has room for, and plays the first of it. */
  #pass(): void {
    while (this.#waiting.length > 0 && this.#paused === undefined) {
      const [chunk] = this.#waiting as [Chunk]
      if (this.#queuedSamples > 0 && this.#queuedSamples + chunk.samples > egressQueueMaxMs * samplesPerMs) break
      this.#waiting.shift()
      this.#queue.push(chunk)
      this.#queuedSamples += chunk.samples
      this.#segment(chunk.turnId, chunk.segmentId).passed += chunk.samples
      this.#send({ type: "egress_dequeued", turn_id: chunk.turnId, items: 1, samples: chunk.samples })
      this.#settle(chunk.segmentId)
    }
    this.#play()
  }

  #play(): void {
    if (this.#playing !== undefined || this.#paused !== undefined) return
    const chunk = this.#queue.shift()
    if (chunk === undefined) return
    this.#playing = chunk
    const segment = this.#segment(chunk.turnId, chunk.segmentId)
    if (!segment.started) {
      segment.started = true
      this.#soon(() => {
        if (this.#fenced.has(chunk.turnId)) return
        this.#send({ type: "playback_started", turn_id: chunk.turnId, segment_id: chunk.segmentId })
      })
    }
    this.#agenda.at(this.#agenda.now + Math.max(1, Math.round(chunk.samples / samplesPerMs)), source, () => {
      if (this.#playing !== chunk) return
      this.#playing = undefined
      this.#queuedSamples -= chunk.samples
      segment.heard += chunk.samples
      this.#settle(chunk.segmentId)
      this.#pass()
    })
  }

  /** Reports acceptance once all is passed on, and completion once all is played. */
  #settle(segmentId: string): void {
    const segment = this.#segments.get(segmentId)
    if (segment === undefined || !segment.ended || this.#fenced.has(segment.turnId)) return
    if (this.#waiting.some((chunk) => chunk.segmentId === segmentId)) return
    const about = { turn_id: segment.turnId, segment_id: segmentId, samples: segment.passed }
    if (!segment.accepted) {
      segment.accepted = true
      this.#send({ type: "output_accepted", ...about })
    }
    if (!segment.completed && segment.heard >= segment.passed && segment.passed > 0) {
      segment.completed = true
      this.#send({ type: "playback_completed", ...about })
      this.#segments.delete(segmentId)
    }
  }

  /** Synchronous, as the real fence is: its reports come as the next inputs, or so late as the script says. */
  #fence(turnId: string): void {
    this.#fenced.add(turnId)
    if (this.#paused === turnId) this.#paused = undefined
    let dropped = 0
    const own = (chunk: Chunk) => chunk.turnId === turnId
    for (const chunk of [...this.#waiting, ...this.#queue].filter(own)) dropped += chunk.samples
    this.#waiting = this.#waiting.filter((chunk) => !own(chunk))
    this.#queue = this.#queue.filter((chunk) => !own(chunk))
    if (this.#playing !== undefined && own(this.#playing)) {
      dropped += this.#playing.samples
      this.#playing = undefined
    }
    this.#queuedSamples = [...this.#queue, ...(this.#playing === undefined ? [] : [this.#playing])]
      .reduce((sum, chunk) => sum + chunk.samples, 0)
    const open = [...this.#segments].filter(([, segment]) => segment.turnId === turnId)
    for (const [id] of open) this.#segments.delete(id)
    this.#agenda.at(this.#agenda.now + this.#fenceMs, "egress", () => {
      this.#send({ type: "egress_fenced", turn_id: turnId, dropped_samples: dropped })
      for (const [segmentId, segment] of open) {
        if (!segment.started) continue
        this.#send({ type: "playback_cancelled", turn_id: turnId, segment_id: segmentId, samples: segment.heard })
      }
      this.#pass()
    })
  }
}
