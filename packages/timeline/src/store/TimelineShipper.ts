import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  FileSystem,
  Latch,
  Layer,
  Option,
  Queue,
  Schedule,
  Scope,
  Semaphore
} from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { TimelineError } from "../format/TimelineReader.ts"
import { read } from "../format/TimelineReader.ts"
import type { RecordingProgress } from "../recorder/RecordingObserver.ts"
import { RecordingObservers } from "../recorder/RecordingObserver.ts"
import { ExportLag } from "./ExportLag.ts"
import { cutSegment } from "./SegmentCutter.ts"
import { ShippedRecording } from "./ShippedRecording.ts"
import type { ShippingReport } from "./ShippedRecording.ts"
import type { ShipperLimits } from "./ShipperLimits.ts"
import { shipperLimits } from "./ShipperLimits.ts"
import { isIntact, makeSegment } from "./TimelineSegment.ts"
import type { SegmentInfo } from "./TimelineSegment.ts"
import type { StoreError } from "./TimelineStore.ts"
import { SegmentConflict, StoreUnavailable, TimelineStore } from "./TimelineStore.ts"

/** Reports that are kept of recordings that are done. */
const maxFinished = 256

/**
 * Stage B of the recorder: ships what recorders have written to a {@link TimelineStore}, later, and without any effect on
 * a session.
 *
 * It is told by a recorder how far a file has come (`RecordingObservers`), reads finished frames from the file, and puts
 * them as segments. Each call to the store has a time limit and a bounded number of tries with growing, jittered pauses
 * (Effect's Random); then the recording rests, and it begins again, for as long as the program lives. An error that
 * trying again cannot help ends the shipping of that recording; its file stays where it is.
 *
 * What was shipped is what the store lists; nothing else remembers it. So a shipper that was killed goes on where it was,
 * also between a put and its answer. If another process ships the same file, both go on behind what the other has put.
 *
 * - I-SHIP-ONCE no byte of a recording is stored twice.
 * - I-SHIP-ALL none is left out: the segments in their order are the file, up to where it can be read.
 * - I-SHIP-BOUNDED the backlog is the file: in memory are at most `concurrentPuts` segments, and 128 marks per recording.
 * - I-SHIP-APART a session waits for no store: with any fault of it the recording is the same, record for record, but for the
 *   level that a store which is behind lowers (at L0 there is none to lower).
 */
export class TimelineShipper extends Context.Service<TimelineShipper, {
  /**
   * Ships a recording that nobody writes any more, up to where it can be read: after a restart, or later. Fails when the
   * file is no timeline.
   */
  readonly resume: (path: string) => Effect.Effect<void, TimelineError>
  /** Waits, at most so long, until everything that is on disk is stored or given up. Segments are then not held back. */
  readonly drain: (withinMs: number) => Effect.Effect<ReadonlyArray<ShippingReport>>
  /** The recordings at hand, and the last 256 that are done. */
  readonly reports: Effect.Effect<ReadonlyArray<ShippingReport>>
}>()("rspp/TimelineShipper") {}

/**
 * The shipper, and the two references by which a recorder finds it: build the recorder's layer on top of this one. When
 * the layer closes it drains for at most `drainMs`, and says which recordings are not complete in the store.
 */
export const layer = (
  limits: ShipperLimits = shipperLimits
): Layer.Layer<TimelineShipper, never, TimelineStore | FileSystem.FileSystem> =>
  Layer.effectContext(
    Effect.map(make(limits), ({ lagMs, observer, service }) =>
      Context.make(TimelineShipper, service).pipe(
        Context.add(RecordingObservers, [observer]),
        Context.add(ExportLag, { lagMs })
      ))
  )

/** Why a recording cannot be shipped, whatever the store says. */
type Failure = StoreError | { readonly _tag: "Unreadable"; readonly retryable: false; readonly message: string }

const unreadable = (message: string): Failure => ({ _tag: "Unreadable", retryable: false, message })

