import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { timelineText } from "@rspp/timeline/export/TimelineText"
import { sequencesOf, timeOf } from "@rspp/contracts/TimelineStamp"
import type { Violation } from "./checkers/Checker.ts"
import { checkers } from "./checkers/Registry.ts"
import type { FaultKind } from "./Faults.ts"
import type { SeedResult } from "./Run.ts"
import { marksOf } from "./Sometimes.ts"
import type { Mark } from "./Sometimes.ts"

/** A broken rule with all that a person needs to see it in the timeline. */
export interface PlacedViolation extends Violation {
  /** What must hold, where a checker says it. */
  readonly sentence?: string
  /** Session time, in ms. */
  readonly at_ms?: number
  /** Records of the timeline. */
  readonly of?: number
  /** The records before it and itself (the last), a line each as `rspp timeline show` has them. */
  readonly lines?: ReadonlyArray<string>
  /** The record itself, as canonical JSON. */
  readonly shown?: string
}

/** What is told about one seed: plain data, which another process can hand over. */
export interface SeedReport {
  readonly seed: number
  readonly simulatedMs: number
  readonly realMs: number
  readonly tasks: number
  readonly records: number
  /** How often each kind of fault struck. */
  readonly struck: Readonly<Partial<Record<FaultKind, number>>>
  /** Recordings that were executed again and came out the same, by their level. */
  readonly replays: Readonly<Partial<Record<RecordingLevel, number>>>
  /** What of the `sometimes` list happened. */
  readonly marks: ReadonlyArray<Mark>
  /** The broken rules; of many, the first {@link shownViolations}. */
  readonly violations: ReadonlyArray<PlacedViolation>
  /** Violations, those that are not shown included. */
  readonly broken: number
}

/** Violations of one seed that are told in full: what broke first breaks the rest. */
const shownViolations = 8

/** Records shown before the one that breaks a rule. */
const recordsBefore = 6

/** Characters of a record's JSON that are shown. */
const shownCharacters = 4000

/** Rules of the world and of the second phase, which are no checkers of a timeline. */
export const otherRules: Readonly<Record<string, string>> = {
  W00: "The world runs to its end: no deadlock, no endless run, no use of the real machine.",
  W01: "What leaves through the transport is what the session may say.",
  W02: "A seed ends.",
  W03: "A recorder says that it is under pressure when its buffer or its store is, and only then.",
  L00: "The program of the run ends well.",
  L01: "Nothing is left when the session has ended: no fiber, no timer.",
  L02: "The session ends as it should.",
  L03: "The session ends in time once its caller is gone.",
  L04: "Every invocation that was started has an end.",
  L05: "Every frame that the session refused is told as a loss.",
  L06: "The caller's last words are answered or turned away.",
  L07: "Every frame that the session took is applied.",
  L08: "A provider call that is cancelled is over within its grace; at once, when it dies when it is told to.",
  R01: "The recorded inputs suffice to execute the session again, and everything that comes out is the same.",
  R02: "A recording that is cut off is read up to there, unchanged, and says that it is cut off."
}

/** What a rule says; undefined for an id that nobody knows. */
export const sentenceOf = (rule: string): string | undefined =>
  checkers.find(({ id }) => id === rule)?.sentence ?? otherRules[rule]

/** The report of a result. */
export const reportOf = (result: SeedResult): SeedReport => {
  const marks = new Set<Mark>()
  const struck: Partial<Record<FaultKind, number>> = {}
  const replays: Partial<Record<RecordingLevel, number>> = {}
  let records = 0
  for (const session of result.sessions) {
    const level = session.header?.pipeline.recording_policy.recording_level
    if (level !== undefined && session.replaysIdentical === true) replays[level] = (replays[level] ?? 0) + 1
    records += session.records.length
    for (const mark of marksOf(session.records, session.failure, session.header)) marks.add(mark)
    for (const [kind, count] of session.struck) struck[kind] = (struck[kind] ?? 0) + count
  }
  const [session] = result.sessions
  return {
    seed: result.seed,
    simulatedMs: result.simulatedMs,
    realMs: result.realMs,
    tasks: result.tasks,
    records,
    struck,
    replays,
    marks: [...marks],
    violations: result.violations.slice(0, shownViolations).map((violation) =>
      place(violation, session?.header, session?.records ?? [])
    ),
    broken: result.violations.length
  }
}

/** Finds the place of a violation in the timeline, and shows it. */
export const place = (
  violation: Violation,
  header: TimelineHeader | undefined,
  records: ReadonlyArray<TimelineRecord>
): PlacedViolation => {
  const sentence = sentenceOf(violation.rule)
  const told = { ...violation, ...(sentence === undefined ? {} : { sentence }) }
  const index = violation.record ?? indexOf(violation.runtime_sequence, records)
  const record = index === undefined ? undefined : records[index]
  if (header === undefined || index === undefined || record === undefined) return told
  const first = Math.max(0, index - recordsBefore)
  // The first line is the header's.
  const lines = [...timelineText({ header, records })].slice(1 + first, 2 + index)
  const sequence = sequencesOf(record)?.first
  const json = canonicalJson(record)
  return {
    ...told,
    record: index,
    ...(sequence === undefined ? {} : { runtime_sequence: sequence }),
    at_ms: timeBefore(records, index),
    of: records.length,
    lines,
    shown: json.length <= shownCharacters ? json : `${json.slice(0, shownCharacters)} …`
  }
}

/** The violation of a seed that did not end, or took its process with it. */
export const lostViolation = (message: string): PlacedViolation => ({
  rule: "W02",
  message,
  ...(otherRules["W02"] === undefined ? {} : { sentence: otherRules["W02"] })
})

const indexOf = (sequence: number | undefined, records: ReadonlyArray<TimelineRecord>): number | undefined => {
  if (sequence === undefined) return undefined
  const index = records.findIndex((record) => {
    const taken = sequencesOf(record)
    return taken !== undefined && taken.first <= sequence && sequence < taken.first + taken.count
  })
  return index < 0 ? undefined : index
}

/** The time of a record, or of the last one before it that has one. */
const timeBefore = (records: ReadonlyArray<TimelineRecord>, index: number): number => {
  for (let at = index; at >= 0; at--) {
    const record = records[at]
    const ms = record === undefined ? undefined : timeOf(record)
    if (ms !== undefined) return ms
  }
  return 0
}
