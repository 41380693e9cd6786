import * as Context from "effect/Context"

/** Cuts one reply into sentences. Synchronous and pure but for its own state. */
export interface SegmenterRun {
  /** Takes the next words; returns the sentences that are complete now. */
  readonly push: (delta: string) => ReadonlyArray<string>
  /** The reply is over: what is left, if anything. */
  readonly flush: () => string | undefined
}

/** Sentence segmenter: what the language model says becomes sentences that a voice can speak. */
export class SentenceSegmenter extends Context.Service<SentenceSegmenter, {
  readonly start: () => SegmenterRun
}>()("rspp/SentenceSegmenter") {}