const make = Effect.fnUntraced(function*(limits: ShipperLimits) {
  const store = yield* TimelineStore
  const fs = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  // Of the fibers that ship; it closes after the drain, which a finalizer of each fiber would not.
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const permits = yield* Semaphore.make(limits.concurrentPuts)
  const arrivals = yield* Queue.unbounded<ShippedRecording>()
  const hurry = Latch.makeUnsafe(false)
  const live = new Map<string, ShippedRecording>()
  const bySession = new Map<string, ShippedRecording>()
  const finished: Array<ShippedRecording> = []
  let draining = 0
  /** Calls of the observer, and how many of them a drain has waited for. */
  let told = 0
  let drained = -1

  const now = () => clock.currentTimeMillisUnsafe()

  const forget = (recording: ShippedRecording) => {
    live.delete(recording.path)
    if (bySession.get(recording.key.session_id) === recording) bySession.delete(recording.key.session_id)
    finished.push(recording)
    if (finished.length > maxFinished) finished.shift()
  }

  const giveUp = (recording: ShippedRecording, problem: string) => {
    recording.end("failed", problem)
    forget(recording)
  }

  /** The recording of this file; undefined when there are too many. */
  const recordingAt = ({ path, session_id, tenant_id }: Omit<RecordingProgress, "bytes" | "closed">) => {
    const known = live.get(path)
    if (known !== undefined) return known
    if (live.size >= limits.recordings) {
      const oldest = [...live.values()].find(({ closed }) => closed)
      if (oldest === undefined) return undefined
      giveUp(oldest, "too many recordings waited to be stored")
    }
    const recording = new ShippedRecording(path, { tenant_id, session_id }, limits)
    live.set(path, recording)
    bySession.set(session_id, recording)
    Queue.offerUnsafe(arrivals, recording)
    return recording
  }

  const observer = (progress: RecordingProgress) => {
    told++
    recordingAt(progress)?.grew(progress.bytes, progress.closed, now())
  }

  const retries = Schedule.exponential(limits.firstPauseMs).pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.succeed(Duration.min(duration, Duration.millis(limits.longestPauseMs)))
    ),
    Schedule.jittered,
    Schedule.upTo({ times: limits.attempts - 1 })
  )

  /** A call to the store, with its time limit and its tries. */
  const trying = <A, E extends Failure>(recording: ShippedRecording, call: Effect.Effect<A, E>) =>
    call.pipe(
      Effect.timeoutOrElse({
        duration: limits.answerMs,
        orElse: () =>
          new StoreUnavailable({ store: store.name, message: `${store.name}: no answer within ${limits.answerMs} ms` })
      }),
      Effect.tapError((error) =>
        Effect.sync(() => {
          recording.failures++
          recording.problem = error.message
        })
      ),
      Effect.retry({ schedule: retries, while: ({ retryable }) => retryable })
    )

  /** Bytes of the file from `offset` on: as many as there are, at most `length`. */
  const readBytes = Effect.fnUntraced(function*(path: string, offset: number, length: number) {
    const parts: Array<Uint8Array> = []
    let missing = length
    const file = yield* fs.open(path, { flag: "r" })
    yield* file.seek(BigInt(offset), "start")
    while (missing > 0) {
      const part = yield* file.readAlloc(missing)
      if (Option.isNone(part)) break
      parts.push(part.value)
      missing -= part.value.length
    }
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  }, Effect.scoped)

  const bytesAt = ({ path }: ShippedRecording, offset: number, length: number) =>
    readBytes(path, offset, length).pipe(
      Effect.mapError((error: PlatformError) => unreadable(`${path}: cannot be read (${error.message})`)),
      Effect.filterOrFail((bytes) => bytes.length === length, () => unreadable(`${path}: it has become shorter`))
    )

  /** Asks the store what it has, and goes on behind that; it must be the beginning of this very file. */
  const otherRecording = ({ key, path }: ShippedRecording) =>
    new SegmentConflict({
      store: store.name,
      message: `${store.name}: another recording is stored there as session ${key.session_id}, which ${path} is too; ` +
        "put it into another store, and give each call an id of its own"
    })

  const locate = Effect.fnUntraced(function*(recording: ShippedRecording) {
    const infos = yield* trying(recording, store.list(recording.key))
    const last = endOf(infos)
    const end = last === undefined ? 0 : last.offset + last.length
    if (last !== undefined) {
      if (end > recording.recorded) {
        const [first] = infos
        if (first !== undefined && first.length <= recording.recorded) {
          if (!isIntact(first, yield* bytesAt(recording, 0, first.length))) return yield* otherRecording(recording)
        }
        return yield* Effect.fail(unreadable(
          `${recording.path}: ${store.name} has more of it, ${end} bytes to ${recording.recorded}; fetch it from there`
        ))
      }
      if (!isIntact(last, yield* bytesAt(recording, last.offset, last.length))) {
        return yield* otherRecording(recording)
      }
    }
    recording.located = true
    recording.reached(end, last === undefined ? 0 : last.index + 1, now())
  })

  const putNext = Effect.fnUntraced(function*(recording: ShippedRecording) {
    const { key, next, stored } = recording
    const take = (length: number) => bytesAt(recording, stored, Math.min(recording.pending, length))
    let bytes = yield* take(limits.segmentBytes)
    let cut = cutSegment(bytes, stored === 0, limits.segmentBytes)
    // One frame that is larger than a segment: first its length is read, then the frame.
    while (cut.is === "short" && cut.bytes > bytes.length && recording.pending > bytes.length) {
      bytes = yield* take(cut.bytes)
      cut = cutSegment(bytes, stored === 0, limits.segmentBytes)
    }
    if (cut.is !== "cut") {
      return yield* Effect.fail(unreadable(`${recording.path}: it is damaged at byte ${stored}`))
    }
    const { is: _, length, ...about } = cut
    const segment = makeSegment({ ...key, index: next, offset: stored, ...about }, bytes.subarray(0, length))
    yield* trying(recording, store.put(segment))
    recording.reached(stored + length, next + 1, now())
  })

  const round = (recording: ShippedRecording) =>
    Effect.gen(function*() {
      if (!recording.located) yield* locate(recording)
      if (recording.pending > 0) yield* putNext(recording)
      recording.problem = undefined
    }).pipe(
      // Another process was quicker, or the answer to an earlier put was lost: look again, once, and go on behind it.
      Effect.catchIf((error) => error._tag === "SegmentConflict" && recording.located, (error) => {
        const before = recording.stored
        recording.located = false
        return Effect.andThen(
          locate(recording),
          Effect.suspend(() => recording.stored > before ? Effect.void : Effect.fail(error))
        )
      })
    )

  const warn = (recording: ShippedRecording, problem: string) => {
    if (recording.warned) return Effect.void
    recording.warned = true
    return Effect.logWarning(
      `${problem}; the recording of session ${recording.key.session_id} is kept on disk meanwhile`
    )
  }

  const ship = Effect.fnUntraced(function*(recording: ShippedRecording) {
    while (recording.state === "shipping") {
      if (recording.closed && recording.located && recording.pending <= 0) {
        recording.end("stored")
        forget(recording)
        return
      }
      yield* recording.work.await
      const held = limits.holdMs - recording.lagMs(now())
      if (draining === 0 && recording.pending > 0 && held > 0) {
        yield* Effect.raceFirst(Effect.sleep(held), Effect.raceFirst(recording.urgent.await, hurry.await))
      }
      if (recording.state !== "shipping") return
      yield* permits.withPermits(1)(round(recording)).pipe(
        Effect.catch((error: Failure) => {
          if (!error.retryable) {
            giveUp(recording, error.message)
            return Effect.logError(
              `${error.message}; the recording of session ${recording.key.session_id} stays in ${recording.path}`
            )
          }
          const rest = draining > 0
            ? Effect.sleep(limits.firstPauseMs)
            : Effect.raceFirst(Effect.sleep(limits.restMs), hurry.await)
          return Effect.andThen(warn(recording, error.message), rest)
        })
      )
    }
  })

  const drain = (withinMs: number) =>
    Effect.suspend(() => {
      draining++
      drained = told
      hurry.openUnsafe()
      return Effect.forEach([...live.values()], ({ settled }) => settled.await, { discard: true })
    }).pipe(
      Effect.timeoutOption(withinMs),
      Effect.ensuring(Effect.sync(() => {
        draining--
        if (draining === 0) hurry.closeUnsafe()
      })),
      Effect.andThen(Effect.sync(() => reports()))
    )

  const reports = () => [...finished, ...live.values()].map((recording) => recording.report(now()))

  yield* Queue.take(arrivals).pipe(
    Effect.flatMap((recording) =>
      ship(recording).pipe(
        Effect.catchCause((cause) => {
          if (recording.state === "shipping") giveUp(recording, "an internal fault ended the shipping")
          return Cause.hasInterruptsOnly(cause)
            ? Effect.void
            : Effect.logError(`${recording.path}: not shipped`, Cause.pretty(cause))
        }),
        Effect.forkIn(scope)
      )
    ),
    Effect.forever,
    Effect.forkIn(scope)
  )
  // Runs before the fibers are stopped.
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(
      Effect.suspend(() => drain(drained === told ? 0 : limits.drainMs)),
      (all) =>
        Effect.forEach(
          all.filter(({ state }) => state === "shipping"),
          ({ path, problem, recorded_bytes, stored_bytes }) =>
            recorded_bytes === stored_bytes && problem === undefined ? Effect.void : Effect.logWarning(
              `${path}: ${recorded_bytes - stored_bytes} of its ${recorded_bytes} bytes are not in the store${
                problem === undefined ? "" : ` (${problem})`
              }`
            ),
          { discard: true }
        )
    )
  )

  const service = TimelineShipper.of({
    resume: Effect.fn("TimelineShipper.resume")(function*(path: string) {
      const { header, tear } = yield* read(path).pipe(Effect.provideService(FileSystem.FileSystem, fs))
      const size = tear?.offset ?? Number((yield* Effect.orDie(fs.stat(path))).size)
      observer({ path, tenant_id: header.tenant_id, session_id: header.session_id, bytes: size, closed: true })
    }),
    drain,
    reports: Effect.sync(reports)
  })
  return { service, observer, lagMs: (session_id: string) => bySession.get(session_id)?.lagMs(now()) ?? 0 }
})

/** The last of the segments that follow each other from the first byte on. */
const endOf = (infos: ReadonlyArray<SegmentInfo>): SegmentInfo | undefined => {
  let last: SegmentInfo | undefined
  for (const info of infos) {
    const end = last === undefined ? 0 : last.offset + last.length
    if (info.index !== (last?.index ?? -1) + 1 || info.offset !== end) break
    last = info
  }
  return last
}
