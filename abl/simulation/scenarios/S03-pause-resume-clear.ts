import { assert } from "@effect/vitest"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Pause and resume alternate, and from the fence of a turn on nothing of it is put on the wire again. */
const ordered = (told: Told): void => {
  for (const turn of told.turns) {
    const commands = [
      ...told.commands("pause_output"),
      ...told.commands("resume_output"),
      ...told.commands("enqueue_output"),
      ...told.commands("fence_output")
    ].filter(({ turn_id }) => turn_id === turn).toSorted((a, b) => a.at - b.at).map(({ type }) => type)
    const fence = commands.indexOf("fence_output")
    if (fence >= 0) assert.strictEqual(fence, commands.length - 1, `${turn}: nothing comes after the fence`)
    let paused = false
    for (const type of commands) {
      if (type === "pause_output") assert.isFalse(paused, `${turn}: paused twice`)
      if (type === "resume_output") assert.isTrue(paused, `${turn}: resumed without a pause`)
      if (type === "pause_output" || type === "resume_output") paused = type === "pause_output"
    }
  }
}

const cough = [
  { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
  { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "noise", ms: 200 } }
] as const

export const scenario: NamedScenario = {
  id: "S03",
  sentence: "pause, resume and clear are ordered by the sequencer; nothing cleared returns",
  cases: [
    {
      name: "a false interruption gives every sample back, once",
      script: cough,
      holds: (told, { sessions }) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["barge_in"], turn), ["barge_in(speech_started)", "barge_in(false_alarm)"])
        assert.strictEqual(told.terminal(turn), "commit")
        for (const { completed, enqueued } of told.segments(turn)) assert.strictEqual(completed, enqueued)
        const [paused] = told.inputs("egress_paused")
        assert.isAbove(paused?.samples ?? 0, 0, "the transport's queue was taken back")
        // What was taken back reached the transport a second time.
        const enqueued = told.turns.flatMap((one) => told.segments(one)).reduce((sum, one) => sum + one.enqueued, 0)
        assert.isAtLeast((sessions[0]?.frames ?? 0) * frameSamples, enqueued + (paused?.samples ?? 0))
      },
      always: ordered
    },
    {
      name: "a cut in the instant in which output goes on",
      script: [...cough, { when: { on: "signal:barge_in:false_alarm" }, act: { does: "type", words: 2 } }],
      holds: (told) => {
        const [cut, next] = told.turns
        assert.deepStrictEqual(told.words(["barge_in", "cancel", "abort"], cut), [
          "barge_in(speech_started)",
          "barge_in(false_alarm)",
          "cancel(superseded)",
          "abort(cancelled)"
        ])
        assert.strictEqual(told.terminal(next), "commit")
      },
      always: ordered
    },
    {
      name: "a cut while output is paused",
      script: [...cough, { when: { on: "input:egress_paused" }, act: { does: "type", words: 2 } }],
      holds: (told) => {
        const [cut, next] = told.turns
        assert.deepStrictEqual(told.words(["barge_in", "cancel", "abort"], cut), [
          "barge_in(speech_started)",
          "cancel(superseded)",
          "abort(cancelled)"
        ])
        assert.deepStrictEqual(told.commands("resume_output").filter(({ turn_id }) => turn_id === cut), [])
        assert.strictEqual(told.terminal(next), "commit")
      },
      always: ordered
    }
  ]
}
