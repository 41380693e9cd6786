import { Recorder } from "@rspp/runtime/ports/Recorder"
import { RecorderFailure } from "@rspp/runtime/ports/Recorder"
import type { CloseReason, SessionRecorder } from "@rspp/runtime/ports/Recorder"
import { SecretScrubber } from "@rspp/runtime/ports/SecretScrubber"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, FileSystem, Latch, Layer, Queue, Scope } from "effect"
import { createKey } from "../privacy/KeyStore.ts"
import { Sealer } from "../privacy/Sealing.ts"
import { AppendBuffer, type AppendLimits, appendLimits } from "./AppendBuffer.ts"
import { FlushTimer } from "./FlushTimer.ts"
import { meterOf } from "../telemetry/Meter.ts"
import { ExportLag, noExport } from "../store/ExportLag.ts"
import type { ExportLagProbe } from "../store/ExportLag.ts"
import type { Durability } from "./Durability.ts"
import { fillToL1, PressureGauge } from "./PressureGauge.ts"
import { RecordAssembler } from "./RecordAssembler.ts"
import type { RecordingObserver } from "./RecordingObserver.ts"
import { RecordingObservers } from "./RecordingObserver.ts"
import { create } from "./TimelineFile.ts"
import { holdIfPossible } from "./WriterLock.ts"

/** Records wait as long as {@link FlushTimer} says, and less when this many bytes have come together, or a turn has ended. */
export const flushBytes = 64 * 1024

/** While there is pressure, or a store that may be behind, it is looked at so often, in real time, in ms. */
export const lookEveryMs = 100

/** A disk that takes nothing for so long while a recording is closed is waited for no longer, in real time, in ms. */
export const hungAfterMs = 30_000

/** Answers to `append_evidence` under way: one per open turn, of which there is one. */
const maxAnswers = 256

export interface FileRecorderOptions {
  /** Where a session's file goes: in this directory under `<session_id>.timeline`, or wherever a function says. */
  readonly to: { readonly directory: string } | ((sessionId: string) => string)
  /** A key store: each recording gets a key of its own in it, and its payloads are sealed under that. Default: in the clear. */
  readonly keys?: string
  /** When what was written is forced onto the disk; with each terminal by default. */
  readonly durability?: Durability
  /** Default {@link appendLimits}. */
  readonly limits?: AppendLimits
  /** Default {@link hungAfterMs}. */
  readonly hungAfterMs?: number
}

/** `<directory>/<session_id>.timeline`; characters that could leave the directory are escaped. */
export const timelinePath = (directory: string, sessionId: string): string =>
  `${directory.replace(/\/+$/u, "") || (directory === "" ? "." : "")}/${encodeURIComponent(sessionId)}.timeline`

/**
 * The recorder (OR-02) that keeps each session in a file of its own.
 *
 * The session's calls put records into a bounded buffer (stage A) and return; a fiber writes them, by real time even when
 * the session's time is virtual, so that recording never moves a session's clock. `append_evidence` is answered from a
 * fiber of its own as soon as room is kept, without waiting for the disk, and with `refused` when the evidence could not
 * be made, the disk takes no more, or the buffer is full. When the buffer fills, or the store is behind, the recorder says
 * so (`onPressure`) and records at the level that the session then commands. Detail goes first, evidence last; nothing is
 * ever thrown at the session. When the scope closes, for whatever reason, everything is written, the end record last, and the file is synced.
 * A disk that hangs keeps nobody waiting: when it has taken nothing for {@link hungAfterMs}, that is logged, and the file is left as it is, without
 * an end record, as after a crash; the lock stays where it is and goes with the process.
 *
 * `open` fails with `RecorderFailure` when the file exists, its directory does not, or it may not be written.
 */
export const layer = (options: FileRecorderOptions): Layer.Layer<Recorder, never, FileSystem.FileSystem> =>
  Layer.effect(
    Recorder,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const observers = yield* RecordingObservers
      const lag = yield* ExportLag
      const timer = new FlushTimer()
      return Recorder.of({
        open: (session) =>
          open(options, { observers, lag, timer }, session).pipe(Effect.provideService(FileSystem.FileSystem, fs))
      })
    })
  )

/** What is written is written by real time, whatever the session's time is. */
const inRealTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

type OpenOptions = Parameters<Recorder["Service"]["open"]>[0]

