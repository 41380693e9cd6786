import { assert } from "@effect/vitest"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { ReplayTimeline } from "@rspp/timeline/replay/Replayer"

export type RecordKind = TimelineRecord["record"]
export type RecordOf<K extends RecordKind> = Extract<TimelineRecord, { readonly record: K }>

const isOf = <K extends RecordKind>(record: TimelineRecord, kind: K): record is RecordOf<K> => record.record === kind

/** The recording with the first record of a kind that matches changed. */
export const changed = <K extends RecordKind>(
  timeline: ReplayTimeline,
  kind: K,
  matches: (record: RecordOf<K>) => boolean,
  change: (record: RecordOf<K>) => TimelineRecord
): ReplayTimeline => {
  const records = [...timeline.records]
  const at = records.findIndex((record) => isOf(record, kind) && matches(record))
  const found = records[at]
  assert.isTrue(found !== undefined && isOf(found, kind), `there is no such ${kind}`)
  if (found !== undefined && isOf(found, kind)) records[at] = change(found)
  return { ...timeline, records }
}

/** The first input of a type changed. */
export const changedInput = (
  timeline: ReplayTimeline,
  type: InputRecord["input"]["type"],
  change: (record: InputRecord) => InputRecord
): ReplayTimeline => changed(timeline, "input", (record) => record.input.type === type, change)

/** The first signal of a name with other fields. */
export const changedSignal = (timeline: ReplayTimeline, name: string, fields: object): ReplayTimeline =>
  changed(timeline, "signal", (record) => record.signal.signal === name, (record) => ({
    ...record,
    signal: { ...record.signal, ...fields }
  }))

/** The recording without the first record that matches. */
export const without = (timeline: ReplayTimeline, matches: (record: TimelineRecord) => boolean): ReplayTimeline => {
  const at = timeline.records.findIndex(matches)
  assert.isAtLeast(at, 0, "there is no such record")
  return { ...timeline, records: timeline.records.filter((_, index) => index !== at) }
}
