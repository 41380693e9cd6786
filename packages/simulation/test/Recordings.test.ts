import { assert, describe, it } from "@effect/vitest"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Violation } from "@rspp/simulation/checkers/Checker"
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import { checkReplay, checkTorn, torn } from "@rspp/simulation/Recordings"
import type { TornFile } from "@rspp/simulation/Recordings"
import { runSeed } from "@rspp/simulation/Run"
import type { SessionResult } from "@rspp/simulation/Run"
import { otherRules } from "@rspp/simulation/SeedReport"

type Records = ReadonlyArray<TimelineRecord>
type Is = (record: TimelineRecord) => boolean

interface Recording extends SessionResult {
  readonly header: TimelineHeader
}

/** A call in which nothing is wrong but that its file is torn. */
const recorded = (): Recording => {
  for (let seed = 1; seed < 20; seed++) {
    const { sessions: [session], violations } = runSeed(seed, {
      kinds: ["recorder.torn"],
      turns: 4,
      ending: "all_said"
    })
    assert.deepStrictEqual(violations, [])
    if (session?.header === undefined || !session.records.some(commits)) continue
    return { ...session, header: session.header }
  }
  throw new Error("no turn commits in twenty seeds")
}
let kept: Recording | undefined
const recording = (): Recording => kept ??= recorded()

const commits: Is = (record) => record.record === "signal" && record.signal.signal === "commit"
const isInput = (type: string): Is => (record) => record.record === "input" && record.input.type === type
const isCommand: Is = ({ record }) => record === "command"

/** The records with the first of a kind made another one, or none. */
const changed = (records: Records, is: Is, change: (record: TimelineRecord) => TimelineRecord | undefined): Records => {
  const place = records.findIndex(is)
  if (place < 0) throw new Error("the recording has no place for this violation")
  const other = change(structuredClone(records[place]!))
  return [...records.slice(0, place), ...(other === undefined ? [] : [other]), ...records.slice(place + 1)]
}
const replayed = (is: Is, change: (record: TimelineRecord) => TimelineRecord | undefined) => () => {
  const { header, records } = recording()
  return checkReplay(header, changed(records, is, change))
}

/** What is left of a file that was cut behind its middle. */
const cutLate = (disk = recording().disk): TornFile => {
  const { header } = recording()
  for (let seed = 1; seed < 50; seed++) {
    const file = torn(header, disk, new RandomStreams(seed).of("torn"))
    if (file.whole.length > recording().records.length / 2 && file.whole.at(-1)?.record !== "end") return file
  }
  throw new Error("no file is cut behind its middle in fifty seeds")
}
const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
/** A recording whose commits name another turn, in a file that is well formed. */
const otherCommit = (): TornFile =>
  cutLate(
    recording().disk.map((emission) => ({
      ...emission,
      records: emission.records.map((record) => commits(record) ? ofAnotherTurn(record) : record)
    }))
  )
const ofAnotherTurn = (record: TimelineRecord): TimelineRecord =>
  record.record === "signal" ? { ...record, signal: { ...record.signal, turn_id: "turn_planted" } } : record

type Plant = readonly [what: string, says: RegExp, find: () => ReadonlyArray<Violation>]

const planted: Readonly<Record<string, ReadonlyArray<Plant>>> = {
  R01: [
    ["a record that says something else", /the replay diverges: [A-Z_]+ /u, replayed(commits, ofAnotherTurn)],
    ["a record that is missing", /the replay diverges: [A-Z_]+ /u, replayed(isCommand, () => undefined)],
    [
      "an input that is missing",
      /the replay diverges: ORDERING_DIVERGENCE .*records are missing before it/u,
      replayed(isInput("transcript"), () => undefined)
    ],
    [
      "an input that says something else",
      /the replay diverges: [A-Z_]+ /u,
      replayed(isInput("lease"), (record) =>
        record.record === "input" && record.input.type === "lease"
          ? { ...record, input: { ...record.input, authority_epoch: record.input.authority_epoch + 1 } }
          : record)
    ],
    [
      "an end that counts otherwise",
      /the recording says that it ends after number/u,
      replayed(
        ({ record }) => record === "end",
        (record) => record.record === "end" ? { ...record, records: record.records + 1 } : record
      )
    ]
  ],
  R02: [
    ["a byte that was changed", /cut at byte \d+ it has \d+ records, \d+ were whole/u, () => {
      const file = cutLate()
      return checkTorn({ ...file, bytes: flipped(file.bytes, Math.floor(file.bytes.length / 2)) }, true)
    }],
    ["a file that ends before its last record", /cut at byte \d+ it has \d+ records, \d+ were whole/u, () => {
      const file = cutLate()
      return checkTorn({ ...file, bytes: file.bytes.subarray(0, Math.floor(file.bytes.length / 2)) }, true)
    }],
    ["a file whose header was changed", /cut at byte \d+ it is no timeline any more/u, () => {
      const file = cutLate()
      return checkTorn({ ...file, bytes: flipped(file.bytes, 100) }, true)
    }],
    ["a reader that does not say that the file is torn", /cut at byte \d+ it does not say that it is torn/u, () => {
      const file = cutLate()
      const { header, whole: records } = file
      return checkTorn(file, true, () => ({ is: "timeline", timeline: { header, records } }))
    }],
    [
      "what is left and does not replay",
      /torn at byte \d+: the replay diverges/u,
      () => checkTorn(otherCommit(), true)
    ]
  ]
}
const all = Object.entries(planted).flatMap(([id, plants]) =>
  plants.map(([what, says, find]) => [id, what, says, find] as const)
)

describe("the rules of recordings", () => {
  it("find nothing in a recording as it was made, wherever it is cut", () => {
    const { disk, header, records } = recording()
    assert.deepStrictEqual(checkReplay(header, records), [])
    for (let seed = 1; seed <= 20; seed++) {
      assert.deepStrictEqual(checkTorn(torn(header, disk, new RandomStreams(seed).of("torn")), true), [])
    }
  }, 60_000)

  it("do not ask a recording to replay that has gaps", () => {
    assert.deepStrictEqual(checkTorn(otherCommit(), false), [])
  })

  it.each(all)("%s finds %s", (id, _what, says, find) => {
    const found = find()
    assert.deepStrictEqual([...new Set(found.map(({ rule }) => rule))], [id])
    for (const { message } of found) assert.match(message, says)
  }, 60_000)

  it("are asked of every seed whose file is torn", () => {
    // The lease comes first: what is behind the cut does not count.
    const spoil = (_header: TimelineHeader, records: Records): [] => {
      const lease = records.find(isInput("lease"))
      if (lease?.record === "input") Object.assign(lease.input, { authority_epoch: 7 })
      return []
    }
    const { violations } = runSeed(1, { kinds: ["recorder.torn"], check: spoil })
    assert.deepStrictEqual(violations.map(({ rule }) => rule), ["R01", "R02"])
  })

  it("each have planted violations that turn them red", () => {
    assert.sameMembers(Object.keys(planted), Object.keys(otherRules).filter((id) => id.startsWith("R")))
  })
})
