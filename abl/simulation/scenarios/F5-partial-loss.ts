import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const edge = "input.caller_audio.stt"

/** In a sync domain that goes on after a loss, each loss has its notice and its discontinuity, in one step. */
const lossesAreMarked = (told: Told): void => {
  const losses = told.inputs("media_loss")
  const notices = told.signals("drop_notice").filter(({ edge_id }) => edge_id === edge)
  const breaks = told.signals("discontinuity")
  assert.lengthOf(notices, losses.length)
  assert.lengthOf(breaks, losses.length)
  breaks.forEach(({ discontinuity_id, ms, sync_domain }, index) => {
    assert.strictEqual(sync_domain, "caller")
    assert.isDefined(discontinuity_id)
    assert.strictEqual(ms, notices[index]?.ms)
  })
  assert.lengthOf(new Set(breaks.map(({ discontinuity_id }) => discontinuity_id)), breaks.length)
}

const voiceEdge = "tts.voice.output"

/** Speech comes at once, and its edge has room for a second of it: what comes then is lost. */
const tight = { strategy: "drop", max_queue_items: 10, max_queue_ms: 1000, max_queue_bytes: 1_048_576 } as const
const flood = {
  call: { reply: { sentences: [6, 6], chunkMs: 100, factor: 0 } }
} as const

const script = [
  { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
  { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "noise", ms: 60 } }
] as const

const sync = { policy: "atomic_drop", scope: "edge_local", group_by: "sync_id", sync_domain: "reply" } as const

const dropsOn = (told: Told, wanted: string) => told.signals("drop_notice").filter(({ edge_id }) => edge_id === wanted)

/** The sentence that each chunk of speech is a part of. */
const sentenceOf = (told: Told): ReadonlyMap<string, string> => {
  const segments = new Map(
    told.commands("start_invocation").map((one) => [one.provider_invocation_id, one.segment_id ?? ""])
  )
  return new Map(
    told.inputs("voice_chunk").map(({ handle, provider_invocation_id }) => [
      handle.id,
      segments.get(provider_invocation_id) ?? ""
    ])
  )
}

const handleOf = (reason: string | undefined): string => reason?.slice(reason.indexOf(":") + 1) ?? ""

/**
 * After the first chunk that is lost of a sentence no other of it is heard, each with its notice; a sentence of which a
 * part had gone to egress before is told as a discontinuity of the domain, once, and one of which nothing had is not.
 */
const lostWhole = (told: Told): void => {
  const sentences = sentenceOf(told)
  const passed = told.commands("enqueue_output")
  const lost = new Map<string, number>()
  for (const { at, reason } of dropsOn(told, voiceEdge)) {
    const sentence = sentences.get(handleOf(reason)) ?? ""
    assert.isNotEmpty(sentence, reason)
    if (!lost.has(sentence)) lost.set(sentence, at)
    else assert.match(reason ?? "", /^sync_group:/u)
  }
  for (const [sentence, at] of lost) {
    const later = passed.filter((one) => one.segment_id === sentence && one.at > at)
    assert.deepStrictEqual(later, [], `${sentence} is heard after a part of it was lost`)
  }
  const partly = [...lost].filter(([sentence, at]) => passed.some((one) => one.segment_id === sentence && one.at < at))
  const gaps = told.signals("discontinuity")
  assert.lengthOf(gaps, partly.length)
  for (const { edge_id, reason, sync_domain } of gaps) {
    assert.strictEqual(sync_domain, "reply")
    assert.strictEqual(edge_id, voiceEdge)
    assert.match(reason ?? "", /^partly_delivered:/u)
  }
}

/** Sentences go to the voice, and through a filter to a sink that shows them. */
const shown = {
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text", provider_id: "sim/stt" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model", provider_id: "sim/llm" },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "tts", node_type: "text_to_speech", provider_id: "sim/tts" },
    { node_id: "screen", node_type: "text_filter", provider_id: "sim/filter" },
    { node_id: "captions", node_type: "transcript_sink" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: [
    "input.caller_audio.vad",
    "input.caller_audio.stt",
    "vad.voice_edge.turn",
    "stt.interim_transcript.turn",
    "stt.transcript.turn",
    "turn.transcript.llm",
    "llm.text.sentences",
    "sentences.segment.tts",
    "sentences.segment.screen",
    "screen.segment.captions",
    "tts.voice.output"
  ].map((id) => {
    const [from_node_id, payload_kind, to_node_id] = id.split(".")
    return { from_node_id, payload_kind, to_node_id }
  })
}

const [toVoice, toScreen] = ["sentences.segment.tts", "sentences.segment.screen"] as const

