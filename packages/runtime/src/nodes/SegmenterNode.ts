import * as Effect from "effect/Effect"
import type { SentenceSegmenter } from "../ports/SentenceSegmenter.ts"
import { defineNode } from "./NodeDefinition.ts"

/**
 * `builtin/sentence_segmenter`: cuts text into sentences for a voice, where something stands between it and the
 * language model. A segmenter that is next to its model is part of that model's call instead.
 */
export const segmenterNode = (segmenter: SentenceSegmenter["Service"]) =>
  defineNode({
    id: "builtin/sentence_segmenter",
    inputs: ["text"],
    outputs: ["segment"],
    start: (_context) =>
      Effect.sync(() => {
        const run = segmenter.start()
        return {
          onItem: ({ text }) => run.push(text),
          onEnd: () => run.flush()
        }
      })
  })
