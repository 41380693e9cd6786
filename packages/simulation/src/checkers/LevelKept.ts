import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { InputOf } from "@rspp/contracts/SessionInput"
import type { LoweredTurns, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { PayloadClass } from "@rspp/contracts/Event"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

const rank = { L0: 0, L1: 1, L2: 2 } as const
const least = (a: RecordingLevel, b: RecordingLevel): RecordingLevel => rank[a] <= rank[b] ? a : b

/** The lowest level at which something of this class is kept in any form but a hash. */
const keptFrom: Readonly<Record<PayloadClass, RecordingLevel>> = {
  audio_raw: "L2",
  text_raw: "L1",
  PII: "L0",
  PHI: "L0",
  derived_summary: "L0",
  metadata: "L0"
}

/** The level of a session as its records tell it. */
class Levels {
  /** What header, policy and plan allow, and what pressure leaves of it. */
  allowed: RecordingLevel
  limit: RecordingLevel = "L2"
  /** To where the limit may rise, by what the recorder said last. */
  ceiling: RecordingLevel = "L2"
  /** What the recorder said last. */
  told: RecordingLevel
  lowest: RecordingLevel
  /** The open turn: its lowest level, and whether pressure lowered it. */
  open: { readonly turnId: string; lowest: RecordingLevel; lowered: boolean } | undefined

  constructor(header: TimelineHeader) {
    this.allowed = header.recording_level
    this.lowest = header.recording_level
    this.told = header.recording_level
  }

  get now(): RecordingLevel {
    return least(this.allowed, this.limit)
  }

  holds(): void {
    this.lowest = least(this.lowest, this.now)
    if (this.open === undefined) return
    this.open.lowest = least(this.open.lowest, this.now)
    this.open.lowered ||= rank[this.limit] < rank[this.allowed]
  }
}

/** What came of one input: it is judged when the next one comes. */
interface Step {
  readonly pressure: InputOf<"recording_pressure"> | undefined
  /** The level before it. */
  readonly before: RecordingLevel
  signals: number
  limits: number
  /** A turn opened in it, or closed. */
  boundary: boolean
}

type LimitRecording = Extract<SessionCommand, { readonly type: "limit_recording" }>

export const levelKept: Checker = {
  id: "C36",
  holds: ["I-LEVEL-STEP", "I-LEVEL-UP", "I-PRESSURE-STEP", "I-PRESSURE-TOP"],
  sentence:
    "The recording level goes down one step at a time, each told with its trigger, and up only where a turn opens or has closed; nothing is kept above it, and evidence and the end say what it was.",
  check: (header, records) => {
    const findings = new Findings("C36", records)
    const levels = new Levels(header)
    const lowered: Array<{ readonly turnId: string; readonly level: RecordingLevel; readonly place: number }> = []
    let closed = 0
    let step: Step = { pressure: undefined, before: levels.now, signals: 0, limits: 0, boundary: false }

    const signalled = (reason: string | undefined, index: number) => {
      step.signals++
      const { before, pressure } = step
      const to = before === "L2" ? "L1" : "L0"
      if (pressure === undefined || pressure.reason === "eased") {
        findings.broken("the level goes down though the recorder named no trigger", index)
      } else if (reason !== `${pressure.reason}:${before}_to_${to}` || before === "L0") {
        findings.broken(`the level goes down from ${before} by ${pressure.reason}, and it is told as ${reason}`, index)
      }
      if (step.signals > 1) findings.broken("the level goes down twice in one step", index)
    }
    const limited = ({ level }: LimitRecording, index: number) => {
      step.limits++
      const { limit } = levels
      if (rank[level] === rank[limit]) findings.broken(`the limit is set to ${level}, where it is already`, index)
      if (rank[level] < rank[limit]) {
        if (step.pressure === undefined || rank[step.pressure.level] > rank[level]) {
          findings.broken(`the limit goes down to ${level}, and the recorder did not ask for it`, index)
        }
        if (rank[step.before] - rank[least(levels.allowed, level)] > step.signals) {
          findings.broken(`the level goes down to ${level}, and nothing tells it`, index)
        }
        levels.ceiling = level
      } else {
        if (!step.boundary && !opensHere(records, index)) {
          findings.broken(`the limit rises to ${level}, and no turn opens or has closed`, index)
        }
        if (rank[level] > rank[levels.ceiling]) {
          findings.broken(`the limit rises to ${level}, and the recorder keeps up with ${levels.ceiling}`, index)
        }
      }
      levels.limit = level
      levels.holds()
    }
    const kept = (payloadClass: PayloadClass, what: string, index: number) => {
      if (rank[keptFrom[payloadClass]] > rank[levels.now]) findings.broken(`${what} is kept at ${levels.now}`, index)
    }
    const said = ({ level, reason }: InputOf<"recording_pressure">, index: number) => {
      const down = rank[levels.told] - rank[level]
      if (reason === "eased" ? down >= 0 || rank[level] > rank[header.recording_level] : down !== 1) {
        findings.broken(`the recorder goes from ${levels.told} to ${level} by ${reason}`, index)
      }
      levels.told = level
    }
    const judged = (index: number) => {
      const { before, boundary, limits, pressure, signals } = step
      if (boundary && rank[levels.ceiling] > rank[levels.limit]) {
        findings.broken(`the limit stays at ${levels.limit}, and the recorder keeps up with ${levels.ceiling}`, index)
      }
      if (pressure === undefined || pressure.reason === "eased" || limits > 0) return
      if (rank[pressure.level] < rank[levels.limit]) {
        findings.broken(`the recorder keeps up with ${pressure.level}, and goes on at ${before}`, index, undefined)
      } else if (signals > 0) findings.broken("a level is told that does not change", index)
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        judged(index - 1)
        const pressure = record.record === "input" && record.input.type === "recording_pressure"
          ? record.input
          : undefined
        step = { pressure, before: levels.now, signals: 0, limits: 0, boundary: false }
        if (pressure !== undefined) said(pressure, index)
        if (pressure !== undefined && rank[pressure.level] >= rank[levels.limit]) levels.ceiling = pressure.level
      }
      switch (record.record) {
        case "input":
          if (
            record.input.type === "snapshot" && record.input.snapshot.snapshot_kind === "policy_resolution_snapshot"
          ) {
            levels.allowed = least(levels.allowed, record.input.snapshot.body.max_recording_level)
            levels.holds()
          }
          break
        case "plan":
          levels.allowed = least(header.recording_level, record.plan.recording_policy.recording_level)
          levels.holds()
          break
        case "signal": {
          const { reason, signal, turn_id = "" } = record.signal
          if (signal === "recording_level_downgraded") signalled(reason, index)
          if (signal === "turn_open") {
            step.boundary = true
            levels.open = { turnId: turn_id, lowest: levels.now, lowered: false }
            levels.holds()
          }
          if (signal === "close") {
            step.boundary = true
            closed++
            const { open } = levels
            if (open?.turnId === turn_id && open.lowered) {
              lowered.push({ turnId: turn_id, level: open.lowest, place: closed })
            }
            levels.open = undefined
          }
          break
        }
        case "command":
          if (record.command.type === "limit_recording") limited(record.command, index)
          break
        case "payload":
          if (record.action === "mask" && record.payload_class === "text_raw") {
            kept("text_raw", "masked text", index)
          } else if (record.payload_class === "text_raw" && levels.now !== "L2") {
            findings.broken(`text is kept at ${levels.now} as it was said`, index)
          } else kept(record.payload_class, record.payload_class, index)
          break
        case "caller_audio":
          kept("audio_raw", "the caller's audio", index)
          break
        case "sealed":
          kept(record.payload_class, `${record.payload_class}, sealed,`, index)
          break
        case "evidence": {
          const { recording_level, turn_id } = record.evidence
          const { open } = levels
          if (open?.turnId === turn_id && recording_level !== open.lowest) {
            findings.broken(
              `${turn_id} went down to ${open.lowest}, its evidence says ${recording_level}`,
              index,
              turn_id
            )
          }
          break
        }
        case "end": {
          const { level, lowered_turns } = record.not_captured ?? {}
          if (level !== levels.lowest) findings.broken(`the end says ${level}, it went down to ${levels.lowest}`, index)
          if (JSON.stringify(stretches(lowered)) !== JSON.stringify((lowered_turns ?? []).map(plain))) {
            findings.broken("the end names other turns than those that were lowered", index)
          }
          break
        }
        default:
          break
      }
    }
    return findings.violations
  }
}

/** Whether the step that this record is in goes on to open a turn. */
const opensHere = (records: ReadonlyArray<TimelineRecord>, from: number): boolean => {
  for (let index = from + 1; index < records.length; index++) {
    const record = records[index]
    if (record === undefined || beginsStep(record)) return false
    if (record.record === "signal" && record.signal.signal === "turn_open") return true
  }
  return false
}

const plain = ({ first_turn, last_turn, level, turns }: LoweredTurns): LoweredTurns => ({
  first_turn,
  last_turn,
  turns,
  level
})

/** Turns that follow each other at the same level, together. A simulated call has too few to reach the list's bound. */
const stretches = (
  lowered: ReadonlyArray<{ readonly turnId: string; readonly level: RecordingLevel; readonly place: number }>
): ReadonlyArray<LoweredTurns> => {
  const found: Array<LoweredTurns> = []
  let before: number | undefined
  for (const { level, place, turnId } of lowered) {
    const last = found.at(-1)
    if (last?.level === level && before === place - 1) {
      found[found.length - 1] = { ...last, last_turn: turnId, turns: last.turns + 1 }
    } else found.push({ first_turn: turnId, last_turn: turnId, turns: 1, level })
    before = place
  }
  return found
}
