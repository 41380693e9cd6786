import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** The endpoint passes 1 s after the last word, and the model may begin as soon as the words are there. */
const spec = {
  session_config: {
    endpointing: { min_ms: 1000, unfinished_ms: 1000, max_ms: 1000 },
    speculation: { preemptive: true }
  }
}

interface Ahead {
  readonly call: string
  readonly startedAt: number
  /** Ways in which it ended: `promoted`, or the reason of its withdrawal. */
  readonly ends: ReadonlyArray<string>
  readonly endedAt: number
  readonly turn: string | undefined
}

/** Every call that was made before its turn was open, and what became of it. */
const workAhead = (told: Told): ReadonlyArray<Ahead> => {
  const all = new Map<string, { startedAt: number; ends: Array<string>; endedAt: number; turn: string | undefined }>()
  told.records.forEach((record, at) => {
    if (record.record !== "event") return
    const { provider_invocation_id: call = "", reason = "", turn_id } = record.event
    if (reason === "speculation_started") {
      assert.isFalse(all.has(call), `${call} was begun twice`)
      all.set(call, { startedAt: at, ends: [], endedAt: Number.POSITIVE_INFINITY, turn: undefined })
    } else if (reason.startsWith("speculation_")) {
      const known = all.get(call)
      if (known === undefined) return assert.fail(`${call} ended before it was begun`)
      known.ends.push(reason.replace(/^speculation_(?:withdrawn:)?/u, ""))
      known.endedAt = at
      known.turn = turn_id
    }
  })
  return [...all].map(([call, one]) => ({ call, ...one }))
}

/**
 * Work ahead of a turn has a call and an id of its own and no turn. It becomes a turn's by one promotion in the step in
 * which that turn opens, or it is withdrawn once; nothing of it is spoken, shown or remembered before, and nothing of what
 * was withdrawn ever is.
 */
const silentUntilPromoted = (told: Told): void => {
  const starts = told.commands("start_invocation")
  const ids = starts.map(({ provider_invocation_id }) => provider_invocation_id)
  assert.lengthOf(new Set(ids), ids.length, "each call has an id of its own")
  for (const { call, endedAt, ends, turn } of workAhead(told)) {
    const start = starts.find(({ provider_invocation_id }) => provider_invocation_id === call)
    assert.isDefined(start, call)
    assert.isUndefined(start?.turn_id, `${call} was begun for no turn`)
    assert.lengthOf(ends, 1, `${call} is promoted or withdrawn, once`)
    const [open] = told.signals("turn_open", turn ?? "")
    if (turn !== undefined) {
      assert.deepStrictEqual(ends, ["promoted"])
      const promoted = told.records[endedAt]
      assert.strictEqual(open?.ms, promoted?.record === "event" ? promoted.event.runtime_timestamp_ms : undefined)
      assert.isDefined(open, `${call} is of a turn that opened`)
    }
    const given = new Set(
      told.inputs("segment").flatMap(({ handle, provider_invocation_id }) =>
        provider_invocation_id === call ? [handle.id] : []
      )
    )
    for (const { at, conversation = [], text } of starts) {
      if (text !== undefined && given.has(text.id)) {
        assert.isDefined(open, `${text.id} of ${call} was spoken, and it was withdrawn`)
        assert.isAbove(at, open?.at ?? 0, `${text.id} of ${call} was spoken before its turn was open`)
      }
      const remembered = conversation.some(({ parts }) => parts.some(({ handle_id }) => given.has(handle_id)))
      if (remembered) assert.isAbove(at, open?.at ?? Number.POSITIVE_INFINITY, `${call} is remembered`)
    }
  }
  // Whatever leaves belongs to a turn that is open.
  for (const { at, turn_id } of told.commands("enqueue_output")) {
    assert.isBelow(told.signals("turn_open", turn_id)[0]?.at ?? Number.POSITIVE_INFINITY, at)
  }
}

const endsOf = (told: Told): ReadonlyArray<string> => workAhead(told).flatMap(({ ends }) => ends)

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const

export const scenario: NamedScenario = {
  id: "S07",
  sentence: "speculative work has its own id and cannot leave before `turn_open` promotes it",
  cases: [
    {
      name: "the caller has said all: what was begun in the pause is the turn's own",
      script: [speech, { when: { on: "signal:turn_open", delayMs: 60 }, act: { does: "noise", ms: 20 } }],
      spec,
      holds: (told) => {
        const [turn] = told.turns
        const [ahead] = workAhead(told)
        assert.deepStrictEqual(ahead?.ends, ["promoted"])
        assert.strictEqual(ahead?.turn, turn)
        const models = told.invocations.filter((one) => one.modality === "llm" && one.turn_id === turn)
        assert.deepStrictEqual(models.map((one) => one.provider_invocation_id), [ahead?.call ?? ""])
        // The words of the reply were there before; the voice is asked in the instant in which the turn opens.
        const [open] = told.signals("turn_open", turn)
        const [voice] = told.commands("start_invocation").filter(({ modality }) => modality === "tts")
        assert.strictEqual(voice?.ms, open?.ms)
        assert.isBelow(told.inputs("segment")[0]?.at ?? Number.POSITIVE_INFINITY, open?.at ?? 0)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: silentUntilPromoted
    },
    {
      name: "the caller goes on in the pause: what was begun is given up, and never spoken",
      script: [
        speech,
        { when: { on: "command:start_invocation:llm", delayMs: 300 }, act: { does: "say", words: [300, 240] } }
      ],
      spec,
      holds: (told) => {
        assert.deepStrictEqual(endsOf(told).slice(0, 2), ["caller_went_on", "promoted"])
        const [given, taken] = workAhead(told)
        assert.notStrictEqual(given?.call, taken?.call)
        assert.isTrue(
          told.inputs("segment").some((one) => one.provider_invocation_id === given?.call),
          "it had something to say"
        )
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: silentUntilPromoted
    },
    {
      name: "the caller types in the pause: what was begun for other words is given up",
      script: [
        speech,
        { when: { on: "command:start_invocation:llm", delayMs: 200 }, act: { does: "type", words: 3 } }
      ],
      spec,
      holds: (told) => {
        assert.strictEqual(endsOf(told)[0], "words_changed")
        assert.strictEqual(told.terminal(told.turns.at(-1)), "commit")
      },
      always: silentUntilPromoted
    },
    {
      name: "the model that was asked ahead fails: the turn asks anew",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { fails: "blocked" } } },
        speech
      ],
      spec,
      holds: (told) => {
        assert.strictEqual(endsOf(told)[0], "failed")
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "commit")
        assert.deepStrictEqual(told.signals("provider_error", turn), [], "what went wrong ahead is none of the turn's")
      },
      always: silentUntilPromoted
    },
    {
      name: "the lease is rotated in the pause: what was begun under the old epoch is given up",
      script: [
        speech,
        { when: { on: "command:start_invocation:llm", delayMs: 200 }, act: { does: "lease", order: "rotate_home" } }
      ],
      spec,
      holds: (told) => {
        assert.strictEqual(endsOf(told)[0], "authority_lost")
        for (const turn of told.turns) assert.strictEqual(told.evidence(turn).epoch_at_open, 2)
      },
      always: silentUntilPromoted
    }
  ]
}
