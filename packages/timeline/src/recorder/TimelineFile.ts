import type { EndRecord, TimelineHeader } from "@rspp/contracts/Timeline"
import { RecorderFailure } from "@rspp/runtime/ports/Recorder"
import { Clock, Effect, FileSystem } from "effect"
import type { Scope } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { TimelineEncoder } from "../format/TimelineEncoder.ts"
import { preambleOf } from "../format/TimelineFormat.ts"
import type { Durability } from "./Durability.ts"
import { mustSync } from "./Durability.ts"
import type { Emission } from "./RecordAssembler.ts"

/**
 * Room on the disk that is taken ahead of what is written, as zeros: when the disk is full, what a turn needs for its
 * terminal and close is still there. (A file system that copies on write gives no such promise.)
 */
export const ballastBytes = 64 * 1024

/** Of the ballast, what only the baseline may use … */
export const baselineShareBytes = 48 * 1024

/** … what evidence leaves to terminals and closes … */
export const markerShareBytes = 24 * 1024

/** … and what is left for the end record. */
export const endShareBytes = 1024

/** Bytes by which the room grows at once, so that most batches cost one write. */
const growthBytes = 64 * 1024

/** Emissions that are encoded without a pause, about 1 ms; then the event loop turns while they are written. */
const emissionsPerWrite = 128

const zeros = new Uint8Array(ballastBytes + growthBytes)

/** A timeline file that is being written. No call fails: what cannot be written is counted, and `impaired` says so. */
export interface TimelineFile {
  /** Appends the frames of a batch, in order; syncs as its durability says. */
  readonly append: (batch: ReadonlyArray<Emission>) => Effect.Effect<void>
  /** Writes the end record, gives the rest of the room back and syncs. */
  readonly close: (end: (records: number) => EndRecord) => Effect.Effect<void>
  /** Bytes of the frames that are written. */
  readonly size: () => number
  /** True while the disk takes no more: the baseline is then written into the room that was kept. */
  readonly impaired: () => boolean
  /** Records that could not be written, and the first reason. */
  readonly lost: () => { readonly records: number; readonly reason: string | undefined }
}

/**
 * Creates the file, which must not exist yet, and writes preamble and header. Fails with {@link RecorderFailure} when
 * that is not possible; then no file is left behind. The handle is closed with the scope.
 */
export const create = Effect.fnUntraced(function*(
  path: string,
  header: TimelineHeader,
  durability: Durability = "terminal"
): Effect.fn.Return<TimelineFile, RecorderFailure, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  // Only the owner may read what was said.
  const handle = yield* fs.open(path, { flag: "wx", mode: 0o600 }).pipe(
    Effect.mapError((cause) => new RecorderFailure({ message: `${path}: ${openProblem(cause)}`, cause }))
  )
  const encoder = new TimelineEncoder(header.format_version)
  const first = Buffer.concat([preambleOf(header.format_version), encoder.encode([[header]])])
  yield* handle.writeAll(first).pipe(
    Effect.tapError(() => Effect.ignore(fs.remove(path))),
    Effect.mapError((cause) => new RecorderFailure({ message: `${path}: ${writeProblem(cause)}`, cause }))
  )
  const file = openFile(handle, encoder, first.length, durability)
  yield* file.append([])
  return file
})

