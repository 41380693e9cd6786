import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { InputOf } from "@rspp/contracts/SessionInput"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { triedAgain } from "./RetriesWait.ts"

interface Call {
  readonly start: CommandOf<"start_invocation">
  readonly startedMs: number
  readonly attempts: number
  firstMs: number | undefined
  cancelMs: number | undefined
  cancelReason: string | undefined
  /** A call that takes its place was started or is to be, or another node took its work over. */
  replaced: boolean
  /** Its turn, once it has one: work ahead of a turn may become the turn's. */
  turn: string | undefined
  /** It works ahead of its turn, and nobody has taken it up or given it up. */
  ahead: boolean
  /** The end of a call that had worked ahead: it goes on record when it is known whose it is. */
  end: { readonly input: InputOf<"invocation_ended">; readonly atMs: number } | undefined
}

/** What a call gives. */
const results: ReadonlySet<string> = new Set(["text_delta", "segment", "voice_chunk", "node_item", "item_done"])

export const callsAccounted: Checker = {
  id: "C18",
  holds: ["I-INV-ONCE", "I-INV-CANCEL", "I-INV-EPOCH"],
  sentence:
    "Each provider call is started once, cancelled at most once, ends once and has one record, which says what the other records say; a fence cancels every call of its turn in its own step, and at the session's end none is open.",
  check: (_header, records) => {
    const findings = new Findings("C18", records)
    const seen = new Set<string>()
    const live = new Map<string, Call>()
    /** The latest call for each piece of work. */
    const latest = new Map<string, Call>()
    const fenced = new Set<string>()
    /** Calls that this step has to cancel, and the end that it has to record. */
    let toCancel: Set<string> | undefined
    let ending: InputOf<"invocation_ended"> | undefined
    let endedMs = 0
    /** Ends of work ahead of a turn that this step has to record. */
    const settled = new Map<string, { readonly input: InputOf<"invocation_ended">; readonly atMs: number }>()
    let begun = 0

    const settle = () => {
      for (const id of toCancel ?? []) findings.broken(`${id} goes on though its turn is fenced`, begun)
      const own = ending === undefined ? undefined : live.get(ending.provider_invocation_id)
      if (ending !== undefined && own !== undefined) {
        const mayWait = own.ahead && ending.outcome_class === "success"
        if (mayWait) own.end = { input: ending, atMs: endedMs }
        else findings.broken(`${ending.provider_invocation_id} has ended and is not on record`, begun)
      }
      for (const id of settled.keys()) findings.broken(`${id} is settled and is not on record`, begun)
      settled.clear()
      toCancel = undefined
      ending = undefined
    }
    const start = (command: CommandOf<"start_invocation">, startedMs: number, index: number) => {
      const { idempotency_key, modality, node_id, provider_id, provider_invocation_id: id, turn_id } = command
      if (seen.has(id)) findings.broken(`${id} is started twice`, index, turn_id)
      seen.add(id)
      const before = latest.get(idempotency_key)
      if (before !== undefined) before.replaced = true
      const again = before !== undefined && before.start.provider_id === provider_id
      const call: Call = {
        start: command,
        startedMs,
        attempts: again ? before.attempts + 1 : 1,
        firstMs: undefined,
        cancelMs: undefined,
        cancelReason: undefined,
        replaced: false,
        turn: turn_id,
        ahead: modality === "llm" && turn_id === undefined,
        end: undefined
      }
      // The graph may have several models or voices at work at once; each of its nodes has one call at a time.
      for (const other of live.values()) {
        const stays = modality === "stt" || other.start.node_id !== node_id || other.turn !== turn_id
        if (
          !stays && other.cancelMs === undefined && other.end === undefined &&
          ending?.provider_invocation_id !== other.start.provider_invocation_id
        ) {
          findings.broken(`${id} is started beside ${other.start.provider_invocation_id}`, index, turn_id)
        }
      }
      live.set(id, call)
      latest.set(idempotency_key, call)
    }
    const end = (facts: InvocationFacts, now: number, index: number) => {
      const { provider_invocation_id: id, turn_id } = facts
      const call = live.get(id)
      const own = ending?.provider_invocation_id === id ? { input: ending, atMs: now } : settled.get(id)
      if (call === undefined || own === undefined) {
        findings.broken(`${id} is recorded as ended, and did not end now`, index, turn_id)
        return
      }
      live.delete(id)
      settled.delete(id)
      const { input: said } = own
      const { cancelMs, cancelReason, firstMs, start: command, startedMs } = call
      const timedOut = cancelReason === "timeout"
      const expected: Record<string, unknown> = {
        node_id: command.node_id,
        modality: command.modality,
        provider_id: command.provider_id,
        idempotency_key: command.idempotency_key,
        authority_epoch: command.authority_epoch,
        outcome_class: timedOut ? "timeout" : said.outcome_class,
        retryable: timedOut || said.retryable,
        // Requests that an adapter made for one call, hedged or again, count too.
        attempts: call.attempts + said.attempts - 1,
        usage: said.usage,
        started_ms: startedMs,
        cancel_sent_ms: cancelMs,
        cancel_ack_ms: cancelMs === undefined ? undefined : now,
        reason: said.reason ?? cancelReason
      }
      // A recogniser's call is adopted by the turn that its words open.
      if (command.modality !== "stt") expected["turn_id"] = call.turn
      if (command.modality !== "stt") expected["first_result_ms"] = firstMs
      for (const [field, value] of Object.entries(expected)) {
        const told = (facts as unknown as Readonly<Record<string, unknown>>)[field]
        if (told !== value && canonicalJson(told ?? null) !== canonicalJson(value ?? null)) {
          findings.broken(`${field} of ${id} is ${String(told)} on record, and was ${String(value)}`, index, turn_id)
        }
      }
      if ((facts.retry_decision !== "none") !== call.replaced) {
        findings.broken(
          `${id} says ${facts.retry_decision}, and was ${call.replaced ? "" : "not "}replaced`,
          index,
          turn_id
        )
      }
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      if (record.record === "input") {
        const { input, runtime_timestamp_ms: now } = record
        if (input.type === "invocation_ended") {
          ending = input
          endedMs = now
          continue
        }
        if (!("provider_invocation_id" in input) || input.provider_invocation_id === undefined) continue
        if (!results.has(input.type)) continue
        const call = live.get(input.provider_invocation_id)
        if (call === undefined) continue
        if (input.authority_epoch !== call.start.authority_epoch) {
          findings.broken(`${input.type} of ${input.provider_invocation_id} has not its call's epoch`, index)
        }
        // What a node is done with counts, not what it gave for it.
        if (input.type === "node_item") continue
        if (call.cancelMs === undefined && !fenced.has(call.turn ?? "")) call.firstMs ??= now
      } else if (record.record === "event") {
        const { provider_invocation_id: id = "", reason = "", turn_id } = record.event
        if (!reason.startsWith("speculation_")) continue
        const call = live.get(id)
        if (call === undefined || reason === "speculation_started") continue
        call.ahead = false
        if (reason === "speculation_promoted") call.turn = turn_id
        if (call.end !== undefined) settled.set(id, call.end)
      } else if (record.record === "signal") {
        const { edge_id, provider_invocation_id: id = "", signal } = record.signal
        const call = live.get(id)
        if (signal === "fallback" && edge_id !== undefined && call !== undefined) call.replaced = true
      } else if (record.record === "command") {
        const { command, runtime_timestamp_ms: now } = record
        switch (command.type) {
          case "start_invocation":
            start(command, now, index)
            break
          case "arm_timer": {
            const call = live.get(triedAgain(command.timer) ?? "")
            if (call !== undefined) call.replaced = true
            break
          }
          case "cancel_invocation": {
            const { provider_invocation_id: id } = command
            const call = live.get(id)
            if (call === undefined) findings.broken(`${id} is cancelled and is not at work`, index)
            else if (call.cancelMs !== undefined) findings.broken(`${id} is cancelled twice`, index)
            else {
              call.cancelMs = now
              call.cancelReason = command.reason
            }
            toCancel?.delete(id)
            break
          }
          case "fence_output":
            fenced.add(command.turn_id)
            toCancel ??= new Set()
            for (const [id, call] of live) {
              const own = call.turn === command.turn_id && call.start.modality !== "stt" && call.end === undefined
              if (own && call.cancelMs === undefined) toCancel.add(id)
            }
            // What ends in this step has nothing left to cancel.
            if (ending !== undefined) toCancel.delete(ending.provider_invocation_id)
            break
          case "end_session":
            for (const id of live.keys()) findings.broken(`the session ends and ${id} is open`, index)
            break
          default:
            break
        }
      } else if (record.record === "invocation") end(record.invocation, record.runtime_timestamp_ms, index)
    }
    settle()
    return findings.violations
  }
}
