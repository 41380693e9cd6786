// Holds I-TURN-TERMINAL, I-SEQ-DENSE, I-OUT-AFTER-END.
import { assert, describe, it } from "@effect/vitest"
import { openKernel } from "./support/KernelHarness.ts"
import { RandomWorld } from "./support/RandomWorld.ts"

/** Worlds of the property; each is one session of some hundred steps. `RSPP_SEED` runs one of them alone. */
const cases = Number(process.env["RSPP_CASES"] ?? 12_000)
/** Validating each record against the contract's schemas takes most of the time: one world in so many. */
const validateEvery = 40
const replayEvery = 10

const only = process.env["RSPP_SEED"]
const seeds = only === undefined ? Array.from({ length: cases }, (_, i) => i + 1) : [Number(only)]

const live = (seed: number): RandomWorld => {
  const world = new RandomWorld(seed, { validate: only !== undefined || seed % validateEvery === 0 })
  try {
    world.run()
  } catch (cause) {
    const told = world.inputs.map(({ at, input }) => `  ${at} ${JSON.stringify(input)}`).join("\n")
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `seed ${seed}: ${reason}\nagain: RSPP_SEED=${seed} vitest run --config vitest.workspace.ts --project packages turn.law\ninputs:\n${told}`,
      { cause }
    )
  }
  return world
}

describe("whatever happens, in whatever order", () => {
  it(
    `the laws of a turn hold in ${seeds.length} worlds, and everything that can happen did`,
    { timeout: 600_000 },
    () => {
      const seen = new Map<string, number>()
      const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
      let accepted = 0
      for (const seed of seeds) {
        const world = live(seed)
        accepted += world.laws.accepted
        for (const output of world.outputs) {
          if (output.record === "signal") {
            const { reason, signal } = output.signal
            count(signal)
            if (signal === "abort" || signal === "barge_in") count(`${signal}(${reason ?? ""})`)
          }
          if (output.record === "command") count(`!${output.command.type}`)
          if (output.record === "event") count(output.event.reason ?? "event")
        }
        if (seed % replayEvery === 0) {
          const again = openKernel(world.header)
          const outputs = world.inputs.flatMap(({ at, input }) => {
            if ("audio" in input) {
              again.audio(input.audio, 320, at)
              return []
            }
            return again.step(input, at).outputs
          })
          assert.strictEqual(JSON.stringify(outputs), JSON.stringify(world.outputs), `seed ${seed}: replay differs`)
          assert.strictEqual(
            JSON.stringify(live(seed).outputs),
            JSON.stringify(world.outputs),
            `seed ${seed}: the same seed gives another world`
          )
        }
      }
      if (only !== undefined) return
      // A property that never sees a case says nothing about it.
      for (const what of everything) assert.isAtLeast(seen.get(what) ?? 0, 20, `${what} in ${cases} worlds`)
      assert.isAtLeast(accepted, 2 * cases)
    }
  )
})

const everything = [
  "turn_open_proposed",
  "turn_open",
  "commit",
  "abort",
  "close",
  "reject",
  "defer",
  "stale_epoch_reject",
  "deauthorized_drain",
  "abort(cancelled)",
  "abort(authority_loss)",
  "abort(recording_evidence_unavailable)",
  "abort(provider_failure)",
  "abort(transport_disconnect_or_stall)",
  "abort(turn_budget_exhausted)",
  "barge_in(speech_started)",
  "barge_in(false_alarm)",
  "cancel",
  "output_accepted",
  "playback_started",
  "playback_completed",
  "playback_cancelled",
  "budget_warning",
  "budget_exhausted",
  "provider_error",
  "provider_switch",
  "fallback",
  "degrade",
  "shed",
  "watermark",
  "drop_notice",
  "flow_xoff",
  "flow_xon",
  "credit_grant",
  "lease_issued",
  "lease_rotated",
  "late_dropped",
  "late_remapped",
  "late_diagnostic",
  "!pause_output",
  "!resume_output",
  "!pause_invocation",
  "!resume_invocation",
  "!seal_supplement"
]
