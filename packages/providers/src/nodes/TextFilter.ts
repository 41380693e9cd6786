import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import { blocked } from "@rspp/runtime/nodes/NodeFailure"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { PatternList, patternsOf } from "./Patterns.ts"

/** What is put where something was masked, unless the settings say otherwise. */
const replacement = "…"

/** Characters without a space that streaming text is held for; nothing longer is one word. */
const heldChars = 500

/** Settings of `builtin/text_filter`. Without any, everything passes. */
export const TextFilterSettings = Schema.Struct({
  /** What is masked: names of sets, words, /regular expressions/, with commas between. See {@link PatternList}. */
  mask: Schema.optionalKey(PatternList),
  replacement: Schema.optionalKey(Schema.String),
  /** What may not pass at all: the item is not let through, and the node's work ends as `blocked`. */
  deny: Schema.optionalKey(PatternList)
})

/**
 * `builtin/text_filter`: masks what matches `mask`, and blocks what matches `deny`, in transcripts, sentences or text.
 *
 * A sentence or transcript is looked at as a whole. Text that streams is let through up to its last space, so that no
 * word is cut in two; a pattern with spaces in it can still slip through in pieces, so put the filter behind the
 * sentence segmenter where that matters. Counts `masked` and `denied`.
 */
export const textFilter = defineNode({
  id: "builtin/text_filter",
  inputs: ["interim_transcript", "transcript", "text", "segment"],
  outputs: ["interim_transcript", "transcript", "text", "segment"],
  settings: TextFilterSettings,
  start: ({ settings, count }) =>
    Effect.sync(() => {
      const mask = patternsOf(settings.mask)
      const deny = patternsOf(settings.deny)
      const instead = settings.replacement ?? replacement
      /** The beginning of a word that streams. */
      let held = ""

      const filtered = (text: string) =>
        Effect.suspend(() => {
          // `search` forgets where the last search ended, which `test` does not.
          if (deny.some((pattern) => text.search(pattern) >= 0)) {
            return Effect.andThen(count("denied"), Effect.fail(blocked("the text is not allowed here")))
          }
          let masked = 0
          const passed = mask.reduce((rest, pattern) =>
            rest.replace(pattern, () => {
              masked += 1
              return instead
            }), text)
          return Effect.as(masked === 0 ? Effect.void : count("masked", masked), passed)
        })

      return {
        onItem: ({ kind, text }) => {
          if (kind !== "text") return Effect.map(filtered(text), (passed) => ({ kind, text: passed }))
          const all = held + text
          const lastWord = /\S*$/u.exec(all)?.index ?? all.length
          const end = all.length - lastWord > heldChars ? all.length : lastWord
          held = all.slice(end)
          return end === 0
            ? undefined
            : Effect.map(filtered(all.slice(0, end)), (passed) => ({ kind, text: passed }))
        },
        onEnd: () => (held === "" ? undefined : Effect.map(filtered(held), (text) => ({ kind: "text", text })))
      }
    })
})
