import { schemaVersion } from "@rspp/contracts/Identity"
import type { ReplayExpectation } from "@rspp/contracts/ReplayExpectation"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { runSeed } from "@rspp/simulation/Run"
import type { SessionResult } from "@rspp/simulation/Run"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { readdirSync } from "node:fs"
import { optionsOf } from "../simulation/Call.ts"
import type { NamedScenario, ScenarioCase } from "../simulation/Call.ts"

/** A recording of the corpus that the seeded world makes, byte for byte the same each time. */
export interface SimulatedRecording {
  /** The name of its file, without the directory. */
  readonly name: string
  readonly bytes: Uint8Array
}

const scenarios = new URL("../simulation/scenarios/", import.meta.url)

/** Every named scenario, in the order of its file's name. */
export const namedScenarios = async (): Promise<ReadonlyArray<NamedScenario>> => {
  const files = readdirSync(scenarios).filter((file) => file.endsWith(".ts")).toSorted()
  return Promise.all(files.map(async (file) => {
    const { scenario } = await import(new URL(file, scenarios).href) as { readonly scenario: NamedScenario }
    return scenario
  }))
}

const slug = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/gu, "-").replaceAll(/^-|-$/gu, "")

/** Longest part of a file's name that is made from the name of a case. */
const maxSlug = 60

/** What a session wrote to its disk; where its disk lost records on purpose, all that it would have written. */
const recordingBytes = (header: TimelineHeader, { disk, records }: SessionResult): Uint8Array => {
  const written = disk.reduce((sum, emission) => sum + emission.records.length, 0)
  const groups = written === records.length
    ? disk.map((emission) => emission.records)
    : records.map((record) => [record])
  return encodeTimeline(header, groups)
}

/** The recordings of a case exactly as it is written, at the level of its spec. */
export const recordInFull = (id: string, one: ScenarioCase): ReadonlyArray<SimulatedRecording> => {
  const { sessions } = runSeed(one.seeds?.[0] ?? 1, {
    ...optionsOf(one, one.script),
    check: () => [],
    checkLived: () => [],
    replay: false
  })
  const stem = `${id}-${slug(one.name).slice(0, maxSlug).replace(/-$/u, "")}`
  return sessions.flatMap((session, i) => {
    if (session.header === undefined) return []
    const name = `${stem}${i === 0 ? "" : `.${i + 1}`}.timeline`
    return [{ name, bytes: recordingBytes(session.header, session) }]
  })
}

/** The largest file that is kept of a scenario which has a smaller one. */
export const maxFileBytes = 20 * 1024

/** All simulated files together; the smallest of each scenario are taken first. */
export const maxSimulatedBytes = 384 * 1024

/**
 * The recordings of one case of a scenario, as it is written, with its first seed: one for each session that was recorded.
 * A long call is as short as its scenario allows; what is too large at the level of its spec is recorded at L0.
 */
export const recordCase = (id: string, written: ScenarioCase): ReadonlyArray<SimulatedRecording> => {
  const one = { ...written, call: { ...written.call, ...written.shiftedCall } }
  const recordings = recordInFull(id, one)
  if (one.spec === undefined || recordings.every(({ bytes }) => bytes.length <= maxFileBytes)) return recordings
  return recordInFull(id, { ...one, spec: { ...one.spec, recording_policy: { recording_level: "L0" } } })
}

/** Scenarios of which each version of the format has a recording in the tree for ever: an end, a cut, a lost lease. */
export const goldenIds: ReadonlyArray<string> = ["S11", "S16", "F7"]

/** Scenarios of which the smallest recording is replayed by the quick verification too: each failure of the contract's matrix. */
export const smokeIds: ReadonlyArray<string> = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8"]

/** What is expected of them: that nothing differs, and what the world gave them to be fast enough. */
const smokeExpectation: ReplayExpectation = {
  schema_version: schemaVersion,
  gate: "smoke",
  expected_divergences: [],
  approved: false,
  timing_tolerance_ms: 0,
  turn_latency_thresholds: { turn_open_ms: 120, cancel_fence_ms: 150 }
}

/** The files of expectations beside these recordings. */
export const expectationFiles = (recordings: ReadonlyArray<SimulatedRecording>): ReadonlyArray<SimulatedRecording> =>
  smokeIds.flatMap((id) => {
    const [smallest] = recordings.filter(({ name }) => name.startsWith(`${id}-`)).toSorted(bySize)
    return smallest === undefined ? [] : [{
      name: smallest.name.replace(/\.timeline$/u, ".expected.json"),
      bytes: Buffer.from(`${JSON.stringify(smokeExpectation, null, 2)}\n`)
    }]
  })

const bySize = (a: SimulatedRecording, b: SimulatedRecording): number =>
  a.bytes.length - b.bytes.length || (a.name < b.name ? -1 : 1)

/** What of the recordings of each scenario goes into the tree: the smallest of each, then the smallest that there is room for. */
export const chosen = (
  all: ReadonlyMap<string, ReadonlyArray<SimulatedRecording>>
): ReadonlyArray<SimulatedRecording> => {
  const taken: Array<SimulatedRecording> = []
  const more: Array<SimulatedRecording> = []
  for (const recordings of all.values()) {
    const [smallest, ...others] = recordings.toSorted(bySize)
    if (smallest !== undefined) taken.push(smallest)
    more.push(...others.filter(({ bytes }) => bytes.length <= maxFileBytes))
  }
  let room = maxSimulatedBytes - taken.reduce((sum, { bytes }) => sum + bytes.length, 0)
  for (const recording of more.toSorted(bySize)) {
    room -= recording.bytes.length
    if (room < 0) break
    taken.push(recording)
  }
  return taken
}
