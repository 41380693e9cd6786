import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

const samplesPerMs = 16
/** Egress tells of the start of playback with its next frame. */
const frameMs = 20

/**
 * What was heard of a cut turn ends with its fence. (That the transport's queue holds nothing of the turn from the fence
 * on is what the world itself watches: W01.)
 */
const tailIsBounded = (told: Told): void => {
  for (const turn of told.turns) {
    const fence = told.commands("fence_output").find(({ turn_id }) => turn_id === turn)
    if (fence === undefined) continue
    const fenced = told.inputs("egress_fenced").find(({ turn_id }) => turn_id === turn)
    assert.isAtMost((fenced?.ms ?? Infinity) - fence.ms, 150, "cancel accepted → egress fenced")
    const started = told.inputs("playback_started").find(({ turn_id }) => turn_id === turn)
    const heard = told.segments(turn).reduce((sum, { cancelled, completed }) => sum + (completed ?? cancelled ?? 0), 0)
    if (started === undefined) continue
    assert.isAtMost(heard, (fence.ms - started.ms + frameMs) * samplesPerMs, `${turn}: heard after its fence`)
  }
}

const cutWhileSpeaking = (name: string, outputQueueMs: number, more: Partial<ScenarioCase> = {}): ScenarioCase => ({
  name,
  script: [
    { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
    { when: { on: "input:playback_started", delayMs: 700 }, act: { does: "type", words: 3 } },
    ...more.script ?? []
  ],
  call: { outputQueueMs },
  holds: (told) => {
    const [cut, next] = told.turns
    assert.strictEqual(told.terminal(cut), "cancelled")
    const [fenced] = told.inputs("egress_fenced")
    assert.isAtLeast(fenced?.dropped_samples ?? 0, outputQueueMs * samplesPerMs, "the transport's queue was full")
    const { cancel } = told.evidence(cut)
    assert.isAtMost((cancel?.fenced_ms ?? Infinity) - (cancel?.accepted_ms ?? 0), 150)
    assert.strictEqual(told.terminal(next), "commit")
  },
  always: tailIsBounded
})

export const scenario: NamedScenario = {
  id: "S04",
  sentence: "the fence clears the transport queue; audible tail ≤ the declared transport queue",
  cases: [
    cutWhileSpeaking("a queue of 200 ms is full", 200),
    cutWhileSpeaking("a queue of one frame is full", 20),
    {
      name: "the queue stands still when the cut comes",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        {
          when: { on: "input:playback_started", delayMs: 300 },
          act: { does: "fault", kind: "transport.stall", forMs: 450 }
        },
        { when: { on: "input:playback_started", delayMs: 600 }, act: { does: "type", words: 3 } }
      ],
      holds: (told) => {
        const [cut, next] = told.turns
        assert.strictEqual(told.terminal(cut), "cancelled")
        assert.strictEqual(told.terminal(next), "commit")
      },
      always: tailIsBounded
    }
  ]
}
