import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Divergence, DivergenceClass } from "@rspp/contracts/Divergence"
import type { SignalName } from "@rspp/contracts/Signal"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { Difference } from "./JsonDifference.ts"
import { differencesOf } from "./JsonDifference.ts"
import type { RecordIdentity } from "./RecordIdentity.ts"
import { bareText, identityOf, isPlace, isTime } from "./RecordIdentity.ts"

/** Where in the session a replay left the recording. */
export interface DivergencePoint {
  readonly runtime_sequence: number
  readonly runtime_timestamp_ms: number
  readonly turn_id?: string
}

/** The first difference of a replay: the contract's divergence, both sides of it, and where it is. */
export interface ReplayDivergence extends Divergence {
  readonly recorded?: TimelineRecord
  readonly replayed?: TimelineRecord
  /** The fields that differ, when both sides are the same thing. */
  readonly differences: ReadonlyArray<Difference>
  /** Of a TIMING divergence: the greatest distance of two times, ms; absent when one side has no time. */
  readonly timing_difference_ms?: number
  readonly at: DivergencePoint
}

/** Signals by which authority over a session changes or is defended. */
const authoritySignals: ReadonlySet<string> = new Set<SignalName>([
  "lease_issued",
  "lease_rotated",
  "migration_start",
  "migration_finish",
  "session_handoff",
  "stale_epoch_reject",
  "deauthorized_drain"
])

const isAuthority = (path: string): boolean =>
  /(?:^|\.)(?:authority_epoch|epoch_at_open|epoch_at_terminal|lease_token)$/u.test(path) ||
  /(?:^|\.)migration_markers(?:\.|$)/u.test(path)

const isPlan = (path: string): boolean =>
  /(?:^|\.)(?:plan_hash|plan_id|graph_definition_ref|execution_profile|pipeline_version|session_config_hash)$/u
    .test(path) || /(?:^|\.)(?:plan|snapshot_provenance|determinism)\./u.test(path)

const concernsAuthority = (record: TimelineRecord | undefined): boolean =>
  (record?.record === "signal" && authoritySignals.has(record.signal.signal)) ||
  (record?.record === "decision" && authoritySignals.has(record.decision.outcome_kind))

/** The class of two records that are the same thing with different fields: the gravest of its fields decides. */
const classOfFields = (differences: ReadonlyArray<Difference>): DivergenceClass => {
  const any = (matches: (path: string) => boolean) => differences.some(({ path }) => matches(path))
  if (any(isAuthority)) return "AUTHORITY_DIVERGENCE"
  if (any(isPlan)) return "PLAN_DIVERGENCE"
  if (any((path) => !isPlace(path) && !isTime(path))) return "OUTCOME_DIVERGENCE"
  return any(isPlace) ? "ORDERING_DIVERGENCE" : "TIMING_DIVERGENCE"
}

