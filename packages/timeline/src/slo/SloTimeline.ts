import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { openAtTear, wasCutOff } from "../format/TimelineRepair.ts"
import { criticalPaths } from "../latency/CriticalPath.ts"
import type { TurnLatencies, TurnPath } from "../latency/TurnPath.ts"
import { turnLatencies } from "../latency/TurnPath.ts"
import { evidenceCompleteness } from "../recorder/EvidenceCompleteness.ts"
import type { StaleOutput } from "./StaleOutputs.ts"
import { outputsByEpoch } from "./StaleOutputs.ts"
import { endings } from "./Terminals.ts"

/** What the gates need of one accepted turn. `first_output_ms` is told on whatever path. */
export interface SloTurn extends TurnLatencies {
  readonly turn_id: string
  readonly outcome: TurnPath["outcome"]
  readonly reason?: string
  /** Not on the happy path, and why. */
  readonly trouble?: string
  /** A cancel was accepted for the turn and no fence was ever reported. */
  readonly unfenced: boolean
  /** What its evidence lacks or contradicts; absent where the turn was open when the recording was cut off. */
  readonly evidence?: ReadonlyArray<string>
  /** What is wrong with its terminal and close; absent likewise. */
  readonly ending?: ReadonlyArray<string>
  readonly stages: TurnPath["stages"]
}

/** What the gates need of one timeline. */
export interface SloTimeline {
  readonly file: string
  readonly session_id: string
  readonly clock: TimelineHeader["clock"]
  /** The recording stops before its session ended: cut off, damaged or never closed. */
  readonly cut_off: boolean
  /** Turns that were refused before they opened. */
  readonly refused: number
  readonly turns: ReadonlyArray<SloTurn>
  readonly outputs: number
  readonly stale: ReadonlyArray<StaleOutput>
}

/** Findings about the number of terminals and closes, which have a gate of their own. */
const ofEnding = (finding: string): boolean => /^(?:terminal|close)(?::|$)/u.test(finding)

/**
 * The facts of a timeline that the gates are made of; pure. Latencies, endings and epochs come from the records of what
 * happened; only `evidence` looks at what the recorder says, and holds it against those records.
 *
 * Of a turn that was open where the recording was cut off nobody knows how it would have ended: its ending and its evidence
 * are not judged, and what it had reached counts. Every other turn is judged.
 */
export const sloTimeline = (file: string, timeline: Pick<Timeline, "header" | "records" | "tear">): SloTimeline => {
  const { header: { clock, session_id }, records } = timeline
  const paths = criticalPaths(records)
  const unknown = openAtTear(timeline)
  const ended = endings(records)
  const evidence = new Map(
    evidenceCompleteness(records).map(({ contradicted, missing, turn_id }) => [
      turn_id,
      [
        ...missing.filter((field) => !ofEnding(field)).map((field) => `missing ${field}`),
        ...contradicted.filter((field) => !ofEnding(field)).map((field) => `contradicted ${field}`)
      ]
    ])
  )
  const { accepted, stale } = outputsByEpoch(records)
  const turns = new Map<string, SloTurn>()
  for (const path of paths) {
    if (path.at.open_ms === undefined) continue
    turns.set(
      path.turn_id,
      turnOf(path, unknown.has(path.turn_id), evidence.get(path.turn_id), ended.get(path.turn_id))
    )
  }
  // What has an end and was never accepted needs no evidence, but it should have no end either.
  for (const [turn_id, ending] of ended) {
    if (turns.has(turn_id)) continue
    turns.set(turn_id, {
      turn_id,
      outcome: "open",
      unfenced: false,
      ending,
      stages: {}
    })
  }
  return {
    file,
    session_id,
    clock,
    cut_off: wasCutOff(timeline) || timeline.tear !== undefined,
    refused: paths.filter(({ at, outcome }) => at.open_ms === undefined && outcome !== "open").length,
    turns: [...turns.values()],
    outputs: accepted,
    stale
  }
}

const turnOf = (
  path: TurnPath,
  isUnknown: boolean,
  evidence: ReadonlyArray<string> | undefined,
  ending: ReadonlyArray<string> | undefined
): SloTurn => {
  const { at, outcome, reason, stages, trouble, turn_id } = path
  return {
    turn_id,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(trouble === undefined ? {} : { trouble }),
    ...turnLatencies(path),
    unfenced: !isUnknown && at.cancel_ms !== undefined && at.fenced_ms === undefined,
    ...(isUnknown ? {} : { evidence: evidence ?? ["missing evidence"], ending: ending ?? ["it has no terminal"] }),
    stages
  }
}
