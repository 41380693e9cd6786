import { frameSamples, sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { TransportFailure } from "@rspp/runtime/ports/Transport"
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  ParticipantKind,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import type { RemoteParticipant, RemoteTrack, RemoteTrackPublication, Room } from "@livekit/rtc-node"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FileSystem, PlatformError, Scope } from "effect"
import { Caller } from "../internal/Caller.ts"
import { Track } from "../internal/Track.ts"
import { runGapMs, sampleNs } from "../loopback/AgentDevice.ts"
import type { CallReport } from "../loopback/CallReport.ts"
import type { CallScript } from "../loopback/CallScript.ts"
import { interleave, openWaveWriter } from "../loopback/WaveWriter.ts"
import { joinRoom } from "./RoomConnection.ts"
import type { RoomAddress } from "./RoomConnection.ts"

export interface RoomCallerOptions extends RoomAddress {
  /** What the caller says, and when. */
  readonly script: CallScript
  /** A WAV file of the call as the caller said and heard it: caller left, agent right. */
  readonly stereo?: string
  /** How long the caller waits for an agent to come, ms. */
  readonly agentWithinMs?: number
}

const transport_id = "livekit/caller"

/** The caller's own queue of speech, ms. */
const queueMs = 100

/** Frames between two writes of the file: 1 s. */
const flushFrames = 50

/** A frame is sound when a sample of it is louder than this: about -36 dB below full scale. */
const soundAt = 500

/** Sound of the agent that stops so long before the caller's own speech ends was cut off by it, ms. */
const cutQuietMs = 200

const defaultAgentWithinMs = 20_000

/** A run of the agent's sound, as it grows. */
interface Run {
  readonly start: number
  end: number
  cut: boolean
}

/** What is heard of the agent: its track, aligned to the caller's time zero, and where in it there is sound. */
class Ear {
  readonly track = new Track()
  readonly runs: Array<Run> = []
  readonly #nowSamples: () => number
  #at = 0

  constructor(nowSamples: () => number) {
    this.#nowSamples = nowSamples
  }

