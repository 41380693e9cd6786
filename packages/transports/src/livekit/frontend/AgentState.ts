import { RoomEvent } from "@livekit/rtc-node"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import * as Effect from "effect/Effect"
import type { RoomExtension } from "../RoomExtension.ts"
import { AttributeWriter } from "./AttributeWriter.ts"

/** What the agent does, in the words of LiveKit's front ends (components-js: `AgentSdkStates`). */
export type AgentStateName = "initializing" | "idle" | "listening" | "thinking" | "speaking"

/** Participant attribute that front ends read the state from. */
export const agentStateAttribute = "lk.agent.state"

/** Segments that are known to wait for the caller's ear; the voice edge holds 20 s of speech. */
const rememberedSegments = 256

type InputRecord = Parameters<NonNullable<SessionObserver["input"]>>[0]
type KernelOutput = Parameters<NonNullable<SessionObserver["outputs"]>>[0][number]

/**
 * What the agent does, as a function of the session's records so far and of nothing else:
 *
 * - `initializing` until the caller is connected for the first time, `idle` while the caller is away (disconnected, not
 *   reconnecting) and when the session is over;
 * - `speaking` from `playback_started` of a segment until its playback completed, was cancelled, or was paused by a
 *   barge-in; between two segments of a reply too, when the second one is at egress already;
 * - `thinking` while a turn is open and nothing of it is heard;
 * - `listening` else.
 *
 * Guarantees: I-FRONT-SPEAKS `speaking` is said only while egress reports that speech is played, never of what is
 * intended.
 */
export class AgentState {
  #present: "not_yet" | "here" | "away" = "not_yet"
  /** Turns that are open: a reply may come. */
  readonly #open = new Set<string>()
  /** Segments that egress has and the caller has not heard to the end, with their turns. */
  readonly #atEgress = new Map<string, string>()
  /** The turn whose speech is in the caller's ear. */
  #heard: string | undefined
  #paused: string | undefined

  get state(): AgentStateName {
    if (this.#present === "not_yet") return "initializing"
    if (this.#present === "away") return "idle"
    if (this.#heard !== undefined && this.#heard !== this.#paused) return "speaking"
    return this.#open.size > 0 && (this.#paused === undefined || !this.#open.has(this.#paused))
      ? "thinking"
      : "listening"
  }

  input({ input }: InputRecord): void {
    switch (input.type) {
      case "connection":
        if (input.state === "connected") this.#present = "here"
        else if (input.state === "disconnected" || input.state === "ended") this.#present = "away"
        return
      case "playback_started":
        this.#heard = input.turn_id
        return
      case "playback_completed":
      case "playback_cancelled":
        if (input.segment_id !== undefined) this.#atEgress.delete(input.segment_id)
        if (this.#heard !== input.turn_id) return
        if (input.type === "playback_cancelled" || !this.#hasMore(input.turn_id)) this.#heard = undefined
        return
      case "egress_fenced":
      case "output_rejected":
        if (input.turn_id !== undefined) this.#silenced(input.turn_id)
        return
      default:
        return
    }
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): void {
    for (const output of outputs) {
      if (output.record === "command") this.#command(output.command)
      else if (output.record === "signal" && output.signal.turn_id !== undefined) {
        this.#signal(output.signal.signal, output.signal.turn_id)
      }
    }
  }

  /** The session is over. */
  closed(): void {
    this.#present = "away"
  }

  #command(command: Extract<KernelOutput, { readonly record: "command" }>["command"]): void {
    switch (command.type) {
      case "enqueue_output":
        this.#atEgress.set(command.segment_id, command.turn_id)
        for (const oldest of this.#atEgress.keys()) {
          if (this.#atEgress.size <= rememberedSegments) return
          this.#atEgress.delete(oldest)
        }
        return
      case "pause_output":
        this.#paused = command.turn_id
        return
      case "resume_output":
        if (this.#paused === command.turn_id) this.#paused = undefined
        return
      case "fence_output":
        this.#silenced(command.turn_id)
        return
      default:
        return
    }
  }

  #signal(signal: string, turnId: string): void {
    switch (signal) {
      case "turn_open":
        this.#open.add(turnId)
        return
      case "commit":
      case "abort":
      case "close":
        this.#open.delete(turnId)
        return
    }
  }

  /** Nothing of the turn is heard any more, nor will be. */
  #silenced(turnId: string): void {
    this.#open.delete(turnId)
    for (const [segment, turn] of this.#atEgress) if (turn === turnId) this.#atEgress.delete(segment)
    if (this.#heard === turnId) this.#heard = undefined
    if (this.#paused === turnId) this.#paused = undefined
  }

  #hasMore(turnId: string): boolean {
    for (const turn of this.#atEgress.values()) if (turn === turnId) return true
    return false
  }
}

/**
 * Shows the agent's state to front ends, as participant attribute `lk.agent.state` of the agent.
 *
 * Without it a page that is built with LiveKit's components stays "connecting". The token must allow
 * `canUpdateOwnMetadata`; a server that refuses is told of once in the log. After a full reconnect, which makes a new
 * participant, the state is set again.
 *
 * source: livekit/components-js packages/core/src/helper/participant-attributes.ts, packages/react/src/hooks/useAgent.ts,
 * packages/react/src/hooks/useVoiceAssistant.ts; livekit/agents-js agents/src/voice/room_io/room_io.ts
 */
export const agentState = (): RoomExtension => {
  const agent = new AgentState()
  const writer = new AttributeWriter(agentStateAttribute, agent.state)
  return {
    joined: ({ room }) => {
      const seen = () => writer.look()
      const again = () => writer.again()
      return Effect.gen(function*() {
        yield* writer.start({
          write: (value) => room.localParticipant?.setAttributes({ [agentStateAttribute]: value }) ?? Promise.resolve(),
          shown: () => room.localParticipant?.attributes[agentStateAttribute]
        })
        yield* Effect.acquireRelease(
          Effect.sync(() => room.on(RoomEvent.ParticipantAttributesChanged, seen).on(RoomEvent.Reconnected, again)),
          () =>
            Effect.sync(() => room.off(RoomEvent.ParticipantAttributesChanged, seen).off(RoomEvent.Reconnected, again))
        )
      })
    },
    observer: {
      input: (record) => agent.input(record),
      // What came of an input follows it: a state in between is not one.
      outputs: (outputs) => {
        agent.outputs(outputs)
        writer.set(agent.state)
      },
      closed: () => {
        agent.closed()
        writer.set(agent.state)
      }
    }
  }
}
