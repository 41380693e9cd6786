import type { ControlSignal } from "@rspp/contracts/Signal"
import type { DecisionOutcome } from "@rspp/contracts/Outcome"
import type { InputRecord, InvocationFacts } from "@rspp/contracts/Timeline"
import { isLowerLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CriticalPath } from "../latency/CriticalPath.ts"
import { kernelTime, pathStages } from "../latency/TurnPath.ts"
import type { TurnPath } from "../latency/TurnPath.ts"
import type { Meter } from "./Meter.ts"
import { meterOf } from "./Meter.ts"
import { noReason, reasonCode, reasonName } from "./Reason.ts"

/**
 * Metrics of live sessions (OR-01), in the metric registry of the context that the layer is built in.
 *
 * `observer` watches one session and counts from its records what the catalogue names; latencies are those of the critical
 * path, as `rspp slo report` has them. Nothing is counted that no session has done.
 *
 * Guarantees: I-METRIC-SILENT it never throws at the session; for an audio frame it remembers when it came and does
 * nothing else; what it holds of a session does not grow with the session.
 */
export class SessionMetrics extends Context.Service<SessionMetrics, {
  /** An observer for one session. */
  readonly observer: () => SessionObserver
}>()("rspp/SessionMetrics") {
  static readonly layer = Layer.effect(
    SessionMetrics,
    Effect.map(Effect.context<never>(), (context) => ({ observer: () => SessionMetrics.observerOf(meterOf(context)) }))
  )

  /** An observer that counts with this meter. */
  static readonly observerOf = (meter: Meter): SessionObserver => new MeteringObserver(meter)

  static readonly layerNoop = Layer.succeed(SessionMetrics, { observer: () => ({}) })
}

/** Turns whose epoch is remembered: those that may still be speaking. */
const maxTurns = 16

class MeteringObserver implements SessionObserver {
  readonly #meter: Meter
  readonly #path: CriticalPath
  /** The epoch that each turn was opened under. */
  readonly #epochs = new Map<string, number>()
  #unwatch: (() => void) | undefined
  #open = false
  #epoch = 0
  #limit: RecordingLevel = "L2"
  #asks: "interrupted" | "ended" | undefined
  #lost = false

  constructor(meter: Meter) {
    this.#meter = meter
    this.#path = new CriticalPath((path) => this.#latencies(path))
  }

  opened: NonNullable<SessionObserver["opened"]> = ({ recording_level }, _text, queues = []) => {
    this.#open = true
    this.#limit = recording_level
    this.#meter.sessions(1)
    this.#unwatch = this.#meter.watch(queues)
  }

