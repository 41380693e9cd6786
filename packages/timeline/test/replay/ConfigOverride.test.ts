import { assert, describe, it } from "@effect/vitest"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { Effect } from "effect"
import { applyOverrides, changedSettings, settingPaths } from "../../src/replay/ConfigOverride.ts"

const fails = (overrides: ReadonlyArray<string>, message: RegExp) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(applyOverrides(defaultSessionConfig, overrides))
    assert.match(error.message, message)
  })

describe("an override", () => {
  it.effect("changes the setting that it names, and nothing else", () =>
    Effect.gen(function*() {
      const { changed, config } = yield* applyOverrides(defaultSessionConfig, [
        "endpointing.min_ms=200",
        " barge_in.enabled = false",
        "voice_activity.on_threshold=0.7",
        "late_event_policy=remap",
        "barge_in.min_ms=500"
      ])
      assert.deepStrictEqual(config, {
        ...defaultSessionConfig,
        endpointing: { ...defaultSessionConfig.endpointing, min_ms: 200 },
        barge_in: { ...defaultSessionConfig.barge_in, enabled: false },
        voice_activity: { ...defaultSessionConfig.voice_activity, on_threshold: 0.7 },
        late_event_policy: "remap"
      })
      assert.deepStrictEqual([...changed].sort(), [
        "barge_in.enabled",
        "endpointing.min_ms",
        "late_event_policy",
        "voice_activity.on_threshold"
      ])
    }))

  it.effect("wins over an earlier one of the same setting", () =>
    Effect.gen(function*() {
      const { config } = yield* applyOverrides(defaultSessionConfig, ["endpointing.min_ms=1", "endpointing.min_ms=2"])
      assert.strictEqual(config.endpointing.min_ms, 2)
    }))

  it.effect("must be path=value", () => fails(["endpointing.min_ms"], /write it as path=value/u))
  it.effect("of no setting names those that there are", () =>
    fails(
      ["endpointing.min=200"],
      /^endpointing.min=200: there is no setting endpointing.min; there is .*endpointing.min_ms/u
    ))
  it.effect("of a section is of no setting", () => fails(["endpointing=200"], /there is no setting endpointing;/u))
  it.effect("of the version is of no setting", () =>
    fails(["schema_version=v9.0"], /there is no setting schema_version/u))
  it.effect("takes a number where a number is", () => fails(["endpointing.min_ms=fast"], /takes a number, not "fast"/u))
  it.effect("takes true or false where that is", () => fails(["barge_in.enabled=1"], /takes true or false, not "1"/u))
  it.effect("keeps to the bounds of the setting", () =>
    fails(["voice_activity.on_threshold=1.5"], /voice_activity.on_threshold.*from 0 to 1/u))
  it.effect("is whole milliseconds", () => fails(["endpointing.min_ms=1.5"], /endpointing.min_ms.*integer/u))
  it.effect("is one of the words", () => fails(["late_event_policy=keep"], /late_event_policy/u))
  it.effect("keeps to the relations between settings", () =>
    fails(["endpointing.min_ms=900"], /endpointing.min_ms: min_ms 900 is above unfinished_ms 800/u))

  it("can be made of every setting", () => {
    assert.strictEqual(settingPaths(defaultSessionConfig).length, 26)
  })

  it.effect("may set what an older recording does not have", () =>
    Effect.gen(function*() {
      const { end_of_turn: _e, idle: _i, turn_detection: _t, ...rest } = defaultSessionConfig
      const { mode: _m, ...endpointing } = defaultSessionConfig.endpointing
      const { backchannel: _b, min_words: _w, ...barge_in } = defaultSessionConfig.barge_in
      const old = { ...rest, endpointing, barge_in }
      const { changed, config } = yield* applyOverrides(old, ["idle.timeout_ms=5000", "endpointing.mode=dynamic"])
      assert.deepStrictEqual([...changed].sort(), ["endpointing.mode", "idle.timeout_ms"])
      assert.deepStrictEqual(config.idle, { timeout_ms: 5000, hang_up_after: 0 })
    }))

  it.effect("of a list has commas", () =>
    Effect.gen(function*() {
      const { changed, config } = yield* applyOverrides(defaultSessionConfig, ["barge_in.backchannel=mhm, i see"])
      assert.deepStrictEqual(config.barge_in.backchannel, ["mhm", "i see"])
      assert.deepStrictEqual(changed, ["barge_in.backchannel"])
    }))

  it("that repeats a list changes nothing", () => {
    const again = { ...defaultSessionConfig, barge_in: { ...defaultSessionConfig.barge_in, backchannel: [] } }
    assert.deepStrictEqual(changedSettings(defaultSessionConfig, again), [])
  })
})
