import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { InputOf } from "@rspp/contracts/SessionInput"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** The recording's behaviour flag since which a call is tried again after a wait. */
const waits = 7
/** Calls that may be made of one piece of work, the first included, since then and before. */
const attemptsSince = 3
const attemptsBefore = 2

/** Calls that a recording's kernel may make of one piece of work. */
export const attemptsOf = (behaviour_flags: ReadonlyArray<number>): number =>
  behaviour_flags.includes(waits) ? attemptsSince : attemptsBefore

/** The wait before the second attempt is half to all of this; each one after that may be twice as long, up to the longest. */
const firstWaitMs = 100
const longestWaitMs = 1000
/** What a wait has to leave for the call. */
const leastCallMs = 200

/** The call that a timer waits to try again. */
export const triedAgain = (timer: string): string | undefined =>
  timer.startsWith("retry:") ? timer.slice("retry:".length) : undefined

interface Call {
  readonly start: CommandOf<"start_invocation">
  readonly attempt: number
  turn: string | undefined
}

export const retriesWait: Checker = {
  id: "C37",
  holds: ["I-RETRY-WAIT", "I-RETRY-FITS"],
  sentence:
    "A provider is asked again only when the wait that began as its call failed is over: as long as its vendor asked and its attempt's backoff, short enough for the budgets of its turn; not for a turn that is ending, and three times at most.",
  check: (header, records) => {
    const findings = new Findings("C37", records)
    if (!header.behaviour_flags.includes(waits)) return findings.violations
    const calls = new Map<string, Call>()
    /** The latest call for each piece of work. */
    const latest = new Map<string, Call>()
    const plans = new Map<string, ResolvedTurnPlan>()
    /** The envelopes that run, by timer. */
    const envelopes = new Map<string, number>()
    /** Waits that run, by the call that failed. */
    const waiting = new Map<string, number>()
    let ended: InputOf<"invocation_ended"> | undefined
    let timedOut = new Set<string>()
    /** The call whose wait ended in this step. */
    let due: string | undefined
    /** Turns that are over in this step. */
    let over: Array<string> = []
    let begun = 0

    const begin = (id: string, { due_ms, generation }: CommandOf<"arm_timer">, now: number, index: number) => {
      const call = calls.get(id)
      waiting.set(id, generation)
      if (call?.turn === undefined) return findings.broken(`${id} is to be tried again, and is no turn's call`, index)
      const { attempt, turn } = call
      const failed = ended?.provider_invocation_id === id ? ended : undefined
      if (failed === undefined ? !timedOut.has(id) : !failed.retryable || failed.outcome_class === "success") {
        findings.broken(`${id} is to be tried again, and has not failed in a way in which that helps`, index, turn)
      }
      if (attempt >= attemptsSince) findings.broken(`${id} is to be tried again after ${attempt} attempts`, index, turn)
      const waitMs = due_ms - now
      const asked = failed?.retry_after_ms ?? 0
      const step = Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1))
      if (waitMs < asked + step / 2 || waitMs > asked + step) {
        findings.broken(
          `${id} is to be tried again after ${waitMs} ms; its vendor asked for ${asked}, its backoff is at most ${step}`,
          index,
          turn
        )
      }
      const ends = [envelopes.get(`budget.turn:${turn}`), envelopes.get(`budget.path:${turn}`)].filter((ms) =>
        ms !== undefined
      )
      const leftMs = ends.length === 0
        ? plans.get(turn)?.budgets.path_budget_ms_default ?? 0
        : Math.min(...ends) - now
      if (waitMs + leastCallMs > leftMs) {
        findings.broken(`${id} is to be tried again after ${waitMs} ms, of which ${leftMs} are left`, index, turn)
      }
    }
    const settle = () => {
      if (due !== undefined) findings.broken(`the wait of ${due} is over, and it is not tried again`, begun)
      due = undefined
      for (const turn of over) {
        for (const id of waiting.keys()) {
          if (calls.get(id)?.turn === turn) findings.broken(`${id} is still to be tried again`, begun, turn)
        }
      }
      ended = undefined
      if (timedOut.size > 0) timedOut = new Set()
      if (over.length > 0) over = []
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      switch (record.record) {
        case "input": {
          const { input } = record
          if (input.type === "invocation_ended") ended = input
          else if (input.type === "timer") {
            envelopes.delete(input.timer)
            const id = triedAgain(input.timer)
            if (id !== undefined && waiting.get(id) === input.generation) {
              waiting.delete(id)
              due = id
            }
          }
          break
        }
        case "plan":
          plans.set(record.plan.turn_id, record.plan)
          break
        case "event": {
          const { provider_invocation_id: id = "", reason, turn_id } = record.event
          const call = reason === "speculation_promoted" ? calls.get(id) : undefined
          if (call !== undefined) call.turn = turn_id
          break
        }
        case "signal":
          if (record.signal.signal === "close") over.push(record.signal.turn_id ?? "")
          break
        case "command": {
          const { command, runtime_timestamp_ms: now } = record
          switch (command.type) {
            case "arm_timer": {
              if (/^budget\.(turn|path):/u.test(command.timer)) envelopes.set(command.timer, command.due_ms)
              const id = triedAgain(command.timer)
              if (id !== undefined) begin(id, command, now, index)
              break
            }
            case "disarm_timer":
              envelopes.delete(command.timer)
              waiting.delete(triedAgain(command.timer) ?? "")
              break
            case "cancel_invocation":
              if (command.reason === "timeout") timedOut.add(command.provider_invocation_id)
              break
            case "fence_output":
              over.push(command.turn_id)
              break
            case "start_invocation": {
              const { idempotency_key: work, provider_id, provider_invocation_id: id, turn_id } = command
              const before = latest.get(work)
              const again = before?.start.provider_id === provider_id
              const call: Call = {
                start: command,
                attempt: again ? before.attempt + 1 : 1,
                turn: turn_id
              }
              calls.set(id, call)
              latest.set(work, call)
              if (!again) break
              if (due !== before.start.provider_invocation_id) {
                findings.broken(`${id} is asked again, and no wait before it is over`, index, turn_id)
              }
              due = undefined
              break
            }
            default:
              break
          }
          break
        }
        default:
          break
      }
    }
    settle()
    return findings.violations
  }
}
