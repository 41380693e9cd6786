import { Effect, FileSystem } from "effect"
import { dirname } from "node:path"

/** Makes a new name in the file's directory last. File systems that cannot sync a directory keep it anyway, or soon. */
export const syncDirectory = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.ignore(
    Effect.scoped(Effect.flatMap(fs.open(dirname(path), { flag: "r" }), (directory) => directory.sync))
  )
})

/**
 * Replaces a file as a whole: written beside it, synced, renamed over it. Whoever dies in between leaves the old file
 * and a `<path>.next`, which the next try writes over.
 */
export const replaceFile = Effect.fnUntraced(function*(path: string, parts: Iterable<Uint8Array>) {
  const fs = yield* FileSystem.FileSystem
  const next = `${path}.next`
  yield* Effect.scoped(Effect.gen(function*() {
    const file = yield* fs.open(next, { flag: "w", mode: 0o600 })
    for (const part of parts) yield* file.writeAll(part)
    yield* file.sync
  })).pipe(
    Effect.andThen(fs.rename(next, path)),
    Effect.tapError(() => Effect.ignore(fs.remove(next)))
  )
  yield* syncDirectory(path)
})
