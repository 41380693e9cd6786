import { assert } from "@effect/vitest"
import type { SeedResult } from "@rspp/simulation/Run"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"
import { goesOn, halted, oldOneIsSilent, successor, takeover, wallMs } from "./F8-old-writer.ts"

const leaseTtlMs = 2000

const call = { leaseTtlMs, reply: { sentences: [8, 8], chunkMs: 100, factor: 0.2 } }

/** How long the successor took, from when the other one stood still: until it had the epoch, and until it was heard. */
const tookMs = (old: Told, result: SeedResult) => {
  const next = successor(result)
  const began = old.header.wall_clock_start_ms + (old.happened[1] ?? 0)
  const [issued] = next.inputs("lease").filter(({ status }) => status === "issued")
  const [spoke] = next.inputs("playback_started")
  if (issued === undefined || spoke === undefined) throw new Error("the successor has no lease, or was not heard")
  return { epoch: issued.authority_epoch, lease: wallMs(next, issued) - began, speech: wallMs(next, spoke) - began }
}

const withinTwo = (old: Told, result: SeedResult): void => {
  const { epoch, lease, speech } = tookMs(old, result)
  assert.strictEqual(epoch, 2)
  assert.isAtMost(lease, leaseTtlMs)
  assert.isAtMost(speech, 2 * leaseTtlMs)
  oldOneIsSilent(old, result)
}

export const scenario: NamedScenario = {
  id: "S19",
  sentence: "another runtime holds a new epoch within one TTL and speaks within two, and the old one can emit nothing",
  cases: [
    {
      name: "the runtime stands still while it speaks, and wakes up while the other one speaks",
      script: halted(3100),
      call,
      takeover,
      holds: (told, result) => {
        assert.strictEqual(told.terminal(told.turns[0]), "authority_loss")
        goesOn(told, result)
        // It wakes up in the middle of the other one's first words.
        const next = successor(result)
        const [spoke] = next.inputs("playback_started")
        const [lost] = told.signals("deauthorized_drain")
        assert.isDefined(lost)
        assert.isAbove(wallMs(told, lost ?? { ms: 0 }), wallMs(next, spoke ?? { ms: Number.POSITIVE_INFINITY }))
      },
      always: withinTwo
    },
    {
      name: "the runtime is killed while it speaks: nothing of it runs any more, no finalizer either",
      // It comes back when the whole call is over.
      script: halted(60_000),
      call,
      takeover,
      holds: (told, result) => {
        goesOn(told, result)
        const began = told.header.wall_clock_start_ms + (told.happened[1] ?? 0)
        const between = told.records.filter((record) =>
          record.record === "input" && wallMs(told, { ms: record.runtime_timestamp_ms }) > began &&
          wallMs(told, { ms: record.runtime_timestamp_ms }) < began + 60_000
        )
        assert.deepStrictEqual(between, [], "it did nothing")
      },
      always: withinTwo
    }
  ]
}
