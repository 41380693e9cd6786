import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import type { RecognitionInput, RecognitionResult, SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Failures } from "../hosted/Failures.ts"
import { bytesOf } from "../hosted/Pcm.ts"
import type { VendorClosed, VendorSocket } from "../hosted/VendorSocket.ts"
import type { SpareSockets } from "./SpareSockets.ts"
import { joined, type Transcript } from "./Transcript.ts"
import { isComplete } from "./TurnCue.ts"

/** Results that may wait for a reader that is behind. Partials are dropped past it, finals wait. */
const maxWaitingResults = 16

/** Inputs that may wait while a connection is made: 10 s in frames of 20 ms. */
const maxWaitingInputs = 512

/** Audio after a pause that is kept back while no connection is open, in samples (10 s); more of it opens one. */
const maxHeldSamples = 10_000 * samplesPerMs

/** How long the last message to a vendor may take, ms. */
const goodbyeMs = 100

/** A vendor that recognises speech while it comes, over one connection per utterance. */
export interface StreamingVendor {
  readonly sockets: SpareSockets
  readonly failures: Failures
  readonly transcript: () => Transcript
  /** The message that makes the vendor finish what it has heard; the connection stays. */
  readonly finalise: string
  /** The message that makes it finish everything and end the connection. */
  readonly end: string
  /** Whether a cancelled call says goodbye with `end`, too. */
  readonly endsCancelled: boolean
  /** Audio goes out in packets of exactly so many samples; 0: as it comes. */
  readonly packetSamples: number
  /** What a close by the vendor means before it has given everything. */
  readonly closed: (closed: VendorClosed) => ProviderFailure
  /** How long the vendor may take to finish what it has heard, ms; after that the connection is ended, which makes it. */
  readonly finaliseMs: number
  /** How long it may take to end the connection, ms. */
  readonly stallMs: number
}

/** One connection, and what came over it. */
interface Line {
  readonly socket: VendorSocket
  readonly scope: Scope.Closeable
  readonly transcript: Transcript
  /** The vendor has given everything. */
  readonly ended: Deferred.Deferred<void>
  /** Audio that is not a whole packet yet, and how much of it there is. */
  readonly packet: Int16Array
  packed: number
  /** Samples that were sent, and those that wait in the packet. */
  samples: number
  /** It was told to end. */
  ending: boolean
  reader: Fiber.Fiber<void> | undefined
}

/** A pause of the caller, until it is over. */
interface Pause {
  readonly id: number
  readonly text: Deferred.Deferred<string>
  /** Its final was given. */
  given: boolean
}

type Results = Queue.Queue<RecognitionResult, ProviderFailure | Cause.Done>

/** Whether there is nothing at all in some audio: digital silence. */
const isSilent = (samples: Int16Array): boolean => {
  for (let index = 0; index < samples.length; index++) if (samples[index] !== 0) return false
  return true
}

/**
 * One utterance. Invariants:
 * 1. A final is emitted at most once per `Pause`, in the order of the pauses, and never after its `Resume`.
 * 2. No partial follows a final until its `Resume`, and none is emitted twice with the same text.
 * 3. Audio reaches the vendor once, in order, whatever becomes of the connections; what is not sent yet is bounded.
 * 4. A connection that is lost after a final harms nothing, unless the caller goes on: the call fails then.
 * 5. Whatever is finished stays finished: text of a connection that is over is in front of that of the next.
 */
