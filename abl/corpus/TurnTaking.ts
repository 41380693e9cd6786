import type { NamedScenario, ScenarioCase } from "../simulation/Call.ts"

const question = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const

const slow = {
  session_config: { endpointing: { min_ms: 700, unfinished_ms: 1500 }, barge_in: { min_ms: 900 } }
} as const

const reply = { sentences: [7], chunkMs: 100, factor: 0.2 } as const

const call = (name: string, hangUpMs: number, script: ScenarioCase["script"]): ScenarioCase => ({
  name,
  script,
  spec: { ...slow, recording_policy: { recording_level: "L0" } },
  // The caller hangs up soon after: a recording of a call that says no more is small.
  call: { ending: "hang_up", hangUpMs, faultsUntilMs: hangUpMs, replySentences: 1, reply },
  holds: () => undefined
})

/**
 * Calls of agents that are slow to answer and slow to let themselves be cut, so that a what-if has something to tell: with
 * lower settings turns open sooner, cut in on who only paused, and are cut by what was no interruption.
 */
export const turnTaking: NamedScenario = {
  id: "W1",
  sentence: "what another endpointing minimum and another barge-in threshold would have changed can be told",
  cases: [
    call("every answer comes late", 13_000, [
      question,
      { when: { on: "signal:commit", delayMs: 1500 }, act: { does: "say", words: [260, 320] } }
    ]),
    call("the caller pauses to think", 6500, [{
      ...question,
      act: { does: "say", words: [300, 300, -600, 300, 240] }
    }]),
    call("a short interruption", 6500, [
      question,
      { when: { on: "input:playback_started", delayMs: 600 }, act: { does: "say", words: [400] } }
    ]),
    call("an interruption that takes long to count", 6500, [
      question,
      { when: { on: "input:playback_started", delayMs: 600 }, act: { does: "say", words: [400, 400, 400, 300] } }
    ]),
    call("a noise while the agent speaks, then another question", 11_000, [
      question,
      { when: { on: "input:playback_started", delayMs: 500 }, act: { does: "noise", ms: 500 } },
      { when: { on: "signal:commit", delayMs: 1200 }, act: { does: "say", words: [300, 300] } }
    ])
  ]
}
