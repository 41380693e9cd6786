import { Effect, FileSystem, Schema } from "effect"
import type { Scope } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"

/** Somebody else is writing this file: a call that goes on, a deletion, a sweep. Nothing was changed. */
export class FileInUse extends Schema.TaggedError<FileInUse>()("FileInUse", {
  file: Schema.String,
  /** The process that writes it. */
  pid: Schema.Number,
  message: Schema.String,
  hint: Schema.String
}) {}

const Holder = Schema.Struct({
  pid: Schema.Number,
  /** When that process began, as the system counts; tells it from a later one with the same number. Empty: not known. */
  started: Schema.String,
  host: Schema.String,
  lock_id: Schema.String
})
type Holder = typeof Holder.Type

/** A lock that changes hands under our eyes is looked at so often. */
const tries = 5

export const lockPath = (path: string): string => `${path}.lock`

/** Field 22 of `/proc/<pid>/stat`; the name in field 2 may hold spaces and brackets. */
const startOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
  } catch {
    return ""
  }
}

const isAlive = ({ host, pid, started }: Holder): boolean => {
  // Of another machine nobody here can say.
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false
  }
  const now = startOf(pid)
  return started === "" || now === "" || now === started
}

const readHolder = Effect.fnUntraced(function*(lock: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(fs.readFileString(lock), () => undefined)
  if (text === undefined) return undefined
  return yield* Effect.orElseSucceed(
    Schema.decodeUnknownEffect(Schema.fromJsonString(Holder))(text),
    (): Holder => ({ pid: 0, started: "", host: "", lock_id: "" })
  )
})

const inUse = (file: string, { host, pid }: Holder): FileInUse => {
  const where = host === hostname()
    ? `process ${pid}`
    : `process ${pid} on ${host === "" ? "an unknown machine" : host}`
  return new FileInUse({
    file,
    pid,
    message: `${file} is being written by ${where}`,
    hint: `Wait until that has ended. If nobody writes it, remove ${lockPath(file)}.`
  })
}

/** Fails with {@link FileInUse} while a living process holds the file. */
export const mustBeFree = Effect.fn("WriterLock.mustBeFree")(function*(
  path: string
): Effect.fn.Return<void, FileInUse, FileSystem.FileSystem> {
  const holder = yield* readHolder(lockPath(path))
  if (holder !== undefined && isAlive(holder)) return yield* inUse(path, holder)
  return undefined
})

/**
 * Holds the right to write a file until the scope closes: `<path>.lock`, which names the process.
 *
 * The lock comes into being whole, by a hard link, and of two that want it one gets it. It survives nothing: of a process
 * that is gone, killed with -9 included, it is taken over; a later process with the same number is told apart by when it
 * began. A lock of another machine cannot be judged and is respected. It keeps out who asks for it, and nobody else.
 */
export const hold = Effect.fn("WriterLock.hold")(function*(
  path: string
): Effect.fn.Return<void, FileInUse | PlatformError, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const lock = lockPath(path)
  const lock_id = randomUUID()
  const own: Holder = { pid: process.pid, started: startOf(process.pid), host: hostname(), lock_id }
  const aside = `${lock}.${lock_id}`
  const take = fs.writeFileString(aside, `${JSON.stringify(own)}\n`, { flag: "wx", mode: 0o600 }).pipe(
    Effect.andThen(fs.link(aside, lock)),
    Effect.as(true),
    Effect.catch((error) => error.reason._tag === "AlreadyExists" ? Effect.succeed(false) : Effect.fail(error)),
    Effect.ensuring(Effect.ignore(fs.remove(aside, { force: true })))
  )
  const taken = Effect.gen(function*() {
    for (let attempt = 0; attempt < tries; attempt++) {
      if (yield* take) return undefined
      const holder = yield* readHolder(lock)
      if (holder === undefined) continue
      if (isAlive(holder)) return yield* inUse(path, holder)
      yield* giveUp(lock, holder)
    }
    return yield* inUse(path, (yield* readHolder(lock)) ?? own)
  })
  yield* Effect.acquireRelease(taken, () =>
    Effect.gen(function*() {
      // Somebody who took it for stale has it now.
      if ((yield* readHolder(lock))?.lock_id === lock_id) yield* Effect.ignore(fs.remove(lock))
    }))
})

/** As {@link hold}; where no lock can be made, nobody may hold one: what cannot be locked there cannot be written either. */
export const holdIfPossible = (path: string): Effect.Effect<void, FileInUse, FileSystem.FileSystem | Scope.Scope> =>
  Effect.catchTag(hold(path), "PlatformError", () => mustBeFree(path))

/** Moves the lock of a process that is gone out of the way; a lock that another one has taken meanwhile is put back. */
const giveUp = Effect.fnUntraced(function*(lock: string, stale: Holder) {
  const fs = yield* FileSystem.FileSystem
  const moved = `${lock}.${randomUUID()}`
  yield* Effect.ignore(Effect.gen(function*() {
    yield* fs.rename(lock, moved)
    if ((yield* readHolder(moved))?.lock_id !== stale.lock_id) yield* fs.link(moved, lock)
    yield* fs.remove(moved)
  }))
})
