import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"

const samplesPerMs = 16
/** What the transport's own queue holds: 200 ms. */
const transportSamples = 200 * samplesPerMs

interface Part {
  readonly turnId: string
  readonly segmentId: string
  readonly chunks: Array<{ end: number; samples: number; accepted: boolean }>
  readonly start: number
  end: number
  closed: boolean
  acceptedAll: boolean
  started: boolean
  completed: boolean
}

/**
 * Egress as the kernel sees it: plays what it is given in virtual real time, passes each chunk on when the transport's
 * 200 ms have room for it, and reports by segment id. Time moves only by `advance`.
 */
export class SimulatedEgress {
  readonly #lengthOf: (handleId: string) => number
  #parts: Array<Part> = []
  #position = 0
  #since = 0
  #total = 0
  #paused: string | undefined
  /** Chunks of fenced turns that were handed in; must stay 0. */
  afterFence = 0
  readonly #fenced = new Set<string>()

  constructor(lengthOf: (handleId: string) => number) {
    this.#lengthOf = lengthOf
  }

  enqueue(command: CommandOf<"enqueue_output">, now: number): void {
    this.#move(now)
    if (this.#fenced.has(command.turn_id)) {
      this.afterFence += 1
      return
    }
    const part = this.#part(command.turn_id, command.segment_id)
    const samples = this.#lengthOf(command.handle_id)
    this.#total += samples
    part.end = this.#total
    part.chunks.push({ end: this.#total, samples, accepted: false })
  }

  endSegment(command: CommandOf<"end_segment">, now: number): void {
    this.#move(now)
    if (!this.#fenced.has(command.turn_id)) this.#part(command.turn_id, command.segment_id).closed = true
  }

  pause(turnId: string, now: number): void {
    this.#move(now)
    this.#paused = turnId
  }

  resume(turnId: string, now: number): void {
    this.#move(now)
    if (this.#paused === turnId) this.#paused = undefined
  }

  /** Silence at once. Returns what is to be reported: the cut of what was playing, and the fence. */
  fence(turnId: string, now: number): ReadonlyArray<SessionInput> {
    this.#move(now)
    this.#fenced.add(turnId)
    if (this.#paused === turnId) this.#paused = undefined
    const own = this.#parts.filter((part) => part.turnId === turnId && !part.completed)
    const reports: Array<SessionInput> = []
    let dropped = 0
    for (const part of own) {
      const heard = Math.min(part.end, Math.max(part.start, this.#position)) - part.start
      dropped += part.end - part.start - heard
      const passedOn = part.chunks.some((chunk) => chunk.accepted)
      if (passedOn) {
        reports.push({ type: "playback_cancelled", turn_id: turnId, segment_id: part.segmentId, samples: heard })
      }
    }
    this.#parts = this.#parts.filter((part) => part.turnId !== turnId)
    // What came behind the cut turn moves up.
    this.#total = this.#position
    return [...reports, { type: "egress_fenced", turn_id: turnId, dropped_samples: dropped }]
  }

  /** What there is to report at `now`. */
  advance(now: number): ReadonlyArray<SessionInput> {
    this.#move(now)
    const reports: Array<SessionInput> = []
    for (const part of this.#parts) {
      const about = { turn_id: part.turnId, segment_id: part.segmentId } as const
      if (this.#paused === undefined) {
        for (const chunk of part.chunks) {
          if (chunk.accepted || this.#position + transportSamples < chunk.end) continue
          chunk.accepted = true
          reports.push({ type: "egress_dequeued", turn_id: part.turnId, items: 1, samples: chunk.samples })
        }
        if (part.closed && !part.acceptedAll && part.chunks.every((chunk) => chunk.accepted)) {
          part.acceptedAll = true
          reports.push({ type: "output_accepted", ...about, samples: part.end - part.start })
          if (part.chunks.length === 0) part.completed = true
        }
      }
      if (!part.started && this.#position > part.start) {
        part.started = true
        reports.push({ type: "playback_started", ...about })
      }
      if (part.acceptedAll && !part.completed && this.#position >= part.end) {
        part.completed = true
        reports.push({ type: "playback_completed", ...about, samples: part.end - part.start })
      }
    }
    this.#parts = this.#parts.filter((part) => !part.completed)
    return reports
  }

  /** When there will be something to report, if nothing else happens. */
  nextDue(now: number): number | undefined {
    if (this.#paused !== undefined) return undefined
    this.#move(now)
    let due: number | undefined
    const at = (position: number) => {
      const when = now + Math.max(0, Math.ceil((position - this.#position) / samplesPerMs))
      if (due === undefined || when < due) due = when
    }
    for (const part of this.#parts) {
      for (const chunk of part.chunks) if (!chunk.accepted) at(chunk.end - transportSamples)
      if (part.closed && !part.acceptedAll && part.chunks.every((chunk) => chunk.accepted)) at(this.#position)
      if (!part.started && part.end > part.start) at(part.start + 1)
      if (part.acceptedAll && !part.completed) at(part.end)
    }
    return due
  }

  #part(turnId: string, segmentId: string): Part {
    const known = this.#parts.find((part) => part.segmentId === segmentId)
    if (known !== undefined) return known
    const part: Part = {
      turnId,
      segmentId,
      chunks: [],
      start: this.#total,
      end: this.#total,
      closed: false,
      acceptedAll: false,
      started: false,
      completed: false
    }
    this.#parts.push(part)
    return part
  }

  #move(now: number): void {
    if (this.#paused === undefined) {
      this.#position = Math.min(this.#total, this.#position + (now - this.#since) * samplesPerMs)
    }
    this.#since = now
  }
}
