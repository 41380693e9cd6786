import { assert, describe, it } from "@effect/vitest"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { checkReplay } from "@rspp/simulation/Recordings"
import { runSeed } from "@rspp/simulation/Run"
import type { SeedOptions, SeedResult } from "@rspp/simulation/Run"
import { optionsOf } from "./Call.ts"
import type { NamedScenario, ScenarioCase } from "./Call.ts"
import { variationsOf } from "./Shift.ts"
import type { Variation } from "./Shift.ts"
import { Told } from "./Told.ts"

const toldOf = (result: SeedResult): Told => {
  const [session] = result.sessions
  if (session === undefined) throw new Error("the run has no session")
  return new Told(session)
}

/** Fails with the scenario, the variation, the seed and every broken rule with its place. */
const clean = (title: string, variation: string, { seed, violations }: SeedResult): void => {
  const broken = violations.map(({ message, record, rule, turn_id }) =>
    `${rule} ${message}${record === undefined ? "" : ` (record ${record})`}${
      turn_id === undefined ? "" : ` (${turn_id})`
    }`
  )
  if (broken.length > 0) assert.fail(`${title}: ${variation}, seed ${seed}: ${broken.join("; ")}`)
}

const judge = (title: string, variation: string, judged: () => void): void => {
  try {
    judged()
  } catch (error) {
    const { message } = error as Error
    throw new Error(`${title}: ${variation}: ${message}`, { cause: error })
  }
}

/** A recording that went through the file format replays as the session did. */
const replaysFromItsFile = (title: string, result: SeedResult): void => {
  const [session] = result.sessions
  if (session?.header === undefined) return assert.fail(`${title}: nothing was recorded`)
  const decoder = new TimelineDecoder()
  decoder.push(encodeTimeline(session.header, session.records.map((record) => [record])))
  const read = decoder.finish()
  if (read.is !== "timeline") return assert.fail(`${title}: the recording cannot be read: ${read.is}`)
  const { header, records, tear } = read.timeline
  assert.isUndefined(tear)
  assert.strictEqual(records.length, session.records.length)
  const diverging = checkReplay(header, records).map(({ message }) => message)
  assert.deepStrictEqual(diverging, [], `${title}: the replay of the recording`)
}

/** The seeds of a case that names none. */
const usualSeeds = [1, 2, 3] as const

/** Runs the script as it stands. */
export const runCase = (title: string, one: ScenarioCase, check?: SeedOptions["check"]): SeedResult => {
  const results = (one.seeds ?? usualSeeds).map((seed) => {
    const result = runSeed(seed, optionsOf(one, one.script, check))
    const told = toldOf(result)
    clean(title, "as written", result)
    judge(title, `as written, seed ${seed}`, () => {
      one.holds(told, result)
      one.always?.(told, result)
    })
    return result
  })
  judge(title, "as written, all seeds", () => one.together?.(results.map(toldOf)))
  const [first] = results
  if (first === undefined) throw new Error(`${title} has no seed`)
  replaysFromItsFile(title, first)
  return first
}

/** Runs every variation of the script, and returns how many there were. */
export const runShifted = (title: string, written: ScenarioCase, check?: SeedOptions["check"]): number => {
  const one = written.shiftedCall === undefined
    ? written
    : { ...written, call: { ...written.call, ...written.shiftedCall } }
  const seeds = one.shiftSeeds ?? (one.seeds ?? usualSeeds).slice(0, 1)
  const base = runSeed(seeds[0] ?? 1, { ...optionsOf(one, one.script), replay: false })
  const variations: ReadonlyArray<Variation> = variationsOf(one.script, toldOf(base).happened)
  for (const { name, script } of variations) {
    for (const seed of seeds) {
      const result = runSeed(seed, optionsOf(one, script, check))
      clean(title, name, result)
      if (one.always !== undefined) judge(title, `${name}, seed ${seed}`, () => one.always?.(toldOf(result), result))
    }
  }
  return variations.length
}

/** For the longest of them on a machine that is busy with other things, in ms. */
const patienceMs = 180_000

/** The tests of a scenario: each case as it stands, and with each event shifted by one place. */
export const held = ({ cases, id, sentence }: NamedScenario): void => {
  describe(`${id} ${sentence}`, () => {
    for (const one of cases) {
      const title = `${id} ${one.name}`
      it(`${one.name}: as written, recorded and replayed`, () => {
        const { sessions } = runCase(title, one)
        const missed = one.script.flatMap(({ act }, index) =>
          sessions[0]?.happened[index] === undefined ? [`event ${index + 1} (${act.does})`] : []
        )
        assert.deepStrictEqual(missed, [], `${title}: events of the script that did not happen`)
      }, patienceMs)
      it(`${one.name}: with each event shifted by one place`, () => {
        assert.isAbove(runShifted(title, one), 1)
      }, patienceMs)
    }
  })
}
