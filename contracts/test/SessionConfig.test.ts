import { defaultSessionConfig, sessionConfigProblems } from "@rspp/contracts/SessionConfig"
import { assert, describe, it } from "@effect/vitest"

describe("session config", () => {
  it("has defaults without contradictions", () => {
    assert.deepStrictEqual(sessionConfigProblems(defaultSessionConfig), [])
  })

  it("wants off_threshold at most on_threshold", () => {
    const voice_activity = { ...defaultSessionConfig.voice_activity, off_threshold: 0.51 }
    const problems = sessionConfigProblems({ ...defaultSessionConfig, voice_activity })
    assert.deepStrictEqual(problems.map(({ path, rule }) => [path.join("."), rule]), [
      ["voice_activity.off_threshold", "session_config.off-at-most-on"]
    ])
  })

  it("wants min_ms, unfinished_ms and max_ms in that order; equal ones are fine", () => {
    const endpointing = (min_ms: number, unfinished_ms: number, max_ms: number) =>
      sessionConfigProblems({ ...defaultSessionConfig, endpointing: { min_ms, unfinished_ms, max_ms } }).map((
        { rule }
      ) => rule)
    assert.deepStrictEqual(endpointing(5, 5, 5), [])
    assert.deepStrictEqual(endpointing(6, 5, 5), ["session_config.min-at-most-unfinished"])
    assert.deepStrictEqual(endpointing(5, 6, 5), ["session_config.unfinished-at-most-max"])
    assert.deepStrictEqual(endpointing(7, 6, 5), [
      "session_config.min-at-most-unfinished",
      "session_config.unfinished-at-most-max"
    ])
  })
})
