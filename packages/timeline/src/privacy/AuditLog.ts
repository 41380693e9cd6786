import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { AuditEntry } from "@rspp/contracts/Privacy"
import { Clock, Context, Effect, FileSystem, Layer, Option, Schedule, Schema } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { chained, entryOf, genesis, verifyAudit } from "./AuditChain.ts"
import type { AuditFacts, AuditHead, AuditVerdict } from "./AuditChain.ts"
import { replaceFile, syncDirectory } from "./SafeFile.ts"

/** The audit log cannot be written, or cannot be trusted any more; what was to be audited must not happen. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  path: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/** The longest line of an audit log, in bytes. */
export const maxAuditLineBytes = 32 * 1024

/** How long a writer waits for another one, in steps of 10 ms: 2 s, after which it says so. An append takes about 5 ms. */
const lockSteps = 200

const Head = Schema.Struct({ audit_sequence: Schema.Number, hash: Schema.String })

/**
 * An append-only, hash-chained log of accesses and deletions: JSON lines (`audit_entry`), and `<log>.head` beside it with
 * the number and hash of the last.
 *
 * `append` returns once the entry is on the disk (I-AUDIT-FIRST: act only then), and fails with {@link AuditUnavailable}
 * when it is not. It keeps one writer at a time by `<log>.lock`; a lock of a process that is gone is taken over. A line
 * that a dying writer left half written stays, and the next entry names it by its hash.
 */
export class AuditLog extends Context.Service<AuditLog, {
  readonly append: (facts: AuditFacts) => Effect.Effect<AuditEntry, AuditUnavailable>
}>()("rspp/AuditLog") {
  static readonly layer = (path: string): Layer.Layer<AuditLog, never, FileSystem.FileSystem> =>
    Layer.effect(
      AuditLog,
      Effect.map(FileSystem.FileSystem, (fs) =>
        AuditLog.of({
          append: (facts) =>
            Effect.scoped(Effect.andThen(locked(path), append(path, facts))).pipe(
              Effect.provideService(FileSystem.FileSystem, fs),
              Effect.uninterruptible
            )
        }))
    )
}

const unavailable = (
  path: string,
  why: string,
  hint = "Nothing was shown or changed; make the log writable and try again."
) => new AuditUnavailable({ path, message: `the audit log ${path} ${why}`, hint })

const ioProblem = (path: string) => (cause: PlatformError) => unavailable(path, `cannot be written: ${cause.message}`)

const locked = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const lock = `${path}.lock`
  const take = Effect.scoped(
    Effect.flatMap(
      fs.open(lock, { flag: "wx", mode: 0o600 }),
      (file) => file.writeAll(new TextEncoder().encode(`${process.pid}\n`))
    )
  ).pipe(Effect.tapError(() => removeStale(lock)))
  yield* Effect.acquireRelease(
    take.pipe(
      Effect.retry({
        schedule: Schedule.max([Schedule.spaced(10), Schedule.recurs(lockSteps)]),
        while: (error) => error.reason._tag === "AlreadyExists"
      }),
      Effect.mapError((cause) =>
        cause.reason._tag === "AlreadyExists"
          ? unavailable(path, `is in use by another process (${lock})`, `If no process has it open, remove ${lock}.`)
          : ioProblem(path)(cause)
      )
    ),
    () => Effect.ignore(fs.remove(lock))
  )
})

