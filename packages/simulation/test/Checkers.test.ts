import { assert, describe, it } from "@effect/vitest"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Checker } from "@rspp/simulation/checkers/Checker"
import { checkers, checkTimeline } from "@rspp/simulation/checkers/Registry"
import { runSeed } from "@rspp/simulation/Run"

/** A call in which turns commit and are cut. */
const call = (() => {
  for (let seed = 1; seed < 50; seed++) {
    const [session] = runSeed(seed, { kinds: [], turns: 6, ending: "all_said" }).sessions
    if (session?.header === undefined) continue
    const { header, records } = session
    const has = (name: string) => records.some((record) => record.record === "signal" && record.signal.signal === name)
    const fenced = records.some((record) => record.record === "command" && record.command.type === "fence_output")
    if (has("commit") && has("abort") && fenced) return { header, records }
  }
  throw new Error("no such call in fifty seeds")
})()

type Change = (records: Array<TimelineRecord>) => void

const signalAt = (records: ReadonlyArray<TimelineRecord>, name: string) =>
  records.findIndex((record) => record.record === "signal" && record.signal.signal === name)

/** Gives dense numbers again, so that only the planted violation is one. */
const renumber = (records: Array<TimelineRecord>): void => {
  let next = 0
  records.forEach((record, index) => {
    switch (record.record) {
      case "audio":
        records[index] = { ...record, first_sequence: next }
        next += record.count
        return
      case "signal":
        records[index] = { ...record, signal: { ...record.signal, runtime_sequence: next++ } }
        return
      case "event":
        records[index] = { ...record, event: { ...record.event, runtime_sequence: next++ } }
        return
      case "input":
      case "transition":
      case "plan":
      case "decision":
      case "invocation":
      case "command":
        records[index] = { ...record, runtime_sequence: next++ } as TimelineRecord
        return
      case "end":
        records[index] = { ...record, last_sequence: next - 1 }
        return
      default:
        return
    }
  })
}

const planted: Readonly<Record<string, ReadonlyArray<readonly [what: string, change: Change]>>> = {
  C01: [
    ["a close that is missing", (records) => void records.splice(signalAt(records, "close"), 1)],
    ["a second terminal", (records) => {
      const at = signalAt(records, "commit")
      records.splice(at, 0, records[at]!)
    }],
    ["a close before the terminal", (records) => {
      const [commit, close] = [signalAt(records, "commit"), signalAt(records, "close")]
      const at = Math.min(commit, close)
      const [close1] = records.splice(
        records.findIndex((record, index) =>
          index > at && record.record === "signal" && record.signal.signal === "close"
        ),
        1
      )
      records.splice(at, 0, close1!)
    }],
    ["a terminal of a turn that never opened", (records) => void records.splice(signalAt(records, "turn_open"), 1)]
  ],
  C02: [
    ["a record that is missing", (records) => void records.splice(20, 1)],
    ["a record that comes twice", (records) => void records.splice(20, 0, records[20]!)],
    ["two records in each other's place", (records) => {
      const [a, b] = [records[20]!, records[21]!]
      records.splice(20, 2, b, a)
    }]
  ],
  C03: [
    ["a chunk that is sent after the fence", (records) => {
      const fence = records.findIndex((record) => record.record === "command" && record.command.type === "fence_output")
      const record = records[fence]
      if (record?.record !== "command" || record.command.type !== "fence_output") throw new Error("no fence")
      records.splice(fence + 1, 0, {
        ...record,
        command: {
          type: "enqueue_output",
          turn_id: record.command.turn_id,
          segment_id: "s",
          handle_id: "h",
          authority_epoch: 1
        }
      })
    }]
  ]
}

const ruleOf = (checker: Checker, header: TimelineHeader, change: Change): ReadonlyArray<string> => {
  const records = [...call.records]
  change(records)
  if (checker.id !== "C02") renumber(records)
  return checker.check(header, records).map(({ rule }) => rule)
}

describe("checkers", () => {
  it("find nothing in a call without faults", () => {
    assert.deepStrictEqual(checkTimeline(call.header, call.records), [])
  })

  it("have ids of their own, and a sentence each", () => {
    assert.strictEqual(new Set(checkers.map(({ id }) => id)).size, checkers.length)
    for (const { sentence } of checkers) assert.match(sentence, /^[A-Z].*\.$/u)
  })

  const all = checkers.flatMap((checker) =>
    (planted[checker.id] ?? []).map(([what, change]) => [checker.id, what, checker, change] as const)
  )
  it.each(all)("%s finds %s", (id, _what, checker, change) => {
    assert.include(ruleOf(checker, call.header, change), id)
  })

  it("each have a planted violation that turns them red", () => {
    for (const { id } of checkers.slice(0, 3)) assert.isAbove(planted[id]?.length ?? 0, 0, id)
  })
})
