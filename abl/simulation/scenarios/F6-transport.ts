import { assert } from "@effect/vitest"
import type { FaultKind } from "@rspp/simulation/Faults"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

/** A turn is ended by a lost or stalled transport in the step that tells of it, and by nothing that is only told. */
const onlyLossEndsTurns = (told: Told): void => {
  const lost = told.signals(["disconnected", "stall", "ended"])
  for (const turn of told.turns) {
    const [abort] = told.signals("abort", turn)
    if (abort?.reason !== "transport_disconnect_or_stall") continue
    assert.isTrue(lost.some(({ ms }) => ms === abort.ms), `${turn} ended at ${abort.ms} ms with no loss`)
  }
  // A state that repeats is told once.
  const states = told.signals(["connected", "reconnecting", "disconnected", "ended", "silence", "stall"])
  states.forEach(({ signal }, index) => assert.notStrictEqual(signal, states[index - 1]?.signal))
}

const during = (
  kind: FaultKind,
  forMs: number,
  seeds: ReadonlyArray<number>,
  holds: (told: Told) => void
): ScenarioCase => ({
  name: `${kind} while the agent speaks`,
  script: [
    { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
    { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "fault", kind, forMs } }
  ],
  // Long enough to be noticed before the reply is over.
  call: { faultsUntilMs: 20_000, hangUpMs: 80_000, reply: { sentences: [8, 8, 8], chunkMs: 100, factor: 0.2 } },
  seeds,
  holds,
  always: onlyLossEndsTurns
})

const endsTheTurn = (signal: "disconnected" | "stall") => (told: Told): void => {
  const [turn] = told.turns
  assert.strictEqual(told.terminal(turn), "transport_disconnect_or_stall")
  const [told1] = told.signals(signal)
  const [abort, close] = told.signals(["abort", "close"], turn)
  assert.strictEqual(abort?.ms, told1?.ms)
  assert.strictEqual(close?.signal, "close")
  assert.isTrue(told.commands("fence_output").some(({ at, turn_id }) => turn_id === turn && at < (abort?.at ?? 0)))
  assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "transport_disconnect_or_stall" })
  assert.strictEqual(told.terminal(told.turns.at(-1)), "commit", "what the caller says afterwards is answered")
}

const isOnlyTold = (signal: "reconnecting" | "silence") => (told: Told): void => {
  assert.isNotEmpty(told.signals(signal))
  assert.strictEqual(told.terminal(told.turns[0]), "commit", "the reply is spoken to its end")
}

/** Seeds in which the transport notices that its peer is silent; in others it never says so. */
const silentSeeds = [1, 3, 4]

export const scenario: NamedScenario = {
  id: "F6",
  sentence:
    "transport disconnect or stall: `reconnecting`, `disconnected`, `stall`, `silence`, `ended`; if it ends the turn, `transport_disconnect_or_stall`",
  cases: [
    during("transport.disconnect", 2000, [1, 2, 3], endsTheTurn("disconnected")),
    during("transport.stall", 6000, [1, 2, 3], endsTheTurn("stall")),
    during("transport.reconnect", 1500, [1, 2, 3], isOnlyTold("reconnecting")),
    during("transport.half_open", 5000, silentSeeds, isOnlyTold("silence")),
    {
      name: "the caller hangs up while the agent speaks",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "hang_up" } }
      ],
      call: { ending: "hang_up" },
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["ended", "abort", "close"]), [
          "ended",
          "abort(transport_disconnect_or_stall)",
          "close"
        ])
        assert.strictEqual(told.evidence(turn).terminal.reason, "transport_disconnect_or_stall")
        assert.strictEqual(told.end, "ended")
      },
      always: onlyLossEndsTurns
    }
  ]
}
