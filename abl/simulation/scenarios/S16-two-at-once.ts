import { assert } from "@effect/vitest"
import type { SeedResult } from "@rspp/simulation/Run"
import { calmMs } from "../Call.ts"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import { Told } from "../Told.ts"

/** Both calls, the one with a place first. */
const both = (result: SeedResult): readonly [admitted: Told, turnedAway: Told] => {
  const told = result.sessions.map((session) => new Told(session))
  const granted = told.filter((one) => one.inputs("session_reserved")[0]?.granted === true)
  const refused = told.filter((one) => !granted.includes(one))
  const [admitted] = granted
  const [turnedAway] = refused
  if (admitted === undefined || turnedAway === undefined || granted.length > 1) {
    throw new Error(`${granted.length} calls were admitted, and there is room for one`)
  }
  return [admitted, turnedAway]
}

/** Of several turns of different calls, how many were open at once at most. */
const openAtOnce = (result: SeedResult): number => {
  const edges = result.sessions.flatMap((session) => {
    const told = new Told(session)
    return [
      ...told.signals("turn_open").map(({ ms }) => ({ ms, by: 1 })),
      ...told.signals("close").map(({ ms }) => ({ ms, by: -1 }))
    ]
  }).sort((a, b) => a.ms - b.ms || a.by - b.by)
  let open = 0
  let most = 0
  for (const { by } of edges) {
    open += by
    most = Math.max(most, open)
  }
  return most
}

const typed = [{ when: { atMs: 400 }, act: { does: "type", words: 3 } }] as const

const oneSession: ScenarioCase = {
  name: "two calls of a tenant come in one instant, and there is room for one",
  script: typed,
  beside: { script: typed },
  spec: { admission: { max_sessions_per_tenant: 1 } },
  holds: (_, result) => {
    const [admitted, turnedAway] = both(result)
    // Its own message, and the last words that every caller says.
    assert.deepStrictEqual(admitted.turns.map((turn) => admitted.terminal(turn)), ["commit", "commit"])
    const [refused] = turnedAway.decisions("reject")
    assert.strictEqual(refused?.scope, "tenant")
    assert.strictEqual(refused?.reason, "tenant_sessions_in_use")
  },
  always: (_, result) => {
    const [, turnedAway] = both(result)
    assert.deepStrictEqual(turnedAway.turns, [], "nobody is served who has no place")
    assert.deepStrictEqual(turnedAway.commands("start_invocation"), [], "nothing is paid for who has no place")
  }
}

const oneTurn: ScenarioCase = {
  name: "two calls of a tenant want a turn in one instant, and there is room for one",
  script: typed,
  beside: { script: typed },
  spec: { admission: { max_concurrent_turns_per_tenant: 1 } },
  holds: (_, result) => {
    const told = result.sessions.map((session) => new Told(session))
    const atFirst = told.map((one) => one.signals(["turn_open", "reject"]).filter(({ ms }) => ms < calmMs))
    const words = atFirst.map((signals) => signals.map(({ reason, signal }) => reason ?? signal).join(" "))
    assert.sameMembers(words, ["turn_open", "tenant_turns_in_use"])
  },
  always: (_, result) => assert.isAtMost(openAtOnce(result), 1)
}

/** What is reserved counts from the reservation on, not from the moment in which it shows. */
export const scenario: NamedScenario = {
  id: "S16",
  sentence: "admission reserves before it accepts",
  cases: [oneSession, oneTurn]
}