/** Sentences wait for the voice; there is room for some, and what comes then is lost. */
const crowded = (scope: "edge_local" | "plan_wide") => ({
  ...shown,
  edge_buffer_policies: {
    [toVoice]: {
      strategy: "drop",
      // Far from its mark in items, so that the model is not held: what has no room in bytes is lost.
      max_queue_items: 10,
      max_queue_ms: 1000,
      max_queue_bytes: 40,
      sync_drop_policy: { ...sync, scope }
    },
    [toScreen]: { sync_drop_policy: { ...sync, scope } }
  }
})

/** A sentence that is lost on one edge of the domain and has not gone on from the other is lost there too. */
const lostOnBoth = (told: Told): void => {
  const lost = (edgeId: string) => new Set(dropsOn(told, edgeId).map(({ reason }) => handleOf(reason)))
  const [voice, screen] = [lost(toVoice), lost(toScreen)]
  const began = new Set(told.commands("push_item").map(({ handle }) => handle.id))
  for (const sentence of voice) {
    assert.isTrue(screen.has(sentence) || began.has(sentence), `${sentence} is neither shown nor told as lost`)
  }
  for (const sentence of screen) assert.isFalse(began.has(sentence), `${sentence} is lost and shown`)
}

export const scenario: NamedScenario = {
  id: "F5",
  sentence: "partial loss in a sync domain: `discontinuity`, or atomic `drop_notice`; ends the turn if not recoverable",
  cases: [
    {
      name: "frames of the caller are lost in a domain that goes on",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { connectMs: 5000 } } },
        { when: { atMs: 400 }, act: { does: "say", words: Array.from({ length: 12 }, () => 400) } }
      ],
      spec: {
        edge_buffer_policies: {
          [edge]: {
            sync_drop_policy: {
              policy: "drop_with_discontinuity",
              scope: "edge_local",
              group_by: "sync_id",
              sync_domain: "caller"
            }
          }
        }
      },
      holds: (told) => assert.isNotEmpty(told.signals("discontinuity")),
      always: lossesAreMarked
    },
    {
      name: "speech that its edge has no room for is lost by whole sentences; one that was partly heard is told",
      script,
      spec: { edge_buffer_policies: { [voiceEdge]: { ...tight, sync_drop_policy: sync } } },
      ...flood,
      holds: (told) => {
        const [turn] = told.turns
        assert.isNotEmpty(dropsOn(told, voiceEdge))
        assert.isNotEmpty(told.signals("discontinuity", turn))
        assert.strictEqual(told.terminal(turn), "commit", "what is left of the reply is the reply")
      },
      always: lostWhole
    },
    {
      name: "speech that its edge has no room for is lost piece by piece, and each gap is told",
      script,
      spec: {
        edge_buffer_policies: {
          [voiceEdge]: { ...tight, sync_drop_policy: { ...sync, policy: "drop_with_discontinuity" } }
        }
      },
      ...flood,
      holds: (told) => {
        assert.isNotEmpty(told.signals("discontinuity"))
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: (told) => {
        const gaps = told.signals("discontinuity").map(({ edge_id, ms, turn_id }) => ({ edge_id, ms, turn_id }))
        const notices = dropsOn(told, voiceEdge).map(({ edge_id, ms, turn_id }) => ({ edge_id, ms, turn_id }))
        assert.deepStrictEqual(gaps, notices)
      }
    },
    {
      name: "a sentence that is lost on its way to the voice is lost on its way to the screen, plan-wide",
      script: [{ when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { burst: true } } }, ...script],
      spec: crowded("plan_wide"),
      call: { reply: { sentences: [3, 3, 3, 3, 3, 3], chunkMs: 100, factor: 0.2 } },
      holds: (told) => {
        const [turn] = told.turns
        const lost = dropsOn(told, toVoice).map(({ reason }) => handleOf(reason))
        assert.isNotEmpty(lost)
        const together = dropsOn(told, toScreen)
        assert.isNotEmpty(together)
        for (const { reason } of together) assert.match(reason ?? "", /^sync_group:/u)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: lostOnBoth
    },
    {
      name: "a sentence that is lost on its way to the voice is still shown, where the scope is the edge",
      script: [{ when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { burst: true } } }, ...script],
      spec: crowded("edge_local"),
      call: { reply: { sentences: [3, 3, 3, 3, 3, 3], chunkMs: 100, factor: 0.2 } },
      holds: (told) => {
        const lost = dropsOn(told, toVoice).map(({ reason }) => handleOf(reason))
        assert.isNotEmpty(lost)
        assert.includeMembers(told.commands("push_item").map(({ handle }) => handle.id), lost)
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: (told) => assert.deepStrictEqual(dropsOn(told, toScreen), [])
    }
  ]
}
