import type { ControlSignal } from "@rspp/contracts/Signal"
import type { InputRecord, InvocationFacts, TimelineHeader } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionCorrelations, SessionIds } from "./Correlation.ts"
import { Correlations, idsOf } from "./Correlation.ts"
import { eventAnnotation, sessionAnnotation } from "./LogWords.ts"
import { noReason, reasonCode, reasonName } from "./Reason.ts"

/** Whether what happens in sessions is logged. Where nobody keeps structured logs it is not, and costs nothing. */
export const LogEvents = Context.Reference<boolean>("rspp/LogEvents", { defaultValue: () => false })

/** What is logged of a session, by its name; docs/telemetry.md has the same list. */
export const logEvents = {
  "rspp.session.started": "a session begins",
  "rspp.session.ended": "a session is over",
  "rspp.turn.opened": "a turn opens",
  "rspp.turn.ended": "a turn has its terminal",
  "rspp.turn.refused": "a turn was proposed and not opened",
  "rspp.provider.failed": "a provider call has failed",
  "rspp.provider.circuit": "a provider's circuit changes",
  "rspp.work.shed": "work was shed",
  "rspp.authority.changed": "who has the authority over the session changes",
  "rspp.authority.stale": "something of another epoch was rejected",
  "rspp.connection.changed": "the caller's connection changes",
  "rspp.recording.downgraded": "the recording keeps less, under pressure",
  "rspp.recording.refused": "the evidence of a turn cannot be kept"
} as const
type EventName = keyof typeof logEvents
type Level = "Info" | "Warn" | "Error"
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Structured logs of live sessions (OR-01): a record for each of {@link logEvents}, through Effect's logger, with the ids
 * of session, tenant, turn, pipeline version and epoch, and with those of the trace where there is one. No words of a
 * call, and of reasons their codes only.
 *
 * The observer also keeps the session's ids for all other log records of it.
 *
 * Guarantees: I-LOG-SILENT it never throws at the session; nothing is done for an audio frame.
 */
export class SessionLog extends Context.Service<SessionLog, {
  /** An observer for one session; it comes after the tracer's, whose ids it logs. */
  readonly observer: () => SessionObserver
}>()("rspp/SessionLog") {
  static readonly layer = Layer.effect(
    SessionLog,
    Effect.map(Effect.context<never>(), (context) => ({ observer: () => new LoggingObserver(context) }))
  )

  static readonly layerNoop = Layer.succeed(SessionLog, { observer: () => ({}) })
}

class LoggingObserver implements SessionObserver {
  readonly #context: Context.Context<never>
  readonly #correlations: SessionCorrelations
  readonly #events: boolean
  #header: TimelineHeader | undefined
  #ids: SessionIds | undefined
  #turns = 0
  #end: string | undefined

  constructor(context: Context.Context<never>) {
    this.#context = context
    this.#correlations = Context.get(context, Correlations)
    this.#events = Context.get(context, LogEvents)
  }

