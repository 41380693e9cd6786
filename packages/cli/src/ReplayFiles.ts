import type { FixtureGate } from "@rspp/contracts/ReplayExpectation"
import { Effect, FileSystem, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { ofKind, readJson } from "./JsonInput.ts"

/** How a timeline's name ends. */
const ending = ".timeline"

/**
 * The timelines that a command was given: files as they are, of a directory every `*.timeline` in it at any depth, by name.
 * A directory without any is bad input. A file that is not there stays in the list, for the reader to say so.
 */
export const timelinesOf = Effect.fn("timelinesOf")(function*(paths: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const files: Array<string> = []
  const path = yield* Path.Path
  for (const given of paths) {
    const kind = yield* fs.stat(given).pipe(Effect.map(({ type }) => type), Effect.orElseSucceed(() => undefined))
    if (kind !== "Directory") {
      files.push(given)
      continue
    }
    const names = (yield* fs.readDirectory(given, { recursive: true })).filter((name) => name.endsWith(ending)).sort()
    if (names.length === 0) {
      return yield* new CliFailure({
        exit: "bad_input",
        message: `${given}: there is no ${ending} file in this directory`,
        hint: "Give a directory of recordings, or the files themselves."
      })
    }
    files.push(...names.map((name) => path.join(given, name)))
  }
  return files
})

/** Where the expectations of a timeline are, when it has any: `call.expected.json` beside `call.timeline`. */
export const expectationPath = (file: string): string =>
  `${file.endsWith(ending) ? file.slice(0, -ending.length) : file}.expected.json`

/** The expectations beside a timeline, or those of a file for all; undefined where there are none. */
export const expectationOf = Effect.fnUntraced(function*(file: string, given: string | undefined) {
  const path = given ?? expectationPath(file)
  const fs = yield* FileSystem.FileSystem
  if (given === undefined && !(yield* Effect.orElseSucceed(fs.exists(path), () => false))) return undefined
  return yield* ofKind(path, "replay_expectation", yield* readJson(path, "the expectations of a recording"))
})

/** Of these timelines those of a gate: `smoke` ones say so in the expectations beside them, `full` are all. None is bad input. */
export const ofGate = Effect.fnUntraced(function*(files: ReadonlyArray<string>, gate: FixtureGate | undefined) {
  if (gate === undefined || gate === "full") return files
  const chosen: Array<string> = []
  for (const file of files) {
    if ((yield* expectationOf(file, undefined))?.gate === gate) chosen.push(file)
  }
  if (chosen.length > 0) return chosen
  return yield* new CliFailure({
    exit: "bad_input",
    message: `none of ${files.length} recordings is of the gate ${gate}`,
    hint: `A recording is when NAME.expected.json beside it has "gate": "${gate}".`
  })
})