/** A process that is gone gives its lock back. */
const removeStale = Effect.fnUntraced(function*(lock: string) {
  const fs = yield* FileSystem.FileSystem
  const pid = Number.parseInt(yield* Effect.orElseSucceed(fs.readFileString(lock), () => ""), 10)
  if (Number.isInteger(pid) && !isAlive(pid)) yield* Effect.ignore(fs.remove(lock))
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const append = Effect.fnUntraced(function*(
  path: string,
  facts: AuditFacts
): Effect.fn.Return<AuditEntry, AuditUnavailable, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const tail = yield* readTail(path)
  const head = yield* readHead(path)
  if (head !== undefined && head.audit_sequence > (tail.last?.audit_sequence ?? 0)) {
    return yield* distrusted(path, "ends before the last entry that was written to it")
  }
  if (head === undefined && tail.last !== undefined) {
    return yield* distrusted(path, "has lost its head file: whether entries were cut off at its end cannot be told")
  }
  const entry = chained(facts, yield* Clock.currentTimeMillis, tail.last, tail.torn)
  const line = Buffer.from(`${tail.torn === undefined ? "" : "\n"}${canonicalJson(entry)}\n`)
  if (line.length > maxAuditLineBytes) return yield* unavailable(path, "takes no entry of this length")
  yield* Effect.scoped(Effect.gen(function*() {
    // Before the first line: from then on a log without a head file is one that has lost it.
    if (head === undefined) yield* writeHead(path, { audit_sequence: 0, hash: genesis })
    const file = yield* fs.open(path, { flag: "a", mode: 0o600 })
    yield* file.writeAll(line).pipe(
      // Half a line is worse than none.
      Effect.tapError(() => Effect.ignore(file.truncate(tail.size)))
    )
    yield* file.sync
    if (tail.size === 0) yield* syncDirectory(path)
    yield* writeHead(path, { audit_sequence: entry.audit_sequence, hash: entry.hash })
  })).pipe(Effect.mapError(ioProblem(path)))
  return entry
})

const distrusted = (path: string, why: string) =>
  unavailable(path, why, `Look at it with: rspp timeline audit verify ${path}`)

interface Tail {
  readonly size: number
  readonly last: AuditHead | undefined
  /** Bytes behind the last newline. */
  readonly torn: Uint8Array | undefined
}

const readTail = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<Tail, AuditUnavailable, FileSystem.FileSystem> {
    const fs = yield* FileSystem.FileSystem
    const bytes = yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* fs.open(path, { flag: "r" })
      const size = Number((yield* file.stat).size)
      const want = Math.min(size, 4 * maxAuditLineBytes)
      const parts: Array<Uint8Array> = []
      let at = size - want
      while (at < size) {
        const part = yield* file.readAlloc(size - at, { position: BigInt(at) })
        if (Option.isNone(part)) break
        parts.push(part.value)
        at += part.value.length
      }
      return { size, bytes: Buffer.concat(parts) }
    })).pipe(
      Effect.catch((cause) =>
        cause.reason._tag === "NotFound"
          ? Effect.succeed({ size: 0, bytes: Buffer.alloc(0) })
          : Effect.fail(ioProblem(path)(cause))
      )
    )
    const end = bytes.bytes.lastIndexOf(0x0a)
    const torn = end + 1 < bytes.bytes.length ? bytes.bytes.subarray(end + 1) : undefined
    if (end < 0) return { size: bytes.size, last: undefined, torn }
    const start = bytes.bytes.lastIndexOf(0x0a, end - 1) + 1
    const entry = entryOf(bytes.bytes.subarray(start, end).toString("utf8"))
    if (typeof entry === "string") return yield* distrusted(path, `has a last line that ${entry}`)
    return { size: bytes.size, last: entry, torn }
  }
)

const headPath = (path: string): string => `${path}.head`

const readHead = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<AuditHead | undefined, AuditUnavailable, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(fs.readFileString(headPath(path)), () => undefined)
  if (text === undefined) return undefined
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Head))(text).pipe(
    Effect.mapError(() => distrusted(path, "has a head file that cannot be read"))
  )
})

const writeHead = (path: string, head: AuditHead) =>
  replaceFile(headPath(path), [Buffer.from(`${canonicalJson(head)}\n`)])

/** Judges the log at `path`. Fails with {@link AuditUnavailable} when it cannot be read at all. */
export const verifyAuditLog = Effect.fn("AuditLog.verify")(function*(
  path: string
): Effect.fn.Return<AuditVerdict, AuditUnavailable, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const content = yield* fs.readFile(path).pipe(
    Effect.mapError((cause) => unavailable(path, `cannot be read: ${cause.message}`, "Give the path of an audit log."))
  )
  return verifyAudit(content, yield* readHead(path))
})