const utterance = Effect.fnUntraced(function*(
  vendor: StreamingVendor,
  input: Stream.Stream<RecognitionInput>,
  partialIntervalMs: number,
  results: Results
) {
  const owner = yield* Effect.scope
  const usage = yield* ProviderUsage
  let line: Line | undefined
  let before = ""
  let pause: Pause | undefined
  let final: Fiber.Fiber<void> | undefined
  let lastPartial = ""
  let partialAt = Number.NEGATIVE_INFINITY
  let sent = 0
  let told = 0
  let held: Array<Int16Array> = []
  let heldSamples = 0
  let lost: ProviderFailure | undefined

  const tellUsage = () => {
    if (sent > told) usage.report({ audio_ms: (sent - told) / samplesPerMs })
    told = sent
  }
  const fails = Effect.catch((failure: ProviderFailure) => Effect.asVoid(Queue.fail(results, failure)))
  /** What is sent and received after a final matters only when the caller goes on: it fails then. */
  const failsOrLoses = Effect.catch((failure: ProviderFailure) =>
    Effect.suspend(() => {
      if (pause?.given !== true) return Effect.asVoid(Queue.fail(results, failure))
      lost ??= failure
      return Effect.void
    })
  )
  // Forked at once, so that the wait has begun, as measured work, before the next input is looked at.
  const fork = (effect: Effect.Effect<void>) => Effect.forkChild(effect, { startImmediately: true })

  const emitPartial = (of: Line) => {
    if (pause?.given === true || sent - partialAt < partialIntervalMs * samplesPerMs) return
    const text = joined(before, of.transcript.finished(), of.transcript.interim())
    if (text === "" || text === lastPartial) return
    lastPartial = text
    partialAt = sent
    Queue.offerUnsafe(results, { _tag: "Partial", text })
  }

  /** Takes what the vendor sends, until it has given everything. */
  const read = (of: Line): Effect.Effect<void, ProviderFailure> =>
    of.socket.receive.pipe(
      Effect.catchTag("VendorClosed", (closed) => Effect.fail(vendor.closed(closed))),
      Effect.flatMap((frames) => {
        for (const frame of frames) {
          const meaning = typeof frame === "string" ? of.transcript.take(frame) : vendor.failures.malformed
          if (typeof meaning !== "string") return Effect.fail(meaning)
          if (meaning === "ended") {
            Deferred.doneUnsafe(of.ended, Effect.void)
            return Effect.succeed(true)
          }
          if (pause !== undefined && of === line && of.transcript.isAnswered()) {
            Deferred.doneUnsafe(pause.text, Effect.succeed(joined(before, of.transcript.finished())))
          }
          emitPartial(of)
        }
        return Effect.succeed(false)
      }),
      Effect.repeat({ until: (ended) => ended }),
      Effect.asVoid
    )

  const goodbye = (to: Line) => Effect.ignore(Effect.timeoutOption(to.socket.send(vendor.end), goodbyeMs))

  const openLine = Effect.gen(function*() {
    const scope = yield* Scope.fork(owner)
    const socket = yield* measured(Scope.provide(vendor.sockets.take, scope))
    const opened: Line = {
      socket,
      scope,
      transcript: vendor.transcript(),
      ended: Deferred.makeUnsafe(),
      packet: new Int16Array(vendor.packetSamples),
      packed: 0,
      samples: 0,
      ending: false,
      reader: undefined
    }
    line = opened
    // Before the connection closes, whatever the reason.
    yield* Scope.addFinalizer(
      scope,
      Effect.suspend(() => vendor.endsCancelled && !opened.ending ? goodbye(opened) : Effect.void)
    )
    opened.reader = yield* fork(failsOrLoses(read(opened)))
    return opened
  })

  const sendPacket = (to: Line) => {
    to.packed = 0
    return to.socket.send(bytesOf(to.packet.slice()))
  }
  const sendPackets = Effect.fnUntraced(function*(to: Line, samples: Int16Array) {
    for (let at = 0; at < samples.length;) {
      const part = samples.subarray(at, at + to.packet.length - to.packed)
      to.packet.set(part, to.packed)
      to.packed += part.length
      at += part.length
      if (to.packed === to.packet.length) yield* sendPacket(to)
    }
  })
  const sendAudio = (to: Line, samples: Int16Array): Effect.Effect<void, ProviderFailure> => {
    if (samples.length === 0) return Effect.void
    to.samples += samples.length
    sent += samples.length
    // The samples are the feed's own and do not change: no copy is needed.
    return to.packet.length === 0 ? to.socket.send(bytesOf(samples)) : sendPackets(to, samples)
  }
  /** What waits for a whole packet goes out, with silence behind it. */
  const flushPacket = (to: Line): Effect.Effect<void, ProviderFailure> => {
    if (to.packed === 0) return Effect.void
    to.samples += to.packet.length - to.packed
    to.packet.fill(0, to.packed)
    return sendPacket(to)
  }

  const leaveLine = (gone: Line) =>
    Effect.andThen(
      gone.reader === undefined ? Effect.void : Fiber.interrupt(gone.reader),
      Scope.close(gone.scope, Exit.void)
    )

  /** Ends a connection and takes over everything that it has heard. */
  const closeLine = Effect.fnUntraced(function*(over: Line) {
    if (!over.ending) {
      over.ending = true
      yield* flushPacket(over)
      yield* over.socket.send(vendor.end)
    }
    yield* Effect.timeoutOrElse(measured(Deferred.await(over.ended)), {
      duration: vendor.stallMs,
      orElse: () => Effect.fail(vendor.failures.stalled(vendor.stallMs))
    })
    // All of it or nothing: a resume may interrupt this.
    yield* Effect.uninterruptible(Effect.suspend(() => {
      before = joined(before, over.transcript.finished())
      if (line === over) line = undefined
      return leaveLine(over)
    }))
  })

  const hold = (samples: Int16Array) => {
    held.push(samples)
    heldSamples += samples.length
  }
  /** Sends what was kept back, over a new connection if need be. */
  const sendHeld = Effect.gen(function*() {
    if (heldSamples === 0) return
    if (line?.ending === true) {
      if (pause !== undefined && final !== undefined) yield* Fiber.await(final)
      else yield* closeLine(line)
    }
    const to = line ?? (yield* openLine)
    const all = held
    held = []
    heldSamples = 0
    for (const samples of all) yield* sendAudio(to, samples)
  })
  const audio = (samples: Int16Array): Effect.Effect<void, ProviderFailure> => {
    if (lost !== undefined) return Effect.void
    if (line !== undefined && !line.ending) {
      return pause?.given === true ? failsOrLoses(sendAudio(line, samples)) : sendAudio(line, samples)
    }
    if (line === undefined && heldSamples === 0 && isSilent(samples)) return Effect.void
    hold(samples)
    return pause !== undefined && heldSamples <= maxHeldSamples ? Effect.void : sendHeld
  }

  const give = (id: number, text: string) => {
    tellUsage()
    return Effect.asVoid(Queue.offer(results, { _tag: "Final", text, pauseId: id, complete: isComplete(text) }))
  }
  /** The text of a pause once the vendor has finished it: by itself, or because the connection ends. */
  const finishedText = (of: Line, paused: Pause): Effect.Effect<string, ProviderFailure> => {
    const ended = Effect.map(closeLine(of), () => before)
    return of.ending ? ended : Effect.timeoutOrElse(measured(Deferred.await(paused.text)), {
      duration: vendor.finaliseMs,
      orElse: () => ended
    })
  }
  const giveFinal = (paused: Pause, earlier: Fiber.Fiber<void> | undefined) =>
    Effect.suspend(() => line === undefined ? Effect.succeed(before) : finishedText(line, paused)).pipe(
      Effect.tap(earlier === undefined ? Effect.void : Fiber.await(earlier)),
      Effect.flatMap((text) => {
        paused.given = true
        return give(paused.id, text)
      }),
      fails
    )

  const apply = Effect.fnUntraced(function*(next: Exclude<RecognitionInput, { readonly _tag: "Audio" }>) {
    if (lost !== undefined && next._tag !== "End") return yield* lost
    switch (next._tag) {
      case "Pause": {
        yield* sendHeld
        const paused: Pause = { id: next.pauseId, text: Deferred.makeUnsafe(), given: false }
        if (line !== undefined && !line.ending) {
          yield* flushPacket(line)
          if (!line.transcript.ask(line.samples)) {
            Deferred.doneUnsafe(paused.text, Effect.succeed(joined(before, line.transcript.finished())))
          } else yield* line.socket.send(vendor.finalise)
        }
        pause = paused
        final = yield* fork(giveFinal(paused, final))
        return
      }
      case "Resume": {
        if (final !== undefined) yield* Fiber.interrupt(final)
        final = undefined
        pause = undefined
        yield* sendHeld
        return
      }
      case "End":
        return
    }
  })

  yield* Effect.addFinalizer(() => Effect.sync(tellUsage))
  yield* Effect.gen(function*() {
    yield* input.pipe(
      Stream.takeUntil((next) => next._tag === "End"),
      Stream.buffer({ capacity: maxWaitingInputs }),
      Stream.runForEach((next) => next._tag === "Audio" ? audio(next.samples) : apply(next))
    )
    if (final !== undefined) yield* Fiber.await(final)
    else {
      if (line !== undefined) yield* closeLine(line)
      yield* give(0, before)
    }
    if (line !== undefined && !line.ending) {
      line.ending = true
      if (lost === undefined) yield* goodbye(line)
    }
    if (line !== undefined) yield* leaveLine(line)
    tellUsage()
    yield* Queue.end(results)
  }).pipe(fails)
})

/**
 * Recognition by a vendor that listens while the caller speaks: audio goes out as it comes, partials come from interim
 * results, a `Pause` makes the vendor finish what it has heard, and a final is all finished text so far.
 *
 * A connection is opened with the first audio that is not digital silence: silence costs no call. Where the vendor does
 * not answer the wish to finish (some do not when there is nothing to finish), the connection is ended, which is always
 * answered; what the caller says after that goes over a new one.
 *
 * Interrupting closes the connection. It fails with {@link ProviderFailure}.
 */
export const recogniseStreaming = (vendor: StreamingVendor): SpeechToText["Service"]["recognise"] =>
(
  input,
  { partialIntervalMs }
) =>
  Stream.callback<RecognitionResult, ProviderFailure>(
    (results) => utterance(vendor, input, partialIntervalMs, results),
    { bufferSize: maxWaitingResults }
  )
