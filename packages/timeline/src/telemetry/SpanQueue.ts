import { TraceFlags } from "@opentelemetry/api"
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace"
import type { Batching } from "./TelemetrySettings.ts"

/** What becomes of a batch; a promise where the next is to wait for it. */
export type TakeSpans = (spans: Array<ReadableSpan>) => Promise<void> | undefined

/**
 * Spans that have ended and wait to be handed on, a batch at a time, on a task of its own.
 *
 * Guarantees (I-TELEMETRY-SHED): ending a span puts it into an array and does nothing else; no more than `maxQueue` wait,
 * what comes then is dropped and counted.
 */
export class SpanQueue implements SpanProcessor {
  readonly #batching: Batching
  readonly #take: TakeSpans
  readonly #dropped: (spans: number) => void
  #waiting: Array<ReadableSpan> = []
  #timer: NodeJS.Timeout | undefined
  #soon = false
  #taking: Promise<void> | undefined
  #closed = false

  constructor(batching: Batching, take: TakeSpans, dropped: (spans: number) => void) {
    this.#batching = batching
    this.#take = take
    this.#dropped = dropped
  }

  /** Spans that wait. */
  get size(): number {
    return this.#waiting.length
  }

  onStart = (): void => {}

  onEnd = (span: ReadableSpan): void => {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0 || this.#closed) return
    if (this.#waiting.length >= this.#batching.maxQueue) return this.#dropped(1)
    this.#waiting.push(span)
    if (this.#waiting.length >= this.#batching.maxBatch) this.#handOnSoon()
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(this.#handOn, this.#batching.delayMs)
      this.#timer.unref()
    }
  }

  /** Everything that waits is handed on, and taken. */
  forceFlush = async (): Promise<void> => {
    while (this.#waiting.length > 0 || this.#taking !== undefined) {
      this.#handOn()
      await this.#taking
    }
  }

  shutdown = async (): Promise<void> => {
    await this.forceFlush()
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #handOnSoon(): void {
    if (this.#soon) return
    this.#soon = true
    setImmediate(() => {
      this.#soon = false
      this.#handOn()
    })
  }

  readonly #handOn = (): void => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#taking !== undefined || this.#waiting.length === 0) return
    const batch = this.#waiting.splice(0, this.#batching.maxBatch)
    const taken = this.#take(batch)
    if (taken === undefined) return this.#more()
    this.#taking = this.#after(taken)
  }

  async #after(taken: Promise<void>): Promise<void> {
    await taken
    this.#taking = undefined
    this.#more()
  }

  #more(): void {
    if (this.#waiting.length >= this.#batching.maxBatch) this.#handOnSoon()
    else if (this.#waiting.length > 0 && this.#timer === undefined && !this.#closed) {
      this.#timer = setTimeout(this.#handOn, this.#batching.delayMs)
      this.#timer.unref()
    }
  }
}
