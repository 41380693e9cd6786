import { completeSessionConfig } from "@rspp/contracts/SessionConfig"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"

export const idleTimer = "idle"

/** Idleness of one session's caller. */
export interface SessionIdleUser {
  readonly enabled: boolean
  /** The caller did something: spoke, made a sound, pressed its key or typed. */
  readonly active: () => void
  /** After each step: whether nothing is going on, so that the caller is waited for. */
  readonly waiting: (waits: boolean) => void
  /** The time is up: told, and counted. True when the session is to end by that. */
  readonly expired: () => boolean
}

/**
 * Idle user (RK-02): tells when the caller has been silent for `idle.timeout_ms` while nothing was going on: connected,
 * no utterance, no open turn, and no speech of the agent that may still be heard.
 *
 * Each time is a telemetry event `user_idle` whose `amount` counts how many there were since the caller last did
 * something; what the agent says in between does not reset it. With `idle.hang_up_after` the session ends at that count,
 * with the reason `idle`. It says nothing to the caller by itself: an observer of the session's events may.
 *
 * Guarantees: I-IDLE-QUIET no `user_idle` within `timeout_ms` of an utterance, a typed text or the end of a reply.
 */
export class IdleUser extends Context.Service<IdleUser, {
  readonly open: (context: KernelContext, gateway: SessionGateway) => SessionIdleUser
}>()("rspp/IdleUser") {
  static readonly layer = Layer.succeed(IdleUser, {
    open: (context, gateway) => {
      const { hang_up_after, timeout_ms } = completeSessionConfig(context.header.session_config).idle
      let count = 0
      return {
        enabled: timeout_ms > 0,
        active: () => {
          count = 0
          context.disarm(idleTimer)
        },
        waiting: (waits) => {
          if (!waits) context.disarm(idleTimer)
          else if (!context.isArmed(idleTimer)) context.arm(idleTimer, context.now + timeout_ms)
        },
        expired: () => {
          count += 1
          gateway.event({ lane: "DataLane", payload_class: "metadata", reason: "user_idle", amount: count })
          return hang_up_after > 0 && count >= hang_up_after
        }
      }
    }
  })
}
