import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { TransportFailure, type TransportIngress, type TransportSession } from "@rspp/runtime/ports/Transport"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Scope } from "effect"
import { AgentDevice, sampleNs } from "../loopback/AgentDevice.ts"
import type { CallReport } from "../loopback/CallReport.ts"
import type { CallScript } from "../loopback/CallScript.ts"
import { held } from "../loopback/VirtualTime.ts"
import { Caller } from "./Caller.ts"
import { Track } from "./Track.ts"

/** Frames between two writes of the tracks: 1 s. */
const flushFrames = 50

/** Audio that may wait for a slow disk, in samples: 5 min, 19 MB. */
const maxBacklogSamples = 5 * 60 * 16_000

/** Bounds of the agent's output queue, in ms; the upper one is the contract's. */
export const deviceCapacityMs = { min: frameMs, max: 200 } as const

/** Where the two tracks of a call go, in blocks of equal length. */
export interface TrackSink {
  readonly write: (caller: Int16Array, agent: Int16Array) => Effect.Effect<void, TransportFailure>
  readonly finish: Effect.Effect<void, TransportFailure>
}

export interface LoopbackSession extends TransportSession {
  readonly report: () => CallReport
}

/**
 * A call with a scripted caller: what the file and the memory transport share.
 *
 * - L1. Session time zero is when the session was opened; both tracks count samples from there.
 * - L2. Frame n is delivered when its last sample has been spoken: at `start + (n + 1) × 20 ms`, whatever came between.
 * - L3. The tracks reach the sink in order, without gaps, each sample once; at the latest when the scope closes.
 */
export const openLoopbackSession = (options: {
  readonly session_id: string
  readonly transport_id: string
  readonly script: CallScript
  readonly capacityMs: number
  readonly sink: TrackSink
}): Effect.Effect<LoopbackSession, TransportFailure, Scope.Scope> =>
  Effect.gen(function*() {
    const { capacityMs, script, sink, transport_id } = options
    const failure = (message: string) => new TransportFailure({ transport_id, message })
    if (!(capacityMs >= deviceCapacityMs.min && capacityMs <= deviceCapacityMs.max)) {
      const bounds = `${deviceCapacityMs.min} to ${deviceCapacityMs.max} ms`
      return yield* failure(`The agent's output queue can hold ${bounds}, not ${capacityMs} ms.`)
    }
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const zeroNs = clock.monotonicTimeNanosUnsafe()
    const sessionNs = () => Number(clock.monotonicTimeNanosUnsafe() - zeroNs)
    const callerTrack = new Track()
    const agentTrack = new Track()
    const device = new AgentDevice({ transport_id, capacityMs, track: agentTrack, clock, zeroNs })
    const disk = Semaphore.makeUnsafe(1)
    let caller: Caller | undefined
    let frames = 0
    let lostFrames = 0
    let broken: TransportFailure | undefined

    /** Writes what cannot change any more: the caller's frames, and of the agent what has been played. */
    const flush = disk.withPermits(1)(Effect.suspend(() => {
      const position = Math.min(callerTrack.end, device.nowSamples())
      if (position <= callerTrack.taken) return Effect.void
      return held(sink.write(callerTrack.take(position), agentTrack.take(position)))
    })).pipe(Effect.uninterruptible)

    const flushInBackground = flush.pipe(
      Effect.catch((error) => Effect.sync(() => broken ??= error)),
      Effect.forkIn(scope, { startImmediately: true }),
      Effect.asVoid
    )

    let finished = false
    /** The call is over, whichever way: nothing plays any more, and the tracks are written out. Once. */
    const finish = Effect.suspend(() => {
      device.close("The call has ended.")
      if (finished) return Effect.void
      finished = true
      return disk.withPermits(1)(Effect.suspend(() => {
        const end = Math.max(callerTrack.end, agentTrack.end)
        const write = end > callerTrack.taken ? sink.write(callerTrack.take(end), agentTrack.take(end)) : Effect.void
        return held(Effect.andThen(write, sink.finish))
      }))
    }).pipe(Effect.uninterruptible)
    // `run` reports a failure of the last write; a scope that closes without it can only log it.
    yield* Effect.addFinalizer(() =>
      finish.pipe(Effect.catch((error) => broken === undefined ? Effect.logError(error.message) : Effect.void))
    )

    const play = Effect.fnUntraced(function*(ingress: TransportIngress) {
      const origin = Math.ceil(sessionNs() / sampleNs)
      caller = new Caller({ script, runs: device.runs, origin })
      ingress.connection("connected")
      for (;; frames++) {
        const start = origin + frames * frameSamples
        const dueNs = (start + frameSamples) * sampleNs
        for (let early = dueNs - sessionNs(); early > 0; early = dueNs - sessionNs()) {
          yield* Effect.sleep(Duration.nanos(BigInt(early)))
        }
        const frame = caller.frame(start)
        callerTrack.write(start, frame.samples)
        for (const text of frame.texts) ingress.text(text)
        // A key is pressed before what it is held for, and released after it.
        const pressed = !frame.keys.includes("released")
        if (pressed) { for (const state of frame.keys) ingress.pushToTalk(state) }
        if (!ingress.audio({ sampleIndex: frames * frameSamples, samples: frame.samples })) lostFrames++
        if (!pressed) { for (const state of frame.keys) ingress.pushToTalk(state) }
        if (frame.ended) break
        if (frames % flushFrames === flushFrames - 1) {
          if (broken !== undefined) return yield* broken
          if (callerTrack.end - callerTrack.taken > maxBacklogSamples) {
            return yield* failure("The disk does not keep up: more than 5 minutes of audio wait to be written.")
          }
          yield* flushInBackground
        }
      }
      frames++
      ingress.audioEnded()
      ingress.connection("ended")
      yield* finish
      if (broken !== undefined) return yield* broken
    })

    let running = false
    return {
      transport_id,
      output: device,
      run: (ingress) =>
        Effect.suspend(() => {
          if (running) return Effect.fail(failure("The call is running already."))
          running = true
          return Effect.onExit(play(ingress), () => Effect.sync(() => device.close("The call has ended.")))
        }),
      report: () => ({
        session_id: options.session_id,
        frames,
        lost_frames: lostFrames,
        samples: Math.max(callerTrack.end, agentTrack.end),
        notices: caller?.notices.slice() ?? [],
        caller: caller?.steps.slice() ?? [],
        agent: device.runs.map((run) => ({ ...run }))
      })
    }
  })