const openFile = (
  handle: FileSystem.File,
  encoder: TimelineEncoder,
  start: number,
  durability: Durability
): TimelineFile => {
  /** By the clock of whoever writes; the interval begins with the first batch. */
  let syncedMs: number | undefined
  /** Where the next frame goes, and the end of the room that is taken. */
  let position = start
  let room = start
  let records = 1
  let impaired = false
  let lost = 0
  let reason: string | undefined

  const fail = (cause: PlatformError) =>
    Effect.sync(() => {
      impaired = true
      reason ??= writeProblem(cause)
    })

  const writeAt = (offset: number, bytes: Uint8Array) =>
    Effect.andThen(handle.seek(BigInt(offset), "start"), handle.writeAll(bytes))

  /** Takes room for `bytes` and the ballast behind them. Afterwards `impaired` says whether that is there. */
  const takeRoom = (bytes: number) =>
    Effect.suspend(() => {
      const needed = position + bytes + ballastBytes
      if (needed <= room) {
        impaired = false
        return Effect.void
      }
      const target = needed + growthBytes
      const take = Effect.gen(function*() {
        while (room < target) {
          const part = Math.min(zeros.length, target - room)
          yield* writeAt(room, zeros.subarray(0, part))
          room += part
        }
      })
      return take.pipe(
        Effect.catch((cause) =>
          // Some of it may have been written.
          Effect.andThen(
            fail(cause),
            handle.stat.pipe(
              Effect.map((info) => {
                room = Math.max(room, Number(info.size))
              }),
              Effect.ignore
            )
          )
        ),
        Effect.map(() => {
          impaired = needed > room
        })
      )
    })

  const writeFrames = (bytes: Uint8Array, count: number) =>
    writeAt(position, bytes).pipe(
      Effect.map(() => {
        position += bytes.length
        room = Math.max(room, position)
        records += count
      }),
      Effect.catch((cause) =>
        Effect.map(fail(cause), () => {
          lost += count
          encoder.startAfresh()
        })
      )
    )

  /** What of the batch still fits into the room that was kept for bad times. */
  const writeImpaired = (batch: ReadonlyArray<Emission>) => {
    const frames: Array<Uint8Array> = []
    let count = 0
    let left = room - position
    const keep = (kept: Emission["records"], share: number): boolean => {
      // Each stands by itself, for it may not be written.
      encoder.startAfresh()
      const frame = kept.length === 0 ? undefined : encode([kept])
      if (frame === undefined || left - frame.length < share) return false
      frames.push(frame)
      left -= frame.length
      count += kept.length
      return true
    }
    for (const { tier, records: all } of batch) {
      if (tier === "detail") {
        lost += all.length
      } else if (tier === "record") {
        if (!keep(all, baselineShareBytes)) lost += all.length
      } else if (!keep(all, markerShareBytes)) {
        const markers = all.filter(({ record }) => record !== "evidence" && record !== "supplement")
        lost += keep(markers, endShareBytes) ? all.length - markers.length : all.length
      }
    }
    encoder.startAfresh()
    return count === 0 ? Effect.void : writeFrames(Buffer.concat(frames), count)
  }

  const encode = (groups: ReadonlyArray<Emission["records"]>): Uint8Array | undefined => {
    try {
      return encoder.encode(groups)
    } catch {
      // Larger than a frame, or not JSON: it must not take the rest of the recording with it.
      return undefined
    }
  }

  /** The frames of a batch, and how many of its records are in them. */
  const encodeBatch = (batch: ReadonlyArray<Emission>): { readonly bytes: Uint8Array; readonly count: number } => {
    const groups = batch.map(({ records }) => records)
    const all = encode(groups)
    if (all !== undefined) return { bytes: all, count: sizeOf(groups) }
    // One of them cannot be written: the others are, one by one.
    const frames: Array<Uint8Array> = []
    let count = 0
    for (const group of groups) {
      const frame = encode([group])
      if (frame === undefined) continue
      frames.push(frame)
      count += group.length
    }
    return { bytes: Buffer.concat(frames), count }
  }

  const writeBatch = Effect.fnUntraced(function*(batch: ReadonlyArray<Emission>) {
    const { bytes, count } = encodeBatch(batch)
    yield* takeRoom(bytes.length)
    if (impaired) return yield* writeImpaired(batch)
    const unwritable = sizeOf(batch.map(({ records }) => records)) - count
    if (unwritable > 0) {
      lost += unwritable
      reason ??= "a record is larger than a frame may be"
    }
    if (count > 0) yield* writeFrames(bytes, count)
  })

  return {
    append: Effect.fnUntraced(function*(batch) {
      if (batch.length === 0) return yield* takeRoom(0)
      for (let at = 0; at < batch.length; at += emissionsPerWrite) {
        yield* writeBatch(batch.slice(at, at + emissionsPerWrite))
      }
      const nowMs = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
      syncedMs ??= nowMs
      if (!mustSync(durability, batch.some(({ tier }) => tier === "baseline"), nowMs - syncedMs)) return
      syncedMs = nowMs
      yield* handle.sync.pipe(Effect.catch(fail))
    }),
    close: Effect.fnUntraced(function*(end) {
      yield* writeFrames(encoder.encode([[end(records)]]), 1)
      yield* handle.truncate(position).pipe(Effect.catch(fail))
      yield* handle.sync.pipe(Effect.catch(fail))
    }),
    size: () => position,
    impaired: () => impaired,
    lost: () => ({ records: lost, reason })
  }
}

const sizeOf = (groups: ReadonlyArray<Emission["records"]>): number =>
  groups.reduce((sum, group) => sum + group.length, 0)

const codeOf = (error: PlatformError): string => {
  const { cause } = error.reason
  return typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : error.reason._tag
}

const openProblem = (error: PlatformError): string => {
  switch (codeOf(error)) {
    case "EEXIST":
      return "a recording of this name exists already, and recordings are never overwritten"
    case "ENOENT":
    case "ENOTDIR":
      return "its directory does not exist"
    case "EACCES":
    case "EPERM":
      return "no permission to create it"
    case "EROFS":
      return "the file system is read-only"
    default:
      return `cannot be created (${error.message})`
  }
}

const writeProblem = (error: PlatformError): string => {
  switch (codeOf(error)) {
    case "ENOSPC":
      return "the disk is full"
    case "EDQUOT":
      return "the disk quota is used up"
    case "EFBIG":
      return "the file may not grow further"
    default:
      return `cannot be written (${error.message})`
  }
}
