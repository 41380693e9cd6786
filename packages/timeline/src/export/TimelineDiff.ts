import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Timeline } from "../format/TimelineDecoder.ts"
import type { Difference } from "../replay/JsonDifference.ts"
import { differencesOf, sameJson } from "../replay/JsonDifference.ts"
import { identityOf } from "../replay/RecordIdentity.ts"

/** A field in which two recordings differ, by its path; a side that has none is absent. */
export interface FieldDifference {
  readonly path: string
  readonly a?: unknown
  readonly b?: unknown
}

/** The first place at which two recordings are not the same. */
export interface FirstDifference {
  /** Number of the record in both files, the header being 0. */
  readonly ordinal: number
  /** What is there in each, in words; absent where that recording has ended. */
  readonly a?: string
  readonly b?: string
  readonly at_ms?: number
  readonly turn_id?: string
  /** The fields that differ, when both are the same thing. */
  readonly fields: ReadonlyArray<FieldDifference>
}

/** What there is to say about one turn of one recording. Times are session time. */
export interface TurnFacts {
  readonly open_ms?: number
  readonly first_output_ms?: number
  readonly ending?: string
  readonly ending_ms?: number
  /** Calls that the turn made, as `llm a/b success`, in the order of these texts. */
  readonly calls: ReadonlyArray<string>
}

export interface TurnDifference {
  readonly turn_id: string
  /** Absent where that recording has no such turn. */
  readonly a?: TurnFacts
  readonly b?: TurnFacts
  readonly fields: ReadonlyArray<FieldDifference>
}

/** A control signal that only one recording has, or both at other times. */
export interface SignalDifference {
  readonly signal: string
  readonly turn_id?: string
  readonly reason?: string
  readonly edge_id?: string
  readonly a_ms?: number
  readonly b_ms?: number
}

/** How two recordings differ. */
export interface TimelineDifference {
  readonly identical: boolean
  readonly header: ReadonlyArray<FieldDifference>
  readonly first?: FirstDifference
  readonly turns: ReadonlyArray<TurnDifference>
  readonly signals: ReadonlyArray<SignalDifference>
}

type Recording = Pick<Timeline, "header" | "records">

/**
 * Compares two recordings, record by record: the first place where they differ, and the turns and control signals that do.
 *
 * Two sessions have different ids, and these are part of other ids: where the headers name different sessions, the records
 * of `b` are read as if it had the id of `a`. The n-th signal of a turn with the same reason and edge is the same signal.
 * Time and memory grow with the sum of both.
 */
export const timelineDiff = (a: Recording, other: Recording): TimelineDifference => {
  const header = fieldsOf(differencesOf(a.header, other.header))
  const b = { header: other.header, records: underIdOf(a.header, other) }
  const first = firstDifference(a.records, b.records)
  return {
    identical: header.length === 0 && first === undefined,
    header,
    ...(first === undefined ? {} : { first }),
    turns: turnDifferences(turnsOf(a.records), turnsOf(b.records)),
    signals: signalDifferences(a.records, b.records)
  }
}

const underIdOf = ({ session_id }: TimelineHeader, { header, records }: Recording): ReadonlyArray<TimelineRecord> => {
  if (header.session_id === session_id) return records
  return records.map((record) =>
    JSON.parse(canonicalJson(record).replaceAll(header.session_id, session_id)) as TimelineRecord
  )
}

const fieldsOf = (differences: ReadonlyArray<Difference>): ReadonlyArray<FieldDifference> =>
  differences.map(({ path, recorded, replayed }) => ({
    path,
    ...(recorded === undefined ? {} : { a: recorded }),
    ...(replayed === undefined ? {} : { b: replayed })
  }))

const firstDifference = (
  a: ReadonlyArray<TimelineRecord>,
  b: ReadonlyArray<TimelineRecord>
): FirstDifference | undefined => {
  const most = Math.max(a.length, b.length)
  for (let at = 0; at < most; at++) {
    const [left, right] = [a[at], b[at]]
    if (sameJson(left, right)) continue
    const [one, two] = [left && identityOf(left), right && identityOf(right)]
    const place = one ?? two
    return {
      ordinal: at + 1,
      ...(one === undefined ? {} : { a: one.what }),
      ...(two === undefined ? {} : { b: two.what }),
      ...(place?.atMs === undefined ? {} : { at_ms: place.atMs }),
      ...(place?.turnId === undefined ? {} : { turn_id: place.turnId }),
      fields: one?.what === two?.what ? fieldsOf(differencesOf(left, right)) : []
    }
  }
  return undefined
}

