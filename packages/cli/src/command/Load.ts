import { Effect, FileSystem, Path } from "effect"
import { randomBytes } from "node:crypto"
import { CliFailure, told } from "../CliFailure.ts"
import { loadCaller } from "../load/LoadCaller.ts"
import type { LoadCallerFlags } from "../load/LoadCaller.ts"
import { loadSetup } from "../load/LoadSetup.ts"
import type { SetupFlags } from "../load/LoadSetup.ts"
import { holdSessions } from "../load/LoadSessions.ts"
import { loadJson, loadReport } from "../load/LoadReport.ts"
import { LoadTally } from "../load/LoadTally.ts"
import { ProcessMeter } from "../load/ProcessMeter.ts"
import { metricsAt } from "../MetricsServer.ts"
import { makeDirectories } from "../OutputFiles.ts"
import { withTelemetry } from "../ProgramTelemetry.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { clockText, loadLines } from "../view/LoadText.ts"

export interface LoadFlags extends SetupFlags, LoadCallerFlags {
  readonly sessions: number
  readonly minutes: number
  readonly rampMs: number | undefined
  readonly callMinutes: number
  readonly timelines: string | undefined
  readonly metrics: string | undefined
  readonly json: boolean
}

/** Sessions of one process; far more than one JavaScript thread holds. */
const maxSessions = 10_000
/** A week. */
const maxMinutes = 10_080
/** The longest call that a caller's script can hold: 4 h. */
const maxCallMinutes = 240
/** Sessions begin so far apart, ms, if nothing else is said: ten a second, and all of them within a third of the time. */
const rampEachMs = 100
/** Between two looks at the load for the progress line and the largest memory, ms. */
const lookEveryMs = 250

const usage = (message: string, hint: string) => Effect.fail(new CliFailure({ exit: "usage", message, hint }))

/** The numbers of the command line, as far as they make sense. */
const readNumbers = Effect.fnUntraced(function*({ callMinutes, minutes, rampMs, sessions }: LoadFlags) {
  if (!Number.isInteger(sessions) || sessions < 1 || sessions > maxSessions) {
    return yield* usage(`--sessions ${sessions} is no load`, `Give a whole number from 1 to ${maxSessions}.`)
  }
  if (!(minutes > 0 && minutes <= maxMinutes)) {
    return yield* usage(`--minutes ${minutes} is no time`, `Give a number above 0, at most ${maxMinutes}; 0.5 is 30 s.`)
  }
  if (!(callMinutes > 0 && callMinutes <= maxCallMinutes)) {
    return yield* usage(
      `--call-minutes ${callMinutes} is no length of a call`,
      `Give a number above 0, at most ${maxCallMinutes}.`
    )
  }
  const durationMs = minutes * 60_000
  if (rampMs !== undefined && !(rampMs >= 0 && rampMs <= durationMs)) {
    return yield* usage(
      `--ramp-ms ${rampMs} does not fit into ${minutes} minutes`,
      `Give milliseconds from 0 to ${durationMs}.`
    )
  }
  return {
    durationMs,
    rampMs: rampMs ?? Math.min(sessions * rampEachMs, durationMs / 3),
    callMs: Math.min(callMinutes * 60_000, durationMs)
  }
})

const run = Effect.fn("rspp.load")(function*(flags: LoadFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { callMs, durationMs, rampMs } = yield* readNumbers(flags)
  if (flags.timelines !== undefined) yield* makeDirectories(flags.timelines)
  const setup = yield* loadSetup(flags)
  const script = yield* loadCaller(flags, setup, callMs)
  const directory = flags.timelines ?? (yield* fs.makeTempDirectoryScoped({ prefix: "rspp-load-" }))
  const name = `load-${randomBytes(3).toString("hex")}`
  const files: Array<string> = []
  const tally = new LoadTally()
  yield* metricsAt(flags.metrics)

  const residentBefore = process.memoryUsage().rss
  const meter = yield* Effect.acquireRelease(
    Effect.sync(() => new ProcessMeter()),
    (meter) => Effect.sync(() => meter.stop())
  )
  const beganMs = performance.now()
  /** From when on what the process does counts: all sessions are there. */
  let steady = rampMs === 0
  const look = Effect.sync(() => {
    const passed = performance.now() - beganMs
    tally.mostResidentBytes = Math.max(tally.mostResidentBytes, process.memoryUsage().rss)
    if (!steady && passed >= rampMs) {
      steady = true
      meter.restart()
    }
    const failed = tally.failed === 0 ? "" : screen.style.red(`, ${tally.failed} failed`)
    screen.update(
      `${clockText(passed)} of ${clockText(durationMs)}: ${tally.open} sessions, ${tally.turns} turns, loop delay p99 ${
        meter.read().loop_delay_ms.p99.toFixed(1)
      } ms${failed}`
    )
  })

  const tell = (interrupted: boolean) =>
    Effect.gen(function*() {
      const use = meter.read()
      const tookMs = performance.now() - beganMs
      screen.update(`reading ${files.length} recordings …`)
      const report = yield* loadReport({
        wanted: flags.sessions,
        minutes: flags.minutes,
        interrupted,
        tookMs,
        steady,
        use,
        tally,
        residentBefore,
        files,
        // one that is removed has no path that says anything
        nameOf: (file) => flags.timelines === undefined ? paths.basename(file, ".timeline") : file
      })
      if (flags.json) screen.line(JSON.stringify(loadJson(report)))
      else {
        for (const line of loadLines(report, screen.style)) screen.line(line)
        if (flags.timelines !== undefined) screen.line(`recordings in ${flags.timelines}`)
      }
      return report
    })

  yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, Effect.sleep(lookEveryMs))))
  yield* holdSessions({
    setup,
    script,
    sessions: flags.sessions,
    durationMs,
    rampMs,
    callMs,
    name,
    timelineOf: (sessionId) => {
      const file = paths.join(directory, `${sessionId}.timeline`)
      files.push(file)
      return file
    },
    tally
  }).pipe(Effect.onInterrupt(() => Effect.asVoid(Effect.exit(tell(true)))))
  const report = yield* tell(false)
  if (report.verdict === "fail") return yield* told("violation")
  return undefined
})

/**
 * `rspp load`: holds sessions in this process for some minutes, and judges their recordings by the gates.
 *
 * Ends with 1 when a gate fails, a session failed or nobody was answered; with 130 when it was interrupted, after a report
 * of what ran until then.
 */
export const holdLoad = (flags: LoadFlags) =>
  Effect.scoped(withTelemetry(flags.pipeline === undefined ? run(flags) : withProviders(flags.providers, run(flags))))
