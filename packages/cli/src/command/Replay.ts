import { Effect, Exit } from "effect"
import { endingOf, told } from "../CliFailure.ts"
import { replay } from "../Composition.ts"
import { exitCodes } from "../ExitCode.ts"
import type { ExitName } from "../ExitCode.ts"
import { exitOfReplay, replayFile, replayLines } from "../ReplayCheck.ts"
import { Screen } from "../Screen.ts"
import { graver } from "../Verdict.ts"

export interface ReplayFlags {
  readonly files: ReadonlyArray<string>
  readonly set: ReadonlyArray<string>
  readonly json: boolean
}

/** `rspp replay`: each file on its own, and the gravest verdict as the exit code. */
export const replayFiles = Effect.fn("rspp.replay")(function*({ files, json, set }: ReplayFlags) {
  const screen = yield* Screen
  let worst: ExitName = "ok"
  yield* Effect.forEach(files, (file) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(replayFile(file, set))
      if (Exit.isSuccess(exit)) {
        const replayed = exit.value
        worst = graver(worst, exitOfReplay(replayed))
        if (json) screen.line(JSON.stringify(replayed))
        else for (const line of replayLines(replayed, screen.style)) screen.line(line)
        return undefined
      }
      const ending = endingOf(exit, false)
      // What concerns every file, or is a fault of ours, ends the command.
      if (exitCodes[ending.exit] !== exitCodes.bad_input) return yield* exit
      worst = graver(worst, ending.exit)
      if (json) screen.line(JSON.stringify({ file, error: ending.lines.join(" ") }))
      else screen.note(ending.lines.join("\n      "))
      return undefined
    }), { discard: true }).pipe(Effect.provide(replay))
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
