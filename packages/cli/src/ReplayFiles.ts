import { Effect, FileSystem, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"

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
