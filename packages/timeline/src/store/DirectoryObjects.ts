import { Effect, FileSystem, Layer, Option, Path } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { randomUUID } from "node:crypto"
import { ObjectStore } from "./ObjectStore.ts"
import { StoreRefused, StoreUnavailable } from "./TimelineStore.ts"

/** Objects that are not whole yet; a leading dot, so that no key can name it. */
const incoming = ".incoming"

/** What a crashed writer left behind is removed when the store is opened, after this long, in ms. */
const staleMs = 60 * 60 * 1000

/**
 * Objects as files below `directory`, which is created when its parent exists.
 *
 * An object is written aside, synced, and linked to its name, which fails when the name is taken; then the directory is
 * synced. So a power cut leaves it whole or not there, and of two writers the first wins, also in two processes. Where the
 * file system has no hard links it is renamed instead; then two writers in the same instant are not told apart.
 */
export const layer = (
  directory: string
): Layer.Layer<ObjectStore, StoreUnavailable | StoreRefused, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const paths = yield* Path.Path
      const root = paths.resolve(directory)
      const name = `directory ${directory}`
      const failed = failure(name)
      const aside = paths.join(root, incoming)
      const at = (key: string) => paths.join(root, ...key.split("/"))

      const syncDirectory = (path: string) =>
        Effect.scoped(Effect.flatMap(fs.open(path, { flag: "r" }), (handle) => handle.sync))

      /** Creates the directory and makes its name durable in those above it, up to the root. */
      const makeDirectory = Effect.fnUntraced(function*(path: string) {
        if (yield* fs.exists(path)) return
        yield* fs.makeDirectory(path, { recursive: true, mode: 0o700 })
        for (let above = paths.dirname(path); above.length >= root.length; above = paths.dirname(above)) {
          yield* syncDirectory(above)
          if (above === root) return
        }
      })

      const claim = (from: string, to: string): Effect.Effect<"created" | "exists", PlatformError> =>
        fs.link(from, to).pipe(
          Effect.as("created" as const),
          Effect.catch((error) => {
            switch (codeOf(error)) {
              case "EEXIST":
                return Effect.succeed("exists" as const)
              case "EPERM":
              case "ENOTSUP":
              case "ENOSYS":
                return Effect.flatMap(fs.exists(to), (taken) =>
                  taken ? Effect.succeed("exists" as const) : Effect.as(fs.rename(from, to), "created" as const))
              default:
                return Effect.fail(error)
            }
          })
        )

      const put = Effect.fnUntraced(function*(key: string, bytes: Uint8Array) {
        const target = at(key)
        yield* makeDirectory(paths.dirname(target))
        const part = paths.join(aside, randomUUID())
        return yield* Effect.gen(function*() {
          yield* Effect.scoped(Effect.gen(function*() {
            const file = yield* fs.open(part, { flag: "wx", mode: 0o600 })
            yield* file.writeAll(bytes)
            yield* file.sync
          }))
          const claimed = yield* claim(part, target)
          yield* syncDirectory(paths.dirname(target))
          return claimed
        }).pipe(Effect.ensuring(Effect.ignore(fs.remove(part, { force: true }))))
      })

      const get = Effect.fnUntraced(
        function*(key: string, first?: number) {
          if (first === undefined) {
            return Option.some(yield* fs.readFile(at(key)))
          }
          return yield* Effect.scoped(Effect.gen(function*() {
            const file = yield* fs.open(at(key), { flag: "r" })
            return yield* file.readAlloc(first)
          }))
        },
        Effect.catchIf((error) =>
          error.reason._tag === "NotFound", () =>
          Effect.succeed(Option.none<Uint8Array>()))
      )

      const remove = Effect.fnUntraced(function*(key: string) {
        const target = at(key)
        if (!(yield* fs.exists(target))) return
        yield* fs.remove(target, { force: true })
        yield* syncDirectory(paths.dirname(target))
      })

      const keysBelow = (path: string, prefix: string): Effect.Effect<ReadonlyArray<string>, PlatformError> =>
        fs.readDirectoryEntries(path).pipe(
          Effect.catchIf(
            (error) => error.reason._tag === "NotFound",
            () => Effect.succeed<ReadonlyArray<FileSystem.DirectoryEntry>>([])
          ),
          Effect.flatMap((entries) =>
            Effect.forEach(entries, ({ name, type }) =>
              type !== "Directory"
                ? Effect.succeed([`${prefix}${name}`])
                : name === incoming
                ? Effect.succeed([])
                : keysBelow(paths.join(path, name), `${prefix}${name}/`))
          ),
          Effect.map((found) => found.flat())
        )

      const clear = Effect.gen(function*() {
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        for (const part of yield* fs.readDirectory(aside)) {
          const { mtime } = yield* fs.stat(paths.join(aside, part))
          if (Option.isSome(mtime) && now - mtime.value.getTime() > staleMs) yield* fs.remove(paths.join(aside, part))
        }
      })

      yield* fs.exists(root).pipe(
        Effect.flatMap((there) => there ? Effect.void : fs.makeDirectory(root, { mode: 0o700 })),
        // somebody else has just made it
        Effect.catchIf(({ reason }) => reason._tag === "AlreadyExists", () => Effect.void),
        Effect.andThen(fs.makeDirectory(aside, { recursive: true, mode: 0o700 })),
        Effect.catch((error) =>
          Effect.flatMap(Effect.orElseSucceed(fs.exists(paths.dirname(root)), () => false), (parent) =>
            // In places such as /proc the system says of a directory that may not be made that it does not exist.
            Effect.fail(
              parent && codeOf(error) === "ENOENT"
                ? new StoreRefused({ store: name, message: `${name}: no directory can be made there`, cause: error })
                : failed(error)
            ))
        )
      )
      yield* Effect.ignore(clear)

      return ObjectStore.of({
        name,
        put: (key, bytes) => Effect.mapError(put(key, bytes), failed),
        get: (key, first) => Effect.mapError(get(key, first), failed),
        remove: (key) => Effect.mapError(remove(key), failed),
        list: (prefix) => Effect.mapError(keysBelow(at(prefix.replace(/\/$/u, "")), prefix), failed)
      })
    })
  )

const codeOf = (error: PlatformError): string => {
  const { cause } = error.reason
  return typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : error.reason._tag
}

const failure = (store: string) => (cause: PlatformError): StoreUnavailable | StoreRefused => {
  switch (codeOf(cause)) {
    case "EACCES":
    case "EPERM":
      return new StoreRefused({
        store,
        message: `${store}: no permission to use it; give another or change its owner`,
        cause
      })
    case "ENOENT":
      return new StoreRefused({ store, message: `${store}: its parent does not exist; create it first`, cause })
    case "ENOTDIR":
    case "EISDIR":
      return new StoreRefused({ store, message: `${store}: a file is where a directory should be`, cause })
    case "ENAMETOOLONG":
      return new StoreRefused({ store, message: `${store}: the session's name is too long for a file name`, cause })
    case "ENOSPC":
    case "EDQUOT":
      return new StoreUnavailable({ store, message: `${store}: no room is left; free some`, cause })
    case "EROFS":
      return new StoreUnavailable({ store, message: `${store}: the file system is read-only`, cause })
    default:
      return new StoreUnavailable({ store, message: `${store}: ${cause.message}`, cause })
  }
}
