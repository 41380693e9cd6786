import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import * as Layer from "effect/Layer"

/** Sentences end at a full stop, a question mark or an exclamation mark. */
export const layer = Layer.succeed(SentenceSegmenter, {
  start: () => {
    let rest = ""
    return {
      push: (delta) => {
        rest += delta
        if (!/[.!?]/u.test(delta)) return []
        const sentences = rest.match(/[^.!?]*[.!?]\s*/gu) ?? []
        rest = rest.slice(sentences.join("").length)
        return sentences.map((sentence) => sentence.trim())
      },
      flush: () => (rest.trim() === "" ? undefined : rest.trim())
    }
  }
})
