import type { Cause } from "effect"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { PreventSchedulerYield } from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type { RecognitionInput } from "../ports/SpeechToText.ts"

/** Bounds of the edge from the caller to a recogniser (CONTRACT section 5, caller audio). */
export interface FeedBounds {
  readonly items: number
  readonly bytes: number
}

/** What one recogniser is fed for one utterance. Every call is synchronous and never waits. */
export interface UtteranceFeed {
  readonly stream: Stream.Stream<RecognitionInput>
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
 * before any of it is dropped, up to the edge's bytes.
 */
export const makeUtteranceFeed = (bounds: FeedBounds, context: Context.Context<never>): UtteranceFeed => {
  const queue = makeQueue(context, bounds.items + markSlots + endSlots)
  let merged: Array<Int16Array> = []
  let mergedBytes = 0
  const flush = () => {
    if (merged.length === 0) return
    const samples = new Int16Array(mergedBytes / 2)
    let at = 0
    for (const part of merged) {
      samples.set(part, at)
      at += part.length
    }
    merged = []
    mergedBytes = 0
    Queue.offerUnsafe(queue, { _tag: "Audio", samples })
  }
  return {
    stream: Stream.fromQueue(queue),
    audio: (samples) => {
      if (Queue.sizeUnsafe(queue) < bounds.items) {
        flush()
        Queue.offerUnsafe(queue, { _tag: "Audio", samples })
        return 0
      }
      if (mergedBytes + samples.length * 2 > bounds.bytes) return samples.length
      merged.push(samples)
      mergedBytes += samples.length * 2
      return 0
    },
    mark: (mark) => {
      if (mark._tag !== "End" && Queue.sizeUnsafe(queue) + 1 >= bounds.items + markSlots) return
      flush()
      Queue.offerUnsafe(queue, mark)
      if (mark._tag === "End") Queue.endUnsafe(queue)
    }
  }
}
