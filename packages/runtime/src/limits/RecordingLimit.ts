import type { InputOf } from "@rspp/contracts/SessionInput"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { isLowerLevel, lowerLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"

/** One step down: L2, L1, L0. */
const below = (level: RecordingLevel): RecordingLevel => level === "L2" ? "L1" : "L0"

/**
 * At which level a session is recorded while its recorder is under pressure (CONTRACT section 7).
 *
 * The level in force is the least of three: what the pipeline asks for, what policy and the turn's plan allow, and the
 * limit that pressure has set. The recorder says in a `recording_pressure` input what it keeps up with; here it is decided
 * what follows, told as `recording_level_downgraded`, and commanded back to the recorder as `limit_recording`.
 *
 * Guarantees: I-LEVEL-STEP one input lowers the level by one step at most, with one signal that says why, and from where to
 * where; I-LEVEL-UP the limit rises only where a turn opens or has closed, and the level never above what the plan allows.
 */
export class RecordingLimit {
  readonly #context: KernelContext
  readonly #gateway: SessionGateway
  /** What pipeline, policy and plan allow. */
  #allowed: RecordingLevel
  /** What pressure leaves of it. */
  #limit: RecordingLevel = "L2"
  /** To where the limit rises at the next boundary. */
  #next: RecordingLevel = "L2"

  constructor(context: KernelContext, gateway: SessionGateway) {
    this.#context = context
    this.#gateway = gateway
    this.#allowed = context.header.recording_level
  }

  /** The level in force. */
  get level(): RecordingLevel {
    return lowerLevel(this.#allowed, this.#limit)
  }

  /** A policy acts at once where it allows less. */
  snapshotCame(snapshot: Snapshot): void {
    if (snapshot.snapshot_kind !== "policy_resolution_snapshot") return
    this.#allowed = lowerLevel(this.#allowed, snapshot.body.max_recording_level)
  }

  /** A turn opens under a plan that allows this. */
  planned(level: RecordingLevel): void {
    this.#allowed = lowerLevel(this.#context.header.recording_level, level)
  }

  /** What the recorder says of itself, while this turn is open or none. */
  pressed({ level, reason }: InputOf<"recording_pressure">, turnId: string | undefined): void {
    if (reason === "eased" || !isLowerLevel(level, this.#limit)) {
      this.#next = isLowerLevel(level, this.#limit) ? this.#limit : level
      return
    }
    const from = this.level
    const step = below(from)
    this.#limit = isLowerLevel(level, step) ? step : level
    this.#next = this.#limit
    // Where less is allowed anyway, nothing changes and nothing is told.
    if (this.level !== from) {
      this.#gateway.signal("recording_level_downgraded", "OR-02", {
        event_scope: "session",
        reason: `${reason}:${from}_to_${this.level}`,
        ...(turnId === undefined ? {} : { turn_id: turnId })
      })
    }
    this.#context.command({ type: "limit_recording", level: this.#limit })
  }

  /** A turn opens, or has closed: the level may rise. */
  boundary(): void {
    if (!isLowerLevel(this.#limit, this.#next)) return
    this.#limit = this.#next
    this.#context.command({ type: "limit_recording", level: this.#limit })
  }
}
