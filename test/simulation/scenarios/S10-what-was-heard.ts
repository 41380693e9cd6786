import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

/** The simulated voice takes as long for each character, in samples: 65 ms. So it is known how much was really heard. */
const samplesPerChar = 65 * 16

interface Part {
  readonly handle_id: string
  readonly chars: number
  readonly chars_min?: number
  readonly chars_max?: number
}

/** What the model is told that the agent has said, each time that it is asked. */
const said = (told: Told): ReadonlyArray<{ readonly at: number; readonly turn: string; readonly part: Part }> =>
  told.commands("start_invocation").flatMap(({ at, conversation = [], turn_id }) =>
    conversation.filter(({ role }) => role === "assistant")
      .flatMap(({ parts }) => parts.map((part) => ({ at, turn: turn_id ?? "", part })))
  )

/**
 * The model is never told more of a reply than its sentences have characters. A sentence that counts in part says between
 * what the part lies, and what was really played by then lies between; one without bounds was heard to its end.
 */
const boundedByTruth = (told: Told): void => {
  const lengths = new Map(told.inputs("segment").map(({ handle }) => [handle.id, handle.length]))
  const segments = new Map(
    told.commands("start_invocation").flatMap(({ segment_id, text }) =>
      segment_id === undefined || text === undefined ? [] : [[text.id, segment_id] as const]
    )
  )
  const ended = [...told.inputs("playback_cancelled"), ...told.inputs("playback_completed")]
  for (const { at, part: { chars, chars_max, chars_min, handle_id } } of said(told)) {
    const length = lengths.get(handle_id) ?? 0
    assert.isAtMost(chars, length)
    if (chars_min === undefined || chars_max === undefined) {
      assert.strictEqual(chars, length, `${handle_id} is certain, so it is whole`)
      continue
    }
    assert.isAtMost(chars_min, chars)
    assert.isAtMost(chars, chars_max)
    assert.isAtMost(chars_max, length)
    const end = ended.find((one) => one.at < at && one.segment_id === segments.get(handle_id))
    if (end === undefined) continue
    const really = Math.min(length, end.samples / samplesPerChar)
    assert.isAtMost(chars_min, Math.ceil(really), `at least so much of ${handle_id} was heard`)
    assert.isAtLeast(chars_max, Math.floor(really), `at most so much of ${handle_id} was heard`)
  }
}

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const

/** The agent is cut so long after its first sound, or after the first sound of its second sentence. */
const cutAfter = (delayMs: number, nth = 1): ScenarioCase["script"] => [
  speech,
  { when: { on: "input:playback_started", nth, delayMs }, act: { does: "type", words: 3 } }
]

/** What the model of the second turn is told of the reply of the first. */
const remembered = (told: Told): ReadonlyArray<Part> => {
  const [, next] = told.turns
  return said(told).filter(({ turn }) => turn === next).map(({ part }) => part)
}

const lengthOf = (told: Told, { handle_id }: Part): number =>
  told.inputs("segment").find(({ handle }) => handle.id === handle_id)?.handle.length ?? 0

export const scenario: NamedScenario = {
  id: "S10",
  sentence: "the reply is truncated to what delivery reports say was heard, with the uncertainty stated",
  cases: [
    {
      name: "the reply counts up to where it was cut, and says between what that lies",
      script: cutAfter(1200),
      holds: (told) => {
        const [part, ...others] = remembered(told)
        if (part === undefined) return assert.fail("the sentence that was cut is remembered in part")
        const [first] = told.segments(told.turns[0])
        const length = lengthOf(told, part)
        assert.deepStrictEqual(others, [], "the sentence that was not heard is not remembered")
        assert.strictEqual(part.chars, Math.floor((length * (first?.cancelled ?? 0)) / (first?.enqueued ?? 1)))
        assert.isAbove(part.chars, 0)
        assert.isBelow(part.chars, length)
        assert.isBelow(part.chars_min ?? part.chars, part.chars)
        assert.isAbove(part.chars_max ?? part.chars, part.chars)
      },
      always: boundedByTruth
    },
    {
      name: "the voice had not finished the sentence: its length is not known, and the bounds are wider",
      script: cutAfter(600),
      call: { reply: { sentences: [12, 4], chunkMs: 100, factor: 0.9 } },
      holds: (told) => {
        const [part, ...others] = remembered(told)
        if (part === undefined) return assert.fail("the sentence that was cut is remembered in part")
        assert.deepStrictEqual(others, [])
        assert.isBelow(part.chars, lengthOf(told, part))
        assert.isAbove((part.chars_max ?? 0) / part.chars, 2, "even its usual speed is only a guess")
      },
      always: boundedByTruth
    },
    {
      name: "a voice that says how far it has spoken: what was heard is known to the chunk, though it had not finished",
      script: cutAfter(600),
      call: { reply: { sentences: [12, 4], chunkMs: 100, factor: 0.9, marks: true } },
      holds: (told) => {
        const [part, ...others] = remembered(told)
        if (part === undefined) return assert.fail("the sentence that was cut is remembered in part")
        assert.deepStrictEqual(others, [])
        const [first] = told.segments(told.turns[0])
        const really = (first?.cancelled ?? 0) / samplesPerChar
        assert.isAtMost(Math.abs(part.chars - really), 2, "to the character or two that a chunk of 100 ms has")
        assert.isAtMost((part.chars_max ?? 0) - (part.chars_min ?? 0), 5)
      },
      always: boundedByTruth
    },
    {
      name: "a sentence that was heard to its end is certain, and only the one after it is not",
      script: cutAfter(900, 2),
      holds: (told) => {
        const [whole, cut, ...others] = remembered(told)
        if (whole === undefined || cut === undefined) return assert.fail("both sentences are remembered")
        assert.deepStrictEqual(others, [])
        assert.deepStrictEqual(whole, { handle_id: whole.handle_id, chars: lengthOf(told, whole) })
        assert.isDefined(cut.chars_min)
        assert.isDefined(cut.chars_max)
        assert.isBelow(cut.chars, lengthOf(told, cut))
      },
      always: boundedByTruth
    }
  ]
}
