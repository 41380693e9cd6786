import { builtInIds } from "@rspp/providers/nodes/BuiltInNodes"
import { readNodesFile } from "@rspp/providers/nodes/ExternalNodes"
import { Effect, FileSystem, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** The nodes file of `rspp run --nodes`; its commands start in the directory of the file. */
export const loadNodes = Effect.fn("loadNodes")(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      new CliFailure({
        exit: "bad_input",
        message: error.reason._tag === "NotFound"
          ? `${path}: there is no such nodes file`
          : `${path}: the nodes file cannot be read (${error.message})`,
        hint: "Check the path that --nodes was given."
      })
    )
  )
  return { file: yield* readNodesFile(text, path, builtInIds), directory: paths.resolve(paths.dirname(path)) }
})
