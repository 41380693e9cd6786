import { TrackSource } from "@livekit/rtc-node"
import type { RemoteParticipant } from "@livekit/rtc-node"
import { named } from "@rspp/runtime/determinism/FiberName"
import { Bell } from "@rspp/runtime/events/Bell"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { RoomExtension, RoomPlace } from "../RoomExtension.ts"
import { CallerWords } from "./CallerWords.ts"
import type { Said } from "./CallerWords.ts"
import { LineSender } from "./LineSender.ts"
import type { LinePlace } from "./LineSender.ts"
import { SpokenWords } from "./SpokenWords.ts"
import type { Spoken } from "./SpokenWords.ts"
import { TranscriptOutbox } from "./TranscriptOutbox.ts"

/** What is left when a session ends is sent for this long, ms. */
export const lastLinesMs = 500

const microphoneOf = ({ trackPublications }: RemoteParticipant): string | undefined =>
  [...trackPublications.values()].find(({ source }) => source === TrackSource.SOURCE_MICROPHONE)?.sid

const linePlace = ({ agentTrackSid, room }: RoomPlace, speaker: () => RemoteParticipant | undefined): LinePlace => ({
  caller: () => {
    const person = speaker()
    return person === undefined ? undefined : { identity: person.identity, trackSid: microphoneOf(person) }
  },
  agent: () => {
    const identity = room.localParticipant?.identity
    return identity === undefined ? undefined : { identity, trackSid: agentTrackSid() }
  },
  open: async (options) => {
    if (room.localParticipant === undefined) throw new Error("the room is not connected")
    return await room.localParticipant.streamText(options)
  }
})

/**
 * Shows what both sides say to front ends, as text streams on topic `lk.transcription`.
 *
 * - The agent: one stream a reply, of deltas word by word as they are heard, closed when the reply is over. A reply that
 *   is cut ends with what was heard of it. Its stream says `lk.transcription_final` = `false`, as that of agents-js does:
 *   the client takes no attributes when a stream is closed, and a closed stream is final.
 * - The caller: one stream an update, each with the whole text so far, all with the same `lk.segment_id`, the last with
 *   `lk.transcription_final` = `true`. The sender is the caller: the server allows that to participants of kind agent
 *   only; with another token front ends take what the caller said for the agent's.
 *
 * What waits is bounded by {@link TranscriptOutbox}; a stream that breaks is begun again once, with the whole text so
 * far, and what could not be sent then is counted and logged when the session ends.
 *
 * Not done: the older `publishTranscription`, which the components of 2024 read; per-word times (`json_format`).
 *
 * source: livekit/components-js packages/core/src/components/textStream.ts, packages/react/src/hooks/useSessionMessages.ts;
 * livekit/agents-js agents/src/voice/room_io/_output.ts, agents/src/voice/transcription/synchronizer.ts
 */
export const transcription = (): RoomExtension => {
  const outbox = new TranscriptOutbox()
  let caller: CallerWords | undefined
  let agent: SpokenWords | undefined
  let bell: Bell | undefined
  /** Who the words of the caller are shown as; also when that has left. */
  let speaker: RemoteParticipant | undefined

  // Session time: that of the newest record, and what has passed since then.
  let monotonicMs: () => number = () => 0
  let recordMs = 0
  let recordedAt = 0
  const nowMs = () => recordMs + monotonicMs() - recordedAt
  /** When the fiber that sends looks for the next word. */
  let dueMs: number | undefined

  const show = (said: ReadonlyArray<Said> = [], spoken: ReadonlyArray<Spoken> = []) => {
    for (const update of said) outbox.said(update)
    for (const more of spoken) outbox.spoken(more)
    if (outbox.size > 0 || agent?.nextDueMs() !== dueMs) bell?.ring()
  }

  return {
    linked: (participant) => {
      speaker = participant
    },
    observer: {
      opened: ({ session_id, wall_clock_start_ms }, text) => {
        // A session that is taken over without its state counts its turns anew: pages are not to mix them up.
        const placement = `${session_id}_${wall_clock_start_ms.toString(36)}`
        caller = new CallerWords(placement, text)
        agent = new SpokenWords(placement, text)
      },
      input: (record) => {
        recordMs = record.runtime_timestamp_ms
        recordedAt = monotonicMs()
        show(caller?.input(record), agent?.input(record))
      },
      outputs: (outputs) => show(caller?.outputs(outputs), agent?.outputs(outputs)),
      closed: () => show(caller?.closed(), agent?.closed())
    },
    joined: (place) =>
      Effect.gen(function*() {
        const clock = yield* Clock.Clock
        monotonicMs = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
        recordedAt = monotonicMs()
        const rung = yield* Bell.make
        bell = rung
        const sender = new LineSender(linePlace(place, () => place.caller() ?? speaker))
        let closing = false
        const send = Effect.gen(function*() {
          for (;;) {
            show([], agent?.advance(nowMs()))
            const line = outbox.take()
            dueMs = agent?.nextDueMs()
            if (line !== undefined) yield* Effect.promise(() => sender.send(line))
            else if (closing) return
            else if (dueMs === undefined) yield* rung.wait
            else yield* Effect.raceFirst(rung.wait, Effect.sleep(Math.max(1, dueMs - nowMs())))
          }
        })
        // Not a child: its scope closes only when it has had its time.
        const fiber = Effect.runForkWith(yield* Effect.context<never>())(named("transcripts")(send))
        yield* Effect.addFinalizer(() =>
          Effect.gen(function*() {
            closing = true
            rung.ring()
            const done = yield* Effect.timeoutOption(Fiber.await(fiber), lastLinesMs)
            if (done._tag === "None") fiber.interruptUnsafe()
            const lost = outbox.lost + outbox.size + sender.failed
            if (lost === 0) return
            const why = sender.why || "the session was over"
            yield* Effect.logWarning(`${lost} lines of transcript were not shown to the room: ${why}`)
          })
        )
      })
  }
}