interface Surroundings {
  readonly lag: ExportLagProbe
  readonly observers: ReadonlyArray<RecordingObserver>
  readonly timer: FlushTimer
}

/** How far the recording has come on the disk; every change of it is a sign of life. */
interface Progress {
  size: () => number
}

/**
 * Closes a scope by a fiber of its own, and waits for that while the disk takes something. True: it is closed. What hangs
 * cannot be interrupted, so it is left to itself.
 */
const closedInTime = (disk: Scope.Closeable, exit: Exit.Exit<unknown, unknown>, progress: Progress, afterMs: number) =>
  Effect.gen(function*() {
    const over = Deferred.makeUnsafe<boolean>()
    yield* Effect.forkDetach(
      Effect.ensuring(Scope.close(disk, exit), Effect.sync(() => Deferred.doneUnsafe(over, Effect.succeed(true)))),
      { startImmediately: true }
    )
    const watch = yield* Effect.forkDetach(Effect.interruptible(Effect.gen(function*() {
      for (let before = -1, size = progress.size(); size !== before;) {
        before = size
        yield* Effect.sleep(afterMs)
        size = progress.size()
      }
      Deferred.doneUnsafe(over, Effect.succeed(false))
    })))
    const isClosed = yield* Deferred.await(over)
    yield* Fiber.interrupt(watch)
    return isClosed
  }).pipe(inRealTime)

const open = Effect.fn("Recorder.open")(function*(
  options: FileRecorderOptions,
  surroundings: Surroundings,
  session: OpenOptions
): Effect.fn.Return<SessionRecorder, RecorderFailure, FileSystem.FileSystem | Scope.Scope> {
  const { hungAfterMs: afterMs = hungAfterMs, to } = options
  const { session_id } = session.header
  const path = typeof to === "function" ? to(session_id) : timelinePath(to.directory, session_id)
  // All that waits for the disk, so that its end can be given up.
  const disk = yield* Scope.make()
  const progress: Progress = { size: () => 0 }
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(closedInTime(disk, exit, progress, afterMs), (isClosed) =>
      isClosed
        ? Effect.void
        : Effect.logError(
          `${path}: the disk has taken nothing for ${afterMs} ms; the recording is left without its end, at ${progress.size()} bytes`
        ))
  )
  return yield* Scope.provide(openOn(path, options, surroundings, session, progress), disk)
})