const value = (side: unknown): string => {
  if (side === undefined) return "absent"
  const text = canonicalJson(side)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

const named = ({ turnId, what }: RecordIdentity): string => turnId === undefined ? what : `${what} of ${turnId}`

const references = (side: "recorded" | "replayed", identity: RecordIdentity | undefined): ReadonlyArray<string> => {
  if (identity === undefined) return []
  const { eventId, sequence, turnId, what } = identity
  if (sequence === undefined) return [`${side}:${what}${turnId === undefined ? "" : `:${turnId}`}`]
  return [`${side}:${sequence}`, ...(eventId === undefined ? [] : [`${side}:${eventId}`])]
}

/** The greatest distance of the times that differ; undefined when one of them is no number. */
const timingDifference = (differences: ReadonlyArray<Difference>): number | undefined => {
  let greatest: number | undefined
  for (const { path, recorded, replayed } of differences) {
    if (!isTime(path)) continue
    if (typeof recorded !== "number" || typeof replayed !== "number") return undefined
    greatest = Math.max(greatest ?? 0, Math.abs(recorded - replayed))
  }
  return greatest
}

/** Where the session stood: the input whose outputs are compared. */
export interface StepPoint {
  readonly sequence: number
  readonly atMs: number
}

const nothing = () => false

/** Makes the divergence of one kind, with what both sides have. */
export const divergenceOf = (
  divergence_class: DivergenceClass,
  message: string,
  step: StepPoint,
  recorded?: TimelineRecord,
  replayed?: TimelineRecord,
  ignored: (path: string) => boolean = nothing
): ReplayDivergence => {
  const left = recorded === undefined ? undefined : identityOf(recorded)
  const right = replayed === undefined ? undefined : identityOf(replayed)
  const turn_id = left?.turnId ?? right?.turnId
  const refs = [...references("recorded", left), ...references("replayed", right)]
  const differences = recorded === undefined || replayed === undefined || left?.what !== right?.what
    ? []
    : differencesOf(recorded, replayed).filter(({ path }) => !ignored(path))
  const timing = divergence_class === "TIMING_DIVERGENCE" ? timingDifference(differences) : undefined
  return {
    divergence_class,
    scope: turn_id === undefined ? "session" : `turn:${turn_id}`,
    message,
    evidence_refs: refs.length === 0 ? [`recorded:${step.sequence}`] : refs,
    ...(recorded === undefined ? {} : { recorded }),
    ...(replayed === undefined ? {} : { replayed }),
    differences,
    ...(timing === undefined ? {} : { timing_difference_ms: timing }),
    at: {
      runtime_sequence: left?.sequence ?? right?.sequence ?? step.sequence,
      runtime_timestamp_ms: left?.atMs ?? right?.atMs ?? step.atMs,
      ...(turn_id === undefined ? {} : { turn_id })
    }
  }
}

/**
 * Says what kind of difference it is when the outputs of a step leave the recorded ones at index `at`.
 *
 * `recorded` and `replayed` are all outputs of the step, `later` some of what the recording has after it. The same thing
 * in another place is ORDERING, with other times TIMING; what has no counterpart on the other side is OUTCOME, or
 * AUTHORITY when it is a signal of authority.
 */
export const classify = (options: {
  readonly recorded: ReadonlyArray<TimelineRecord>
  readonly replayed: ReadonlyArray<TimelineRecord>
  readonly recordedAt: number
  readonly replayedAt: number
  readonly later: ReadonlyArray<TimelineRecord>
  readonly step: StepPoint
  /** Paths of fields that are not compared. */
  readonly ignored?: (path: string) => boolean
}): ReplayDivergence => {
  const { ignored = nothing, later, recordedAt, replayedAt, step } = options
  const left = options.recorded[recordedAt]
  const right = options.replayed[replayedAt]
  const leftAfter = [...options.recorded.slice(recordedAt + 1), ...later]
  const rightAfter = options.replayed.slice(replayedAt + 1)
  const [a, b] = [left && identityOf(left), right && identityOf(right)]

  if (left !== undefined && right !== undefined && a !== undefined && b !== undefined) {
    if (a.what === b.what && a.turnId === b.turnId) {
      const differences = differencesOf(left, right).filter(({ path }) => !ignored(path))
      const [first] = differences
      const leaf = first?.path.slice(first.path.indexOf(".") + 1) ?? ""
      const more = differences.length > 1 ? ` (and ${differences.length - 1} more fields)` : ""
      const message = `${named(a)}: ${leaf} is ${value(first?.recorded)} in the recording and ${
        value(first?.replayed)
      } in the replay${more}`
      return divergenceOf(classOfFields(differences), message, step, left, right, ignored)
    }
    const comesLater = rightAfter.some((record) => bareText(record) === bareText(left))
    const cameEarlier = leftAfter.some((record) => bareText(record) === bareText(right))
    if (comesLater && cameEarlier) {
      const message = `${named(a)} comes first in the recording, ${named(b)} in the replay`
      return divergenceOf("ORDERING_DIVERGENCE", message, step, left, right)
    }
    if (!comesLater && !cameEarlier) {
      const authority = concernsAuthority(left) || concernsAuthority(right)
      const message = `the recording has ${named(a)}, the replay has ${named(b)}`
      return divergenceOf(authority ? "AUTHORITY_DIVERGENCE" : "OUTCOME_DIVERGENCE", message, step, left, right)
    }
    if (comesLater) return extra(right, b, leftAfter, step)
    return absent(left, a, step)
  }
  if (left !== undefined && a !== undefined) return absent(left, a, step)
  if (right !== undefined && b !== undefined) return extra(right, b, leftAfter, step)
  throw new Error("classify: there is no difference")
}

const absent = (record: TimelineRecord, identity: RecordIdentity, step: StepPoint): ReplayDivergence =>
  divergenceOf(
    concernsAuthority(record) ? "AUTHORITY_DIVERGENCE" : "OUTCOME_DIVERGENCE",
    `${named(identity)} is in the recording but does not come out of the replay`,
    step,
    record
  )

const extra = (
  record: TimelineRecord,
  identity: RecordIdentity,
  later: ReadonlyArray<TimelineRecord>,
  step: StepPoint
): ReplayDivergence => {
  const text = bareText(record)
  // Moved, not merely repeated later: its number is still the one that it has in the replay.
  const elsewhere = later.find((candidate) =>
    identityOf(candidate).sequence === identity.sequence && bareText(candidate) === text
  )
  if (elsewhere !== undefined) {
    const message = `${named(identity)} comes out of the replay here, in the recording it comes later`
    return divergenceOf("ORDERING_DIVERGENCE", message, step, elsewhere, record)
  }
  return divergenceOf(
    concernsAuthority(record) ? "AUTHORITY_DIVERGENCE" : "OUTCOME_DIVERGENCE",
    `${named(identity)} comes out of the replay but is not in the recording`,
    step,
    undefined,
    record
  )
}
