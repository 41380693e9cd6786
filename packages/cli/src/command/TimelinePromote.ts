import { schemaVersion } from "@rspp/contracts/Identity"
import type { FixtureGate } from "@rspp/contracts/ReplayExpectation"
import { timelineBytes, withoutContent } from "@rspp/timeline/export/RegressionFixture"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"
import { read } from "@rspp/timeline/format/TimelineReader"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { Effect, FileSystem, Path } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { CliFailure } from "../CliFailure.ts"
import { replay } from "../Composition.ts"
import { Screen } from "../Screen.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { makeDirectories, notWritable } from "../OutputFiles.ts"

export interface PromoteFlags {
  readonly file: string
  /** What the fixture is called. */
  readonly as: string
  /** An access policy and who asks by it; `--as` is taken here. */
  readonly access: string | undefined
  readonly request: string | undefined
  readonly to: string
  /** Which verification replays it. */
  readonly gate: FixtureGate
  readonly json: boolean
}

/** What a fixture may be called: it is the name of a file. */
const goodName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/u

/** What a replay of a new fixture is expected to find: nothing. */
const nothingExpected = (gate: FixtureGate) => ({
  schema_version: schemaVersion,
  gate,
  expected_divergences: [],
  approved: false,
  timing_tolerance_ms: 0
})

const taken = (path: string) =>
  new CliFailure({
    exit: "bad_input",
    message: `${path} exists already, and a fixture is never overwritten`,
    hint: "Give the fixture another name, or remove that one."
  })

/** Another promotion may have been quicker. */
const takenMeanwhile = (path: string) => ({ reason }: PlatformError) =>
  reason._tag === "AlreadyExists" ? taken(path) : notWritable(path)

/** Fails unless the timeline is whole and executes again as it was recorded. */
const mustReplay = Effect.fnUntraced(function*(what: string, timeline: Timeline) {
  const { tear } = timeline
  if (tear !== undefined) {
    return yield* new CliFailure({
      exit: "bad_input",
      message: `${what} is torn at byte ${tear.offset}, after ${tear.recordsBefore} records, and was not promoted`,
      hint: "A fixture is a whole call: give a recording that was closed properly."
    })
  }
  const report = yield* Effect.flatMap(Replayer, ({ replay }) => replay(timeline))
  if (report.divergence !== undefined || !report.complete) {
    const why = report.divergence === undefined
      ? "it was never closed"
      : `${report.divergence.divergence_class}: ${report.divergence.message}`
    return yield* new CliFailure({
      exit: "violation",
      message: `${what} does not replay identical and was not promoted (${why})`,
      hint: "Run rspp replay on it to see both sides."
    })
  }
  return report
})

const decoded = (bytes: Uint8Array): Timeline => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const read = decoder.finish()
  // These bytes were made a moment ago, by us.
  if (read.is !== "timeline") throw new Error(`the fixture that was made is no timeline: ${read.is}`)
  return read.timeline
}

/**
 * `rspp timeline promote`: a recorded call becomes a regression fixture, `NAME.timeline` with its expectations beside it in
 * `NAME.expected.json`.
 *
 * What was said is taken out first (`withoutContent`); then the bytes of the fixture are read back and executed again, and
 * only when that is identical are they written. Nothing is ever overwritten.
 */
export const promoteTimeline = Effect.fn("rspp.timeline.promote")(function*(flags: PromoteFlags) {
  const { as, file, json, to } = flags
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  if (!goodName.test(as) || as.endsWith(".timeline")) {
    return yield* new CliFailure({
      exit: "usage",
      message: `"${as}" is no name for a fixture`,
      hint: "Give letters, digits, dots, dashes and underscores, without .timeline at the end."
    })
  }
  const fixture = paths.join(to, `${as}.timeline`)
  const expectations = paths.join(to, `${as}.expected.json`)
  for (const path of [fixture, expectations]) {
    if (yield* fs.exists(path)) return yield* taken(path)
  }
  const { access, request } = flags
  const timeline = yield* openTimeline(file, "promote", { access, as: request, keys: undefined })
  yield* read(file, { validate: true })
  const bytes = timelineBytes(withoutContent(timeline))
  const report = yield* Effect.gen(function*() {
    yield* mustReplay(file, timeline)
    return yield* mustReplay("what is left of it without the words", decoded(bytes))
  }).pipe(Effect.provide(replay))
  yield* makeDirectories(to)
  // `wx`: whoever wrote there in the meantime keeps what they have.
  yield* Effect.mapError(fs.writeFile(fixture, bytes, { flag: "wx" }), takenMeanwhile(fixture))
  yield* Effect.mapError(
    fs.writeFileString(expectations, `${JSON.stringify(nothingExpected(flags.gate), null, 2)}\n`, { flag: "wx" }),
    takenMeanwhile(expectations)
  )
  if (json) {
    const { inputs, records, turns } = report
    screen.line(JSON.stringify({ fixture, expectations, bytes: bytes.length, turns, records, inputs }))
    return undefined
  }
  screen.line(
    `${fixture}: ${
      screen.style.green("written")
    }, ${report.turns} turns, ${bytes.length} bytes, replays identical without the words`
  )
  screen.line(`${expectations}: nothing is expected to differ`)
  return undefined
})