const openOn = Effect.fnUntraced(function*(
  path: string,
  options: FileRecorderOptions,
  { lag, observers, timer }: Surroundings,
  { header: given, onAppended, onPressure }: OpenOptions,
  progress: Progress
): Effect.fn.Return<SessionRecorder, RecorderFailure, FileSystem.FileSystem | Scope.Scope> {
  const key = options.keys === undefined ? undefined : yield* createKey(options.keys, given).pipe(
    Effect.mapError(({ hint, message }) => new RecorderFailure({ message: `${message}. ${hint}` }))
  )
  const header = key === undefined ? given : { ...given, payload_key_id: key.key_id }
  yield* Effect.mapError(holdIfPossible(path), ({ message }) => new RecorderFailure({ message }))
  const file = yield* create(path, header, options.durability ?? "terminal")
  progress.size = file.size
  const buffer = new AppendBuffer(options.limits ?? appendLimits)
  const meter = meterOf(yield* Effect.context<never>())
  const unwatch = meter.watch([{ queue: "recorder_bytes", depth: () => buffer.waitingBytes }])
  yield* Effect.addFinalizer(() => Effect.sync(unwatch))
  /** Open when the writer is to take what waits; `askedBack` while the timer will open it. */
  const due = Latch.makeUnsafe(false)
  let askedBack: (() => void) | undefined
  const soon = () => {
    askedBack ??= timer.ask(() => due.openUnsafe())
  }
  const answers = yield* Queue.bounded<readonly [turnId: string, result: "appended" | "refused"]>(maxAnswers)
  let reason: CloseReason | undefined
  let closed = false
  let finishing = false
  let warned = false

  const tell = (ended: boolean) => {
    const { session_id, tenant_id } = header
    for (const observer of observers) observer({ path, session_id, tenant_id, bytes: file.size(), closed: ended })
  }
  tell(false)

  // At L0 there is nothing to go down to.
  const gauge = header.recording_level === "L0" || onPressure === undefined
    ? undefined
    : new PressureGauge(header.recording_level)
  const clock = Clock.Clock.defaultValue()
  /** Open while the gauge is to be read as time passes, and not only when the fill changes. */
  const watched = Latch.makeUnsafe(gauge !== undefined && lag !== noExport)
  const look = () => {
    if (gauge === undefined || finishing) return
    const nowMs = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const { fill } = buffer
    const said = gauge.read({ nowMs, fill, lagMs: lag.lagMs(header.session_id) })
    if (said !== undefined) onPressure?.(said)
    if (lag !== noExport) return
    if (fill >= fillToL1 || gauge.told !== header.recording_level) watched.openUnsafe()
    else watched.closeUnsafe()
  }

  const assembler: RecordAssembler = new RecordAssembler(header, {
    emit: (emission) => {
      buffer.offer(emission, assembler.reservedBytes)
      if (gauge !== undefined && buffer.fill >= fillToL1) look()
      if (emission.tier === "baseline" || buffer.waitingBytes >= flushBytes) due.openUnsafe()
      else soon()
    },
    appendRequested: (turnId, ready) => {
      const room = ready && !file.impaired() && buffer.hasRoom(assembler.reservedBytes)
      Queue.offerUnsafe(answers, [turnId, room ? "appended" : "refused"])
    }
  }, { scrub: yield* SecretScrubber, ...(key === undefined ? {} : { sealer: new Sealer(key) }) })

  const flush = Effect.suspend(() => {
    due.closeUnsafe()
    askedBack?.()
    askedBack = undefined
    const batch = buffer.take()
    // More than is written at once: the rest follows. What comes while this is written waits like any other.
    if (buffer.waitingBytes > 0) due.openUnsafe()
    return batch.length === 0 ? Effect.void : file.append(batch)
  }).pipe(
    Effect.catchCause((cause) => Effect.logError(`${path}: a batch was lost`, Cause.pretty(cause))),
    Effect.ensuring(Effect.sync(() => {
      buffer.written()
      look()
      tell(false)
    })),
    Effect.tap(() => {
      if (warned || !file.impaired()) return Effect.void
      warned = true
      return Effect.logWarning(`${path}: ${file.lost().reason ?? "the disk takes no more"}; turns cannot be recorded`)
    })
  )

  const finish = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.gen(function*() {
      finishing = true
      assembler.finish()
      closed = true
      do yield* flush
      while (buffer.waitingBytes > 0)
      yield* file.close((records) =>
        assembler.end(reason ?? reasonOf(exit), records, {
          detail: buffer.droppedDetail,
          records: file.lost().records + buffer.droppedRecords
        })
      )
      const lost = file.lost().records + buffer.droppedRecords
      if (lost > 0) {
        yield* Effect.logWarning(`${path}: ${lost} records are missing (${file.lost().reason ?? "overload"})`)
      }
    }).pipe(
      Effect.catchCause((cause) => Effect.logError(`${path}: not closed properly`, Cause.pretty(cause))),
      Effect.ensuring(Effect.sync(() => tell(true))),
      inRealTime
    )

  yield* Effect.addFinalizer(finish)
  // Forked after the finalizer, so that both are gone when it runs.
  yield* Effect.forkScoped(
    due.await.pipe(
      // Whoever opened it goes on first: it may be in the middle of a step, of which all records are to be written at once.
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.uninterruptible(flush)),
      Effect.forever,
      inRealTime
    )
  )
  if (gauge !== undefined) {
    yield* Effect.forkScoped(
      watched.await.pipe(
        Effect.andThen(Effect.sync(look)),
        Effect.andThen(Effect.sleep(lookEveryMs)),
        Effect.forever,
        inRealTime
      )
    )
  }
  yield* Effect.forkScoped(
    Queue.take(answers).pipe(
      Effect.map(([turnId, result]) => onAppended(turnId, result)),
      Effect.forever
    )
  )

  return {
    audio: (sequence, sampleIndex, timestampMs) => {
      if (!closed) assembler.audio(sequence, sampleIndex, timestampMs)
    },
    input: (record) => {
      if (!closed) assembler.input(record)
    },
    outputs: (outputs) => {
      if (!closed) assembler.outputs(outputs)
    },
    payload: (handle, content) => {
      if (!closed) assembler.payload(handle, content)
    },
    callerAudio: (sampleIndex, samples) => {
      if (!closed) assembler.callerAudio(sampleIndex, samples)
    },
    closing: (why) => {
      reason ??= why
    }
  }
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>): CloseReason =>
  Exit.isSuccess(exit) ? "ended" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
