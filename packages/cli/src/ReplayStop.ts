import { signalNames } from "@rspp/contracts/Signal"
import { identityOf } from "@rspp/timeline/replay/RecordIdentity"
import type { CursorTarget } from "@rspp/timeline/replay/ReplayCursor"
import { ReplayCursors, SavedCursor } from "@rspp/timeline/replay/ReplayCursor"
import { Effect, FileSystem, Schema } from "effect"
import { CliFailure, told } from "./CliFailure.ts"
import { readJson } from "./JsonInput.ts"
import { checkTextOutput, notWritable } from "./OutputFiles.ts"
import type { AccessFlags } from "./TimelineAccess.ts"
import { openTimeline } from "./TimelineAccess.ts"
import { turnIdOf } from "./TurnName.ts"
import { Screen } from "./Screen.ts"
import { differenceLines } from "./view/ReplayText.ts"

const usage = (message: string) =>
  new CliFailure({
    exit: "usage",
    message,
    hint: "Write --to sequence=120, --to turn=turn_3 (or turn=3) or --to signal=barge_in."
  })

/** What `--to` says. */
export const targetOf = (text: string): Effect.Effect<CursorTarget, CliFailure> => {
  const equals = text.indexOf("=")
  const [kind, value] = [text.slice(0, equals), text.slice(equals + 1)]
  switch (equals < 0 ? "" : kind) {
    case "sequence":
      return /^[0-9]{1,12}$/u.test(value)
        ? Effect.succeed({ sequence: Number(value) })
        : Effect.fail(usage(`--to sequence= takes a number, not "${value}"`))
    case "turn":
      return value === ""
        ? Effect.fail(usage("--to turn= takes the id of a turn"))
        : Effect.succeed({ turn: turnIdOf(value) })
    case "signal": {
      const signal = signalNames.find((name) => name === value)
      return signal === undefined
        ? Effect.fail(usage(`there is no signal "${value}"; there is ${signalNames.join(", ")}`))
        : Effect.succeed({ signal })
    }
    default:
      return Effect.fail(usage(`--to ${text} is no place`))
  }
}

export interface StopFlags {
  readonly file: string
  readonly to: string
  /** Taken up from this file when it is there, and put down in it. */
  readonly cursor: string | undefined
  readonly json: boolean
  readonly access: AccessFlags
}

/**
 * `rspp replay FILE --to PLACE`: executes the session up to a place and shows the step that was taken last: what was fed,
 * and what came out of it. Exit 1 when it differs from the recording, 3 when the recording ends before the place.
 */
export const stopAt = Effect.fn("rspp.replay.to")(function*({ access, cursor: path, file, json, to }: StopFlags) {
  const { line, style } = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const target = yield* targetOf(to)
  if (path !== undefined) yield* checkTextOutput(path, [file])
  const timeline = yield* openTimeline(file, "replay", access)
  const cursors = yield* ReplayCursors
  const saved = path !== undefined && (yield* Effect.orElseSucceed(fs.exists(path), () => false))
    ? yield* savedIn(path)
    : undefined
  const cursor = yield* saved === undefined ? cursors.open(timeline) : cursors.resume(timeline, saved)
  const { step, why } = yield* cursor.runTo(target)
  const place = cursor.save()
  if (path !== undefined) {
    yield* Effect.mapError(fs.writeFileString(path, `${JSON.stringify(place, null, 2)}\n`), () => notWritable(path))
  }
  if (json) line(JSON.stringify({ file, why, at_ms: cursor.atMs, turns: cursor.turns, step, cursor: place }))
  else {
    const where = why === "reached" ? style.green("stopped") : style.yellow(`ended without ${to}`)
    line(`${file}: ${where} at ${(cursor.atMs / 1000).toFixed(3)} s, before record number ${cursor.nextSequence}`)
    const fed = step?.fed
    if (fed !== undefined) {
      line(`  fed  ${fed === "end" ? "the end" : `${identityOf(fed).what} ${JSON.stringify(fed)}`}`)
    }
    for (const output of step?.outputs ?? []) {
      const { turnId, what } = identityOf(output)
      line(`  out  ${what}${turnId === undefined ? "" : ` of ${turnId}`}`)
    }
    for (const text of step?.divergence === undefined ? [] : differenceLines(step.divergence)) line(text)
  }
  if (step?.divergence !== undefined) return yield* told("violation")
  if (why !== "reached") return yield* told("bad_input")
  return undefined
})

const savedIn = Effect.fnUntraced(function*(path: string) {
  const value = yield* readJson(path, "a cursor that rspp replay --to has saved")
  return yield* Schema.decodeUnknownEffect(SavedCursor)(value).pipe(
    Effect.mapError(({ message }) =>
      new CliFailure({
        exit: "bad_input",
        message: `${path}: is no saved cursor (${message})`,
        hint: "Give the path of a cursor that rspp replay --to has saved, or of a file that is not there yet."
      })
    )
  )
})
