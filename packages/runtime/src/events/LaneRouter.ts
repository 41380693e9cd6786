import type { Lane } from "@rspp/contracts/Event"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { AudioFrame } from "../ports/AudioFrame.ts"
import { Bell } from "./Bell.ts"
import { Ring } from "./Ring.ts"

/** Slots of each lane. Control has more than a session can have outstanding; its overflow is a failure, not a loss. */
export const laneCapacity = {
  /** Timers, reports of egress, lease and connection events. */
  control: 4096,
  /** Provider results; their producers wait when it is full. */
  data: 256,
  /** Caller frames: 50 × 20 ms = 1 s (CONTRACT section 5, caller audio). */
  frames: 50
} as const

/** The next thing that a session is to apply. */
export type Next =
  | { readonly kind: "input"; readonly lane: Lane; readonly input: SessionInput }
  | { readonly kind: "frame"; readonly frame: AudioFrame }

/** A lane, as those who watch a session may ask how full it is. */
export interface LaneQueue {
  readonly queue: "session_control" | "session_data" | "session_audio"
  readonly depth: () => number
}

/** The door of one session: three bounded queues and one reader. */
export interface SessionInbox {
  /** Never waits. False: even the reserved slots are full, and the session must fail. */
  readonly control: (input: SessionInput) => boolean
  /** Waits while the lane is full: this is the back-pressure that a provider feels. */
  readonly data: (input: SessionInput) => Effect.Effect<boolean>
  /** Never waits. False: there was no room, the frame is lost. */
  readonly frame: (frame: AudioFrame) => boolean
  /** The next input, control before data before audio; undefined when there is none. */
  readonly next: () => Next | undefined
  /** Waits until there may be a next input. */
  readonly wait: Effect.Effect<void>
  /**
   * Calls `serve` whenever there may be a next input, as a task of its own, until it is given another or none. True:
   * there is more than one task may take, and the next one is to go on.
   */
  readonly serveWith: (serve: (() => boolean) | undefined) => void
  readonly hasFrames: () => boolean
  /** What waits in each lane now. */
  readonly queues: ReadonlyArray<LaneQueue>
  /** Nobody reads any more: whoever waits at the data lane goes on, and what it offers is not taken. */
  readonly close: Effect.Effect<void>
}

/**
 * Lane router (RK-06): decides in which order the inputs of a session are applied.
 *
 * Guarantees: I-LANE-CONTROL the control lane is looked at before every step, so that data never delays it; I-LANE-BOUND
 * each lane is bounded; control is never dropped. Among sessions of one process control goes first too (`TaskDispatcher`).
 */
export class LaneRouter extends Context.Service<LaneRouter, {
  readonly open: Effect.Effect<SessionInbox>
}>()("rspp/LaneRouter") {
  static readonly layer = Layer.succeed(LaneRouter, {
    open: Effect.gen(function*() {
      const control = new Ring<SessionInput>(laneCapacity.control)
      const data = yield* Queue.bounded<SessionInput>(laneCapacity.data)
      const frames = new Ring<AudioFrame>(laneCapacity.frames)
      const bell = yield* Bell.make
      const ring = (accepted: boolean) => {
        if (accepted) bell.ring()
        return accepted
      }
      const takeData = (): SessionInput | undefined => {
        if (Queue.sizeUnsafe(data) === 0) return undefined
        const exit = Queue.takeUnsafe(data)
        return exit !== undefined && exit._tag === "Success" ? exit.value : undefined
      }
      const inbox: SessionInbox = {
        control: (input) => {
          const accepted = control.offer(input)
          if (accepted) bell.ringFirst()
          return accepted
        },
        data: (input) =>
          Effect.suspend(() =>
            Queue.offerUnsafe(data, input)
              ? Effect.succeed(ring(true))
              : Effect.map(Queue.offer(data, input), ring)
          ),
        frame: (frame) => ring(frames.offer(frame)),
        hasFrames: () => frames.size > 0,
        queues: [
          { queue: "session_control", depth: () => control.size },
          { queue: "session_data", depth: () => Queue.sizeUnsafe(data) },
          { queue: "session_audio", depth: () => frames.size }
        ],
        next: () => {
          const urgent = control.take()
          if (urgent !== undefined) return { kind: "input", lane: "ControlLane", input: urgent }
          const result = takeData()
          if (result !== undefined) return { kind: "input", lane: "DataLane", input: result }
          const frame = frames.take()
          return frame === undefined ? undefined : { kind: "frame", frame }
        },
        wait: bell.wait,
        serveWith: (serve) => bell.answerWith(serve),
        close: Queue.shutdown(data)
      }
      return inbox
    })
  })
}