  audio = (sampleIndex: number, _samples: number, nowMs: number): void => {
    if (this.#open) this.#path.audio(sampleIndex, nowMs)
  }

  input = (record: InputRecord): void => {
    if (!this.#open) return
    try {
      this.#path.input(record)
      this.#input(record)
    } catch {
      this.#stop()
    }
  }

  outputs = (outputs: ReadonlyArray<KernelOutput>): void => {
    if (!this.#open || outputs.length === 0) return
    try {
      for (const output of outputs) {
        this.#path.output(output)
        this.#output(output)
      }
    } catch {
      this.#stop()
    }
  }

  closed = (): void => {
    if (!this.#open) return
    try {
      this.#path.end()
      this.#meter.count("sessions", { outcome: this.#lost ? "failed" : this.#asks ?? "failed" })
    } catch {
      // As in `#stop`.
    }
    this.#stop()
  }

  /** What breaks here is telemetry's own trouble: the session goes on, uncounted. */
  #stop(): void {
    if (!this.#open) return
    this.#open = false
    this.#unwatch?.()
    this.#meter.sessions(-1)
  }

  #input({ input }: InputRecord): void {
    switch (input.type) {
      case "shutdown":
        this.#asks = "interrupted"
        return
      case "lease":
        if (input.status !== "revoked" && input.status !== "expired") {
          this.#epoch = Math.max(this.#epoch, input.authority_epoch)
        }
        return
      case "session_resumed":
        this.#epoch = Math.max(this.#epoch, input.authority_epoch ?? 0)
        return
      case "media_loss":
        this.#meter.count("drops", { queue: input.edge_id, reason: "ingress_full" }, input.count)
        return
      case "egress_dequeued": {
        const epoch = this.#epochs.get(input.turn_id)
        if (input.items > 0 && epoch !== undefined && epoch !== this.#epoch) {
          this.#meter.count("staleEpochAccepted", {}, input.items)
        }
        return
      }
      case "evidence_appended":
        if (input.result !== "refused") return
        this.#meter.count("evidenceIncomplete", {})
        if (!this.#lost) this.#meter.count("recordingFailures", {})
        this.#lost = true
        return
      default:
        return
    }
  }

  #output(output: KernelOutput): void {
    switch (output.record) {
      case "signal":
        return this.#signal(output.signal)
      case "decision":
        return this.#decision(output.decision)
      case "invocation":
        return this.#invocation(output.invocation)
      case "command": {
        const { command } = output
        if (command.type === "end_session") this.#asks ??= "ended"
        else if (command.type === "limit_recording") {
          if (isLowerLevel(command.level, this.#limit)) {
            this.#meter.count("recordingDowngrades", { level: command.level })
          }
          this.#limit = command.level
        }
        return
      }
      default:
        return
    }
  }

  #signal(signal: ControlSignal): void {
    const { reason = "", signal: name, turn_id } = signal
    switch (name) {
      case "turn_open":
        this.#meter.decided(false)
        if (turn_id === undefined) return
        this.#epochs.set(turn_id, signal.authority_epoch)
        if (this.#epochs.size > maxTurns) {
          for (const oldest of this.#epochs.keys()) return void this.#epochs.delete(oldest)
        }
        return
      case "commit":
        return this.#meter.count("turns", { outcome: "committed", reason: noReason })
      case "abort":
        return this.#meter.count("turns", { outcome: "aborted", reason: reasonCode(reason) })
      case "drop_notice": {
        // Frames that found no room are counted from the input that tells how many.
        if (reason === "ingress_full") return
        const [why = "", count] = reason.split(":")
        const many = signal.target_lane === "TelemetryLane" ? Number(count) : 1
        return this.#meter.count(
          "drops",
          { queue: signal.edge_id ?? "none", reason: reasonCode(why) },
          Number.isSafeInteger(many) ? many : 1
        )
      }
      case "lease_issued":
      case "lease_rotated":
      case "migration_start":
      case "migration_finish":
      case "session_handoff":
      case "deauthorized_drain":
        return this.#meter.count("authorityChanges", { signal: name })
      case "circuit_event": {
        return this.#meter.count("breakerChanges", { state: reasonCode(reason), provider: reasonName(reason) })
      }
      default:
        return
    }
  }

  #decision({ outcome_kind, phase, reason, scope }: DecisionOutcome): void {
    switch (outcome_kind) {
      case "reject":
      case "defer":
        // What was said and became no turn (a noise, nothing understood) is refused to nobody.
        if (scope !== "turn" && scope !== "tenant") return
        this.#meter.decided(true)
        return this.#meter.count("turnsRefused", { outcome: outcome_kind, reason: reasonCode(reason) })
      case "shed":
        this.#meter.decided(true)
        return this.#meter.count("sheds", { reason: reasonCode(reason) })
      case "stale_epoch_reject":
        return this.#meter.count("staleEpoch", {
          where: phase === "scheduling_point" && scope === "edge_dequeue" ? "egress" : "ingress"
        })
      default:
        return
    }
  }

  #invocation(facts: InvocationFacts): void {
    const { first_result_ms, late_outputs_dropped, modality, outcome_class, provider_id: provider, usage } = facts
    const meter = this.#meter
    meter.count("providerCalls", { modality, provider, outcome: outcome_class })
    meter.count("lateOutputsDropped", {}, late_outputs_dropped)
    if (first_result_ms !== undefined) {
      meter.observe("providerRtt", { modality, provider }, first_result_ms - facts.started_ms)
    }
    if (facts.retry_decision !== "none") {
      meter.count("providerRetries", { modality, provider, decision: facts.retry_decision })
    }
    if (usage === undefined) return
    for (const unit of ["input_tokens", "output_tokens", "characters", "audio_ms"] as const) {
      meter.count("providerUsage", { modality, provider, unit }, usage[unit] ?? 0)
    }
  }

  /** Once a turn is over: what it took. */
  #latencies(path: TurnPath): void {
    const { at, response_ms, stages } = path
    const meter = this.#meter
    if (at.open_ms === undefined) return
    if (at.proposed_ms !== undefined) meter.observe("turnOpenLatency", {}, at.open_ms - at.proposed_ms)
    if (at.first_output_ms !== undefined) meter.observe("firstOutputLatency", {}, at.first_output_ms - at.open_ms)
    if (at.cancel_ms !== undefined && at.fenced_ms !== undefined) {
      meter.observe("cancelLatency", {}, at.fenced_ms - at.cancel_ms)
    }
    if (path.spoken && response_ms !== undefined) meter.observe("responseLatency", {}, response_ms)
    for (const stage of pathStages) {
      const time = stages[stage]
      if (time !== undefined) meter.observe("stageLatency", { stage }, time.ms)
    }
    const kernelMs = kernelTime(path)
    if (kernelMs !== undefined) meter.observe("kernelOverhead", {}, kernelMs)
  }
}