  hear(samples: Int16Array): void {
    const now = this.#nowSamples()
    // The stream is steady; where it stood still, its place is now.
    if (now - this.#at > 10 * frameSamples) this.#at = Math.max(this.track.taken, now - samples.length)
    const start = Math.max(this.#at, this.track.taken)
    this.track.write(start, samples)
    this.#at = start + samples.length
    if (!samples.some((sample) => sample > soundAt || sample < -soundAt)) return
    const last = this.runs.at(-1)
    if (last !== undefined && !last.cut && start - last.end < runGapMs * samplesPerMs) last.end = this.#at
    else this.runs.push({ start, end: this.#at, cut: false })
  }

  /** The caller is speaking: sound that has stopped meanwhile was cut. */
  spokenOver(now: number): void {
    const last = this.runs.at(-1)
    if (last !== undefined && now - last.end > cutQuietMs * samplesPerMs && last.end > now - runGapMs * samplesPerMs) {
      last.cut = true
    }
  }
}

const failure = (message: string, cause?: unknown) =>
  new TransportFailure({ transport_id, message, ...(cause === undefined ? {} : { cause }) })

const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, TransportFailure> =>
  Effect.tryPromise({ try: run, catch: (cause) => failure(`${what} failed`, cause) })

/** The agent's track, as soon as there is one; subscribed to. */
const agentTrack = (room: Room): Effect.Effect<RemoteTrack> =>
  Effect.callback((resume) => {
    const published = (publication: RemoteTrackPublication, { info }: RemoteParticipant) => {
      if (info.kind !== ParticipantKind.AGENT || publication.kind !== TrackKind.KIND_AUDIO) return
      publication.setSubscribed(true)
    }
    room.on(RoomEvent.TrackPublished, published)
    room.on(RoomEvent.TrackSubscribed, (track) => resume(Effect.succeed(track)))
    for (const participant of room.remoteParticipants.values()) {
      for (const publication of participant.trackPublications.values()) published(publication, participant)
    }
  })

/** Reads the agent's track into the ear, until the stream ends or the scope closes. */
const listen = Effect.fnUntraced(function*(track: RemoteTrack, ear: Ear) {
  const stream = new AudioStream(track, { sampleRate: sampleRateHz, numChannels: 1, frameSizeMs: 20 })
  const reader = yield* Effect.acquireRelease(
    Effect.sync(() => stream.getReader()),
    (reader) => Effect.ignore(Effect.tryPromise(() => reader.cancel()))
  )
  yield* Effect.forkScoped(Effect.ignore(Effect.tryPromise(async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) ear.hear(next.value.data)
  })))
})

/** Publishes the caller's microphone. */
const microphone = Effect.fnUntraced(function*(room: Room) {
  const source = yield* Effect.acquireRelease(
    Effect.sync(() => new AudioSource(sampleRateHz, 1, queueMs)),
    (source) => Effect.ignore(Effect.tryPromise(() => source.close()))
  )
  const track = yield* Effect.acquireRelease(
    Effect.sync(() => LocalAudioTrack.createAudioTrack("microphone", source)),
    (track) => Effect.ignore(Effect.tryPromise(() => track.close()))
  )
  const options = new TrackPublishOptions()
  options.source = TrackSource.SOURCE_MICROPHONE
  const publication = yield* attempt(
    "publishing the caller's microphone",
    async () => room.localParticipant?.publishTrack(track, options)
  )
  return { source, heard: Effect.promise(async () => await publication?.waitForSubscription()) }
})

/**
 * A caller in a LiveKit room who says what a script says: waits for an agent that listens, speaks and types as it is due, hears the
 * agent, and hangs up. For demos and tests of the whole way: what it hears has gone through WebRTC.
 *
 * Positions in the report are samples (16 kHz) since the agent listened. Fails when the room cannot be joined, when no agent
 * comes, or listens, in time, and when the room is lost.
 */
export const callRoom: (
  options: RoomCallerOptions
) => Effect.Effect<CallReport, TransportFailure | PlatformError.PlatformError, FileSystem.FileSystem | Scope.Scope> =
  Effect
    .fnUntraced(function*({ agentWithinMs = defaultAgentWithinMs, script, stereo, token, url }) {
      const clock = yield* Clock.Clock
      const room = yield* joinRoom({ url, token })
      const lost = yield* Deferred.make<never, TransportFailure>()
      room.once(RoomEvent.Disconnected, (reason) => {
        Deferred.doneUnsafe(lost, Effect.fail(failure(`the caller lost the room (reason ${reason})`)))
      })
      const file = stereo === undefined ? undefined : yield* openWaveWriter(stereo, 2)
      const { heard, source } = yield* microphone(room)
      const track = yield* agentTrack(room).pipe(
        Effect.timeoutOrElse({
          duration: agentWithinMs,
          orElse: () =>
            Effect.fail(failure(`no agent came into the room ${room.name ?? ""} within ${agentWithinMs} ms`))
        })
      )
      // What is said before the agent listens would not be heard.
      yield* heard.pipe(Effect.timeoutOrElse({
        duration: agentWithinMs,
        orElse: () => Effect.fail(failure(`the agent did not listen to the caller within ${agentWithinMs} ms`))
      }))
      const zeroNs = clock.monotonicTimeNanosUnsafe()
      const nowNs = () => Number(clock.monotonicTimeNanosUnsafe() - zeroNs)
      const ear = new Ear(() => Math.floor(nowNs() / sampleNs))
      yield* listen(track, ear)
      const spoken = new Track()
      const caller = new Caller({ script, runs: ear.runs, origin: 0 })
      let frames = 0

      const flush = Effect.suspend(() => {
        const position = Math.min(spoken.end, Math.max(0, Math.floor(nowNs() / sampleNs) - 10 * frameSamples))
        if (file === undefined || position <= spoken.taken) return Effect.void
        return file.append(interleave(spoken.take(position), ear.track.take(position)))
      })
      const talk = Effect.gen(function*() {
        for (;; frames++) {
          const start = frames * frameSamples
          const early = (start + frameSamples) * sampleNs - nowNs()
          if (early > 0) yield* Effect.sleep(Duration.nanos(BigInt(Math.ceil(early))))
          const frame = caller.frame(start)
          spoken.write(start, frame.samples)
          if (frame.samples.some((sample) => sample > soundAt || sample < -soundAt)) ear.spokenOver(start)
          for (const text of frame.texts) {
            yield* attempt("typing", async () => room.localParticipant?.sendText(text, { topic: "lk.chat" }))
          }
          yield* attempt(
            "speaking",
            () => source.captureFrame(new AudioFrame(frame.samples, sampleRateHz, 1, frameSamples))
          )
          if (frame.ended) break
          if (frames % flushFrames === flushFrames - 1) yield* flush
        }
        frames++
      })
      yield* Effect.raceFirst(talk, Deferred.await(lost))
      const end = Math.max(spoken.end, ear.track.end)
      if (file !== undefined) {
        yield* file.append(interleave(spoken.take(end), ear.track.take(end)))
        yield* file.finish
      }
      return {
        session_id: room.name ?? "",
        frames,
        lost_frames: 0,
        samples: end,
        notices: caller.notices.slice(),
        caller: caller.steps.slice(),
        agent: ear.runs.map((run) => ({ ...run }))
      }
    })