  opened = (header: TimelineHeader): void => {
    this.#header = header
    this.#ids = idsOf(this.#correlations, header.session_id)
    this.#log("rspp.session.started", "Info", {
      "rspp.pipeline.id": header.pipeline.pipeline_id,
      "rspp.execution_profile": header.pipeline.execution_profile,
      "rspp.recording_level": header.recording_level
    })
  }

  input = ({ input }: InputRecord): void => {
    switch (input.type) {
      case "lease":
        if (this.#ids !== undefined) this.#ids.epoch = Math.max(this.#ids.epoch, input.authority_epoch)
        return
      case "shutdown":
        this.#end = "interrupted"
        return
      case "evidence_appended":
        if (input.result === "refused") this.#log("rspp.recording.refused", "Error", { "rspp.turn.id": input.turn_id })
        return
      default:
        return
    }
  }

  outputs = (outputs: ReadonlyArray<KernelOutput>): void => {
    for (const output of outputs) {
      if (output.record === "signal") this.#signal(output.signal)
      else if (output.record === "invocation") this.#invocation(output.invocation)
      else if (output.record === "command" && output.command.type === "end_session") this.#end ??= "ended"
    }
  }

  closed = (): void => {
    const header = this.#header
    if (header === undefined) return
    const outcome = this.#end ?? "failed"
    if (this.#ids !== undefined) {
      this.#ids.turnId = undefined
      // The tracer may have left before.
      this.#correlations.set(header.session_id, this.#ids)
    }
    this.#log("rspp.session.ended", outcome === "failed" ? "Error" : "Info", {
      "rspp.session.outcome": outcome,
      "rspp.session.turns": this.#turns
    })
    this.#header = undefined
    this.#correlations.delete(header.session_id)
  }

  #signal(signal: ControlSignal): void {
    const { emitted_by, reason = noReason, signal: name, turn_id } = signal
    const about = { "rspp.turn.id": turn_id, "rspp.reason": reasonCode(reason) }
    switch (name) {
      case "turn_open":
        this.#turns++
        if (this.#ids !== undefined) this.#ids.turnId = turn_id
        return this.#log("rspp.turn.opened", "Info", { "rspp.turn.id": turn_id })
      case "commit":
      case "abort": {
        const trouble = name === "abort" && reason !== "cancelled"
        return this.#log("rspp.turn.ended", trouble ? "Warn" : "Info", { ...about, "rspp.turn.outcome": name })
      }
      case "close":
        if (this.#ids?.turnId === turn_id && this.#ids !== undefined) this.#ids.turnId = undefined
        return
      case "reject":
      case "defer":
        if (emitted_by !== "RK-25" || turn_id === undefined) return
        return this.#log("rspp.turn.refused", "Warn", { ...about, "rspp.turn.outcome": name })
      case "circuit_event":
        return this.#log("rspp.provider.circuit", "Warn", {
          ...about,
          "rspp.provider.id": reasonName(reason)
        })
      case "shed":
        return this.#log("rspp.work.shed", "Warn", about)
      case "lease_rotated":
      case "migration_start":
      case "migration_finish":
      case "session_handoff":
        return this.#log("rspp.authority.changed", "Info", { "rspp.signal": name })
      case "deauthorized_drain":
        return this.#log("rspp.authority.changed", "Warn", { ...about, "rspp.signal": name })
      case "stale_epoch_reject":
        return this.#log("rspp.authority.stale", "Warn", about)
      case "connected":
      case "reconnecting":
      case "disconnected":
      case "stall":
        return this.#log("rspp.connection.changed", "Info", { "rspp.signal": name })
      case "recording_level_downgraded":
        return this.#log("rspp.recording.downgraded", "Warn", {
          "rspp.reason": reasonCode(reason),
          "rspp.recording_level": reason.slice(-2)
        })
      default:
        return
    }
  }

  #invocation(facts: InvocationFacts): void {
    const { outcome_class } = facts
    if (outcome_class === "success" || outcome_class === "cancelled") return
    this.#log("rspp.provider.failed", "Warn", {
      "rspp.turn.id": facts.turn_id,
      "rspp.node.id": facts.node_id,
      "rspp.invocation.id": facts.provider_invocation_id,
      "rspp.provider.id": facts.provider_id,
      "rspp.modality": facts.modality,
      "error.type": outcome_class,
      "rspp.invocation.retry_decision": facts.retry_decision
    })
  }

  #log(event: EventName, level: Level, attributes: Attributes): void {
    const header = this.#header
    if (!this.#events || header === undefined) return
    const all: Record<string, string | number | boolean> = {
      [eventAnnotation]: event,
      [sessionAnnotation]: header.session_id,
      "rspp.tenant.id": header.tenant_id,
      "rspp.pipeline.version": header.pipeline_version
    }
    for (const [name, value] of Object.entries(attributes)) if (value !== undefined) all[name] = value
    try {
      Effect.runSyncWith(this.#context)(Effect.annotateLogs(Effect.logWithLevel(level)(logEvents[event]), all))
    } catch {
      // A logger that breaks is its own trouble; the session goes on.
    }
  }
}
