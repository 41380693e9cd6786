import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { GraphMarks } from "./GraphMarks.ts"
import { OverflowMarks } from "./OverflowMarks.ts"
import { RetryMarks } from "./RetryMarks.ts"

/**
 * What a long run must have seen at least once, by id, each in a few words. A world in which one of them never happens
 * proves nothing about it.
 */
export const sometimes = {
  "row.T1": "a turn was wanted",
  "row.T2.snapshot": "a turn was turned away for a snapshot",
  "row.T2.admission": "a turn was turned away by admission",
  "row.T3": "an intent of another epoch was turned away",
  "row.T4": "a turn was turned away because authority was revoked",
  "row.T5": "a turn opened",
  "row.T5a": "a plan could not be made",
  "row.T6": "a turn committed",
  "row.T7": "a turn was cancelled",
  "row.T8": "a turn ended with its authority",
  "row.T9": "a turn ended because its evidence was refused",
  "row.T10.provider": "a turn ended with its provider",
  "row.T10.budget": "a turn ended with its budget",
  "row.T10.transport": "a turn ended with its transport",
  "row.T11.dropped": "something late was dropped",
  "row.T11.remapped": "something late became a new intent",
  "row.T11.diagnostic": "something late was only told",
  "row.T12.ingress": "a result of another epoch was refused",
  "row.T12.egress": "speech of another epoch was refused",
  "cut.before_text": "a turn was cut before the model had said anything",
  "cut.before_sentence": "a turn was cut between the first word and the first sentence",
  "cut.before_voice": "a turn was cut between the first sentence and the first speech",
  "cut.before_playback": "a turn was cut between the first speech and its playback",
  "cut.during_playback": "a turn was cut while it was heard",
  "cut.after_commit": "what still played of a committed turn was cut",
  "tie.cancel_and_commit": "a cancel came between the asking for evidence and its answer",
  "tie.authority_and_commit": "the lease was lost in the instant of a commit",
  "barge_in.false_alarm": "a pause was taken back",
  "barge_in.cut": "a caller cut in",
  "superseded": "a turn made way for the next",
  "pending.refused": "an intent that waited was turned away",
  "recover.retry": "a call was tried again",
  "recover.third_attempt": "a call was tried a third time",
  "recover.as_asked": "a call was tried again when its vendor had asked to",
  "recover.wait_too_long": "what a vendor asked for was too long, and nobody waited",
  "recover.wait_given_up": "a turn ended while a call waited to be tried again",
  "recover.provider_switch": "another provider stood in by a switch",
  "recover.fallback": "another provider stood in as a fallback",
  "recover.degrade": "a reply went on without speech",
  "overflow.block": "a full edge of strategy block held its producer",
  "overflow.drop": "a full edge of strategy drop dropped",
  "overflow.merge": "a full edge of strategy merge joined what came to what waited",
  "overflow.sample": "a full edge of strategy sample dropped",
  "overflow.latest_only": "a full edge of strategy latest_only kept the latest",
  "shed.drop": "a producer was held for too long, and what it held back was dropped",
  "shed.merge": "… joined to what waited",
  "shed.latest_only": "… dropped but for the latest",
  "shed.degrade": "… dropped, and the reply said to be degraded",
  "shed.fallback": "… dropped, and the reply said to fall back",
  "flow.xoff": "a producer was told to stop",
  "flow.xon": "a producer was told to go on",
  "flow.credit": "credit was granted",
  "loss.media": "frames of the caller were lost and told",
  "budget.node": "a node took longer than its budget",
  "budget.edge": "an edge took longer than its budget",
  "budget.first_result": "a first result came too late",
  "budget.path": "the path's budget ran out",
  "budget.between_chunks": "a call stalled after its first result",
  "budget.total": "a call went on for too long",
  "budget.edge_latency": "an edge added as much as it may",
  "budget.turn_warning": "a turn was warned of before its budget ran out",
  "lane.telemetry": "the telemetry lane passed its high mark",
  "lane.telemetry_lost": "telemetry was lost for pressure and told",
  "lane.control": "the control lane passed its high mark",
  "shed.edge_dequeue": "what had waited for too long was shed as it was to be taken",
  "shed.node_dispatch": "a call was shed for want of a place in the pool",
  "circuit": "a provider's circuit changed its state",
  "admission.rate": "a turn was turned away for its rate",
  "admission.reserved": "a turn was reserved of what a tenant may have",
  "admission.session": "a session had its place among its tenant's",
  "budget.turn": "the turn's budget ran out",
  "connection.reconnecting": "a connection came back",
  "connection.disconnected": "a connection was lost",
  "connection.stall": "a transport stalled",
  "connection.silence": "a peer fell silent",
  "lease.rotated": "the lease moved",
  "lease.revoked": "the lease was revoked",
  "lease.expired": "the lease ran out",
  "lease.of_a_lost_epoch": "news of a lease that had been lost was refused",
  "lease.expired_at_egress": "egress noticed that the lease had run out",
  "utterance.limit": "an utterance reached its length limit",
  "utterance.nothing": "a sound held no words",
  "utterance.lost": "a recogniser gave an utterance up",
  "utterance.at_the_end": "a call ended in the middle of an utterance",
  "typed": "a caller typed",
  "passed_over.backchannel": "a sign of attention took no turn",
  "passed_over.too_few_words": "too few words over the agent took no turn",
  "barge_in.after_words": "a cut came with the words that it waited for",
  "endpoint.learned": "an endpoint waited for what was learned of the caller's pauses",
  "endpoint.likely": "the end-of-turn model made an endpoint early",
  "endpoint.unlikely": "the end-of-turn model made an endpoint late",
  "endpoint.released": "a key that was released ended an utterance",
  "prediction.failed": "the end-of-turn model failed",
  "prediction.missing": "the end-of-turn model did not answer in time",
  "key.cut": "a key that was pressed cut the agent",
  "idle.told": "a caller was idle",
  "idle.hang_up": "a session ended because its caller was idle",
  "heard.bounded": "a reply that was cut was remembered with its bounds",
  "invocation.timeout": "a call timed out",
  "invocation.overload": "a call met an overload",
  "invocation.blocked": "a call was refused",
  "invocation.infrastructure_failure": "a call met a fault",
  "invocation.cancelled": "a call was cancelled",
  "invocation.defect": "an adapter threw",
  "invocation.cut_off": "a cancelled call did not end within its grace and was cut off",
  "invocation.never_ended": "a recogniser did not end after its utterance and was cut off",
  "error.ProviderMissing": "a session did not start: its plan names a provider that the runtime lacks",
  "error.TransportFailure": "a transport failed",
  "error.RecorderFailure": "a session did not start: there was no place to record to",
  "error.ProviderFailure": "a session did not start: voice activity could not",
  "error.ControlPlaneFailure": "a session did not start: another placement had it",
  "shutdown": "a process was told to stop",
  "quiet": "a turn committed without speech",
  "row.T10.node": "a turn ended with one of its nodes",
  "select.first": "a select took whoever delivered first",
  "select.preferred": "a select took the one that it prefers",
  "select.waited": "a select had waited long enough for the one that it prefers",
  "select.lost": "what waited for a select was lost, because it took another edge",
  "merge.lineage": "a merge handed on what had come to it",
  "condition.passed": "a payload met the condition of an edge",
  "condition.not_met": "a payload did not meet the condition of an edge",
  "fallback_edge.timeout": "another node took over from one that had run out of time",
  "fallback_edge.error": "another node took over from one that had failed",
  "node.failed": "a custom node failed",
  "node.timeout": "a custom node ran out of time",
  "node.cut_off": "a custom node that did not end was cut off",
  "node.passed_by": "an optional node was gone round",
  "speculation.promoted": "what a model had begun in a pause became the turn's",
  "speculation.words_changed": "… was given up for other words",
  "speculation.caller_went_on": "… was given up because the caller went on",
  "speculation.authority_lost": "… was given up with the authority",
  "speculation.refused": "… was given up with its turn, which was refused",
  "speculation.session_ended": "… was given up with the session",
  "speculation.empty": "… gave nothing",
  "speculation.failed": "… failed",
  "level.append_queue_fill.L1": "a full append buffer lowered the recording level to L1",
  "level.append_queue_fill.L0": "… to L0",
  "level.export_lag.L1": "a store that was behind lowered the recording level to L1",
  "level.export_lag.L0": "… to L0",
  "level.rises": "the recording level rose again where a turn opened or had closed",
  "level.came_back": "pressure came back before the level had risen again",
  "sync.discontinuity": "a gap in what belongs together was told",
  "sync.group_lost": "a group was lost with a part of it",
  "sync.partly_delivered": "a part of a group that was lost had gone on already",
  "transcript.written": "a transcript sink got what was said"
} as const