const turnsOf = (records: ReadonlyArray<TimelineRecord>): ReadonlyMap<string, TurnFacts> => {
  const turns = new Map<string, TurnFacts>()
  const tell = (turnId: string | undefined, facts: (known: TurnFacts) => Partial<TurnFacts>) => {
    if (turnId === undefined) return
    const known = turns.get(turnId) ?? { calls: [] }
    turns.set(turnId, { ...known, ...facts(known) })
  }
  for (const record of records) {
    if (record.record === "signal") {
      const { reason, runtime_timestamp_ms, signal, turn_id } = record.signal
      if (signal === "turn_open") tell(turn_id, () => ({ open_ms: runtime_timestamp_ms }))
      if (signal === "commit" || signal === "abort") {
        tell(turn_id, () => ({
          ending: reason === undefined ? signal : `${signal} (${reason})`,
          ending_ms: runtime_timestamp_ms
        }))
      }
    }
    if (record.record === "command" && record.command.type === "enqueue_output") {
      const { command, runtime_timestamp_ms } = record
      tell(
        command.turn_id,
        (known) => known.first_output_ms === undefined ? { first_output_ms: runtime_timestamp_ms } : {}
      )
    }
    if (record.record === "invocation") {
      const { modality, outcome_class, provider_id, turn_id } = record.invocation
      tell(turn_id, ({ calls }) => ({
        calls: [...calls, `${modality} ${provider_id} ${outcome_class}`].toSorted()
      }))
    }
  }
  return turns
}

const turnDifferences = (
  a: ReadonlyMap<string, TurnFacts>,
  b: ReadonlyMap<string, TurnFacts>
): ReadonlyArray<TurnDifference> =>
  [...new Set([...a.keys(), ...b.keys()])].flatMap((turn_id) => {
    const [one, two] = [a.get(turn_id), b.get(turn_id)]
    if (sameJson(one, two)) return []
    return [{
      turn_id,
      ...(one === undefined ? {} : { a: one }),
      ...(two === undefined ? {} : { b: two }),
      fields: one === undefined || two === undefined ? [] : fieldsOf(differencesOf(one, two))
    }]
  })

interface PlacedSignal {
  readonly about: Pick<SignalDifference, "signal" | "turn_id" | "reason" | "edge_id">
  readonly ms: number
}

/** Signals by what they say, and the how manieth of it they are. */
const signalsOf = (records: ReadonlyArray<TimelineRecord>): ReadonlyMap<string, PlacedSignal> => {
  const signals = new Map<string, PlacedSignal>()
  const counts = new Map<string, number>()
  for (const record of records) {
    if (record.record !== "signal") continue
    const { edge_id, reason, runtime_timestamp_ms: ms, signal, turn_id } = record.signal
    const about = {
      signal,
      ...(turn_id === undefined ? {} : { turn_id }),
      ...(reason === undefined ? {} : { reason }),
      ...(edge_id === undefined ? {} : { edge_id })
    }
    const key = canonicalJson(about)
    const nth = (counts.get(key) ?? 0) + 1
    counts.set(key, nth)
    signals.set(`${key} ${nth}`, { about, ms })
  }
  return signals
}

const signalDifferences = (
  a: ReadonlyArray<TimelineRecord>,
  b: ReadonlyArray<TimelineRecord>
): ReadonlyArray<SignalDifference> => {
  const [left, right] = [signalsOf(a), signalsOf(b)]
  const found: Array<SignalDifference> = []
  for (const [key, { about, ms }] of left) {
    const other = right.get(key)
    if (other?.ms === ms) continue
    found.push({ ...about, a_ms: ms, ...(other === undefined ? {} : { b_ms: other.ms }) })
  }
  for (const [key, { about, ms }] of right) if (!left.has(key)) found.push({ ...about, b_ms: ms })
  const timeOf = ({ a_ms, b_ms }: SignalDifference) => Math.min(a_ms ?? Infinity, b_ms ?? Infinity)
  return found.toSorted((one, two) => timeOf(one) - timeOf(two))
}
