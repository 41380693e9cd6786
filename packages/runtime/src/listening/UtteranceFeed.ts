import type { BufferStrategy } from "@rspp/contracts/TurnPlan"
import type { Cause } from "effect"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { PreventSchedulerYield } from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import type { RecognitionInput } from "../ports/SpeechToText.ts"

/** Bounds of the edge from the caller to a recogniser (CONTRACT section 5, caller audio), and what it does when full. */
export interface FeedBounds {
  readonly items: number
  readonly bytes: number
  /** Audio that may wait, in ms of its own duration. */
  readonly ms: number
  /** `merge` by default. What waits has been handed on, so that nothing can take its place: the others drop. */
  readonly strategy?: BufferStrategy
}

/** What one recogniser is fed for one utterance. Every call is synchronous and never waits. */
export interface UtteranceFeed {
  readonly stream: Stream.Stream<RecognitionInput>
  /** What was said before the recogniser was started: all of it goes first. Its bound is the history's, not the edge's. */
  readonly lead: (samples: Int16Array) => void
  /** Returns the number of samples that had to be dropped. */
  readonly audio: (samples: Int16Array) => number
  readonly mark: (mark: Exclude<RecognitionInput, { readonly _tag: "Audio" }>) => void
}

/** Slots that are kept for marks, so that audio cannot crowd them out … */
const markSlots = 64
/** … and for the end and the audio before it, so that nothing can. */
const endSlots = 2

/**
 * A queue that wakes its reader through the session's scheduler, at once: `Effect.runSync` would give it a scheduler of
 * its own, whose microtasks are outside of the session's time and order.
 */
const makeQueue = (context: Context.Context<never>, capacity: number) => {
  const undivided = Context.add(context, PreventSchedulerYield, true)
  const exit = Effect.runForkWith(undivided)(Queue.bounded<RecognitionInput, Cause.Done>(capacity)).pollUnsafe()
  if (exit === undefined || exit._tag === "Failure") throw new Error("a queue could not be made")
  return exit.value
}

/**
 * The caller's audio on its way to a recogniser: when the recogniser is slow, audio is merged into one waiting chunk
 * before any of it is dropped.
 *
 * Guarantees: I-EDGE-BOUND what waits never passes the edge's items, bytes and milliseconds; what is dropped is counted.
 */
export const makeUtteranceFeed = (bounds: FeedBounds, context: Context.Context<never>): UtteranceFeed => {
  const { strategy = "merge" } = bounds
  const queue = makeQueue(context, bounds.items + markSlots + endSlots)
  /** Samples of each entry of the queue, oldest first; 0 for marks and for what was said before the start. */
  const waiting: Array<number> = []
  let items = 0
  let samplesWaiting = 0
  let merged: Array<Int16Array> = []
  let mergedSamples = 0
  let full = 0
  const offer = (input: RecognitionInput, counted: number) => {
    waiting.push(counted)
    if (counted > 0) items += 1
    samplesWaiting += counted
    Queue.offerUnsafe(queue, input)
  }
  /** What the reader has taken waits no more. */
  const settle = () => {
    for (let gone = waiting.length - Queue.sizeUnsafe(queue); gone > 0; gone--) {
      const counted = waiting.shift() ?? 0
      if (counted > 0) items -= 1
      samplesWaiting -= counted
    }
  }
  const flush = () => {
    if (merged.length === 0) return
    const samples = new Int16Array(mergedSamples)
    let at = 0
    for (const part of merged) {
      samples.set(part, at)
      at += part.length
    }
    merged = []
    samplesWaiting -= mergedSamples
    offer({ _tag: "Audio", samples }, mergedSamples)
    mergedSamples = 0
  }
  const merges = (): boolean => {
    if (strategy === "merge") return true
    // Every second frame of those that find no place is kept, joined to the one before.
    return strategy === "sample" && ++full % 2 === 0
  }
  return {
    stream: Stream.fromQueue(queue),
    lead: (samples) => offer({ _tag: "Audio", samples }, 0),
    audio: (samples) => {
      settle()
      const more = samplesWaiting + samples.length
      if (more * 2 > bounds.bytes || more > bounds.ms * samplesPerMs) return samples.length
      if (merged.length === 0 && items < bounds.items) {
        offer({ _tag: "Audio", samples }, samples.length)
        return 0
      }
      if (items >= bounds.items && !merges()) return samples.length
      merged.push(samples)
      mergedSamples += samples.length
      samplesWaiting += samples.length
      if (items < bounds.items) flush()
      return 0
    },
    mark: (mark) => {
      settle()
      if (mark._tag !== "End" && Queue.sizeUnsafe(queue) + 1 >= bounds.items + markSlots) return
      flush()
      offer(mark, 0)
      if (mark._tag === "End") Queue.endUnsafe(queue)
    }
  }
}