export type Mark = keyof typeof sometimes
export const allMarks = Object.keys(sometimes) as ReadonlyArray<Mark>

/** What is known of a turn while its timeline is read. */
interface Stage {
  openMs: number
  model: string | undefined
  text: boolean
  sentence: boolean
  voice: boolean
  playing: boolean
  committed: boolean
  askedMs: number | undefined
}

const isBounded = (conversation: NonNullable<CommandOf<"start_invocation">["conversation"]>): boolean =>
  conversation.some(({ parts }) => parts.some(({ chars_max }) => chars_max !== undefined))

/** How long a cancelled call may take to end, in ms (CONTRACT section 5). */
const graceMs = 75

/**
 * What happened in one timeline, and in a session that ended with the error of that tag; conditions of edges are known
 * from the header.
 */
export const marksOf = (
  records: ReadonlyArray<TimelineRecord>,
  failure?: string,
  header?: TimelineHeader
): ReadonlySet<Mark> => {
  const marks = new Set<Mark>()
  const error = allMarks.find((mark) => mark === `error.${failure}`)
  if (error !== undefined) marks.add(error)
  const overflow = new OverflowMarks()
  const graph = new GraphMarks(header)
  const retries = new RetryMarks()
  /** When each call was told to end. */
  const cancelledMs = new Map<string, number>()
  const turns = new Map<string, Stage>()
  const owners = new Map<string, string>()
  const stageOf = (turnId: string | undefined) => turnId === undefined ? undefined : turns.get(turnId)
  let lostMs: number | undefined
  /** The recorder has said that the pressure is gone, and the level has not risen yet. */
  let eased = false
  /** What the session took in last: the cause of what follows. */
  let cause = ""
  for (const record of records) {
    const overflowed = overflow.read(record)
    if (overflowed !== undefined) marks.add(overflowed)
    for (const mark of graph.read(record)) marks.add(mark)
    const tried = retries.read(record)
    if (tried !== undefined) marks.add(tried)
    switch (record.record) {
      case "input": {
        const { input, runtime_timestamp_ms: atMs } = record
        cause = input.type
        switch (input.type) {
          case "text_delta": {
            const stage = stageOf(owners.get(input.provider_invocation_id))
            if (stage !== undefined) stage.text = true
            break
          }
          case "segment": {
            const stage = stageOf(owners.get(input.provider_invocation_id))
            if (stage !== undefined) stage.sentence = true
            break
          }
          case "playback_started": {
            const stage = stageOf(input.turn_id)
            if (stage !== undefined) stage.playing = true
            break
          }
          case "lease":
            if (input.status !== "issued" && input.status !== "renewed") lostMs = atMs
            if (input.status === "revoked" || input.status === "expired") marks.add(`lease.${input.status}`)
            break
          case "evidence_appended":
            if (lostMs === atMs) marks.add("tie.authority_and_commit")
            break
          case "invocation_ended": {
            const sentMs = cancelledMs.get(input.provider_invocation_id)
            if (sentMs !== undefined && input.outcome_class === "cancelled" && atMs - sentMs >= graceMs) {
              marks.add("invocation.cut_off")
            }
            break
          }
          case "recording_pressure":
            if (input.reason === "eased") eased = true
            else if (eased) marks.add("level.came_back")
            if (input.reason !== "eased") eased = false
            break
          case "media_loss":
            marks.add("loss.media")
            break
          case "typed_text":
            marks.add("typed")
            break
          case "shutdown":
            marks.add("shutdown")
            break
          case "timer":
            if (input.timer === "utterance_limit") marks.add("utterance.limit")
            break
          case "output_rejected":
            if (input.reason === "lease_expired") marks.add("lease.expired_at_egress")
            break
          case "transcript":
            if (input.finality === "final" && input.handle.length === 0) marks.add("utterance.nothing")
            break
          default:
            break
        }
        break
      }
      case "command": {
        const { command, runtime_timestamp_ms: atMs } = record
        if (command.type === "limit_recording" && cause !== "recording_pressure") {
          eased = false
          marks.add("level.rises")
        }
        if (command.type === "reserve_turn") marks.add("admission.reserved")
        else if (command.type === "reserve_session") marks.add("admission.session")
        if (command.type === "end_session" && command.reason === "idle") marks.add("idle.hang_up")
        if (command.type === "start_invocation" && isBounded(command.conversation ?? [])) marks.add("heard.bounded")
        if (command.type === "start_invocation" && command.turn_id !== undefined) {
          owners.set(command.provider_invocation_id, command.turn_id)
        } else if (command.type === "enqueue_output") {
          const stage = stageOf(command.turn_id)
          if (stage !== undefined) stage.voice = true
        } else if (command.type === "append_evidence") {
          const stage = stageOf(command.turn_id)
          if (stage !== undefined) stage.askedMs = atMs
        } else if (command.type === "cancel_invocation") cancelledMs.set(command.provider_invocation_id, atMs)
        break
      }
      case "invocation": {
        const { outcome_class, reason, retry_decision } = record.invocation
        if (outcome_class !== "success") marks.add(`invocation.${outcome_class}`)
        if (retry_decision === "retry") marks.add("recover.retry")
        if (reason === "provider_defect") marks.add("invocation.defect")
        if (reason?.startsWith("the call did not end within") ?? false) marks.add("invocation.never_ended")
        break
      }
      case "transition": {
        const { from_state, trigger } = record.transition
        if (trigger === "turn_open_proposed") marks.add("row.T1")
        else if (trigger === "turn_open") marks.add("row.T5")
        else if (from_state === "Opening" && trigger === "stale_epoch_reject") marks.add("row.T3")
        else if (from_state === "Opening" && trigger === "deauthorized_drain") marks.add("row.T4")
        break
      }
      case "decision": {
        const { outcome_kind, phase, reason, scope } = record.decision
        if (outcome_kind === "shed" && (scope === "edge_dequeue" || scope === "node_dispatch")) {
          marks.add(`shed.${scope}`)
        }
        if (reason === "lease_of_a_lost_epoch") marks.add("lease.of_a_lost_epoch")
        if (outcome_kind === "stale_epoch_reject" && phase === "scheduling_point") {
          marks.add(scope === "edge_dequeue" ? "row.T12.egress" : "row.T12.ingress")
        }
        break
      }
      case "event": {
        const { reason } = record.event
        if (reason === "passed_over: backchannel") marks.add("passed_over.backchannel")
        else if (reason === "passed_over: too_few_words") marks.add("passed_over.too_few_words")
        else if (reason === "endpoint_learned") marks.add("endpoint.learned")
        else if (reason === "endpoint_likely") marks.add("endpoint.likely")
        else if (reason === "endpoint_unlikely") marks.add("endpoint.unlikely")
        else if (reason === "turn_prediction_missing") marks.add("prediction.missing")
        else if (reason?.startsWith("turn_prediction_failed") === true) marks.add("prediction.failed")
        else if (reason === "endpoint_released") marks.add("endpoint.released")
        else if (reason === "user_idle") marks.add("idle.told")
        else if (reason === "late_dropped") marks.add("row.T11.dropped")
        else if (reason === "late_remapped") marks.add("row.T11.remapped")
        else if (reason === "late_diagnostic") marks.add("row.T11.diagnostic")
        break
      }
      case "signal": {
        const { signal, reason = "", runtime_timestamp_ms: atMs, target_lane, turn_id } = record.signal
        const stage = stageOf(turn_id)
        switch (signal) {
          case "turn_open":
            turns.set(turn_id ?? "", {
              openMs: atMs,
              model: undefined,
              text: false,
              sentence: false,
              voice: false,
              playing: false,
              committed: false,
              askedMs: undefined
            })
            break
          case "commit":
            marks.add("row.T6")
            if (stage !== undefined) {
              stage.committed = true
              if (!stage.voice) marks.add("quiet")
            }
            break
          case "abort":
            if (reason === "cancelled") marks.add("row.T7")
            else if (reason === "authority_loss") marks.add("row.T8")
            else if (reason === "recording_evidence_unavailable") marks.add("row.T9")
            else if (reason === "provider_failure") marks.add("row.T10.provider")
            else if (reason === "turn_budget_exhausted") marks.add("row.T10.budget")
            else if (reason === "transport_disconnect_or_stall") marks.add("row.T10.transport")
            break
          case "reject":
          case "defer":
            if (reason.startsWith("snapshot_")) marks.add("row.T2.snapshot")
            else if (reason === "turn_quota_exhausted") marks.add("row.T2.admission")
            else if (reason === "turn_rate_exceeded" || reason === "tenant_turn_rate_exceeded") {
              marks.add("admission.rate")
            } else if (reason.startsWith("provider_unhealthy")) marks.add("row.T5a")
            else if (reason === "superseded") marks.add("pending.refused")
            else if (turn_id === undefined) marks.add("utterance.at_the_end")
            break
          case "cancel":
            if (reason === "barge_in") {
              marks.add("barge_in.cut")
              if (cause === "transcript") marks.add("barge_in.after_words")
              if (cause === "push_to_talk") marks.add("key.cut")
            }
            if (reason === "superseded") marks.add("superseded")
            if (stage === undefined) break
            if (stage.committed) marks.add("cut.after_commit")
            else if (!stage.text) marks.add("cut.before_text")
            else if (!stage.sentence) marks.add("cut.before_sentence")
            else if (!stage.voice) marks.add("cut.before_voice")
            else if (!stage.playing) marks.add("cut.before_playback")
            else marks.add("cut.during_playback")
            if (stage.askedMs !== undefined && !stage.committed) marks.add("tie.cancel_and_commit")
            break
          case "barge_in":
            if (reason === "false_alarm") marks.add("barge_in.false_alarm")
            break
          case "provider_switch":
            marks.add("recover.provider_switch")
            break
          case "fallback":
            marks.add("recover.fallback")
            break
          case "degrade":
            marks.add("recover.degrade")
            break
          case "flow_xoff":
            marks.add("flow.xoff")
            break
          case "flow_xon":
            marks.add("flow.xon")
            break
          case "credit_grant":
            marks.add("flow.credit")
            break
          case "budget_warning":
            if (reason === "node_budget") marks.add("budget.node")
            else if (reason === "edge_budget") marks.add("budget.edge")
            else if (reason === "turn_budget") marks.add("budget.turn_warning")
            break
          case "budget_exhausted":
            if (reason === "first_result") marks.add("budget.first_result")
            else if (reason === "path_budget") marks.add("budget.path")
            else if (reason === "turn_budget") marks.add("budget.turn")
            else if (reason === "between_chunks" || reason === "total" || reason === "edge_latency") {
              marks.add(`budget.${reason}`)
            }
            break
          case "watermark":
            if (reason === "lane_high" && target_lane === "TelemetryLane") marks.add("lane.telemetry")
            else if (reason === "lane_high" && target_lane === "ControlLane") marks.add("lane.control")
            break
          case "drop_notice":
            if (target_lane === "TelemetryLane") marks.add("lane.telemetry_lost")
            break
          case "recording_level_downgraded": {
            const [trigger, steps] = reason?.split(":") ?? []
            const to = steps?.endsWith("_to_L1") === true ? "L1" : "L0"
            if (trigger === "append_queue_fill" || trigger === "export_lag") marks.add(`level.${trigger}.${to}`)
            break
          }
          case "circuit_event":
            marks.add("circuit")
            break
          case "provider_error":
            if (turn_id === undefined) marks.add("utterance.lost")
            break
          case "reconnecting":
          case "disconnected":
          case "stall":
          case "silence":
            marks.add(`connection.${signal}`)
            break
          case "lease_rotated":
            marks.add("lease.rotated")
            break
          default:
            break
        }
        break
      }
      default:
        break
    }
  }
  return marks
}

/** Gathers what many runs have seen. */
export class Coverage {
  readonly #seen = new Map<Mark, number>()

  /** Adds what one seed has seen. Seeds may come in any order. */
  add(seed: number, marks: Iterable<Mark>): void {
    for (const mark of marks) this.#seen.set(mark, Math.min(seed, this.#seen.get(mark) ?? seed))
  }

  /** What was never seen. */
  missing(): ReadonlyArray<Mark> {
    return allMarks.filter((mark) => !this.#seen.has(mark))
  }

  /** The lowest seed in which each was seen, in the order of the list. */
  firstSeeds(): ReadonlyArray<readonly [mark: Mark, seed: number]> {
    return allMarks.flatMap((mark) => {
      const seed = this.#seen.get(mark)
      return seed === undefined ? [] : [[mark, seed] as const]
    })
  }
}
