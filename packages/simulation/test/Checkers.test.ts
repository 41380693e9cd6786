import { assert, describe, it } from "@effect/vitest"
import type { EventRecord } from "@rspp/contracts/Event"
import type { BaselineEvidence } from "@rspp/contracts/Evidence"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { SessionCommand, SessionCommandType } from "@rspp/contracts/SessionCommand"
import type { SessionInput, SessionInputType } from "@rspp/contracts/SessionInput"
import type { ControlSignal, SignalName } from "@rspp/contracts/Signal"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import { beginsStep } from "@rspp/simulation/checkers/Checker"
import { checkers, checkTimeline } from "@rspp/simulation/checkers/Registry"
import type { FaultKind } from "@rspp/simulation/Faults"
import { runSeed } from "@rspp/simulation/Run"
import type { SeedOptions } from "@rspp/simulation/Run"

type Mutable<T> = T extends ReadonlyArray<infer A> ? Array<Mutable<A>>
  : T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> }
  : T
type Records = Array<TimelineRecord>
type Change = (records: Records) => void

/** A recorded call in which nothing is wrong. */
interface Call {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

const isSignal = (name: SignalName, like: Partial<ControlSignal> = {}) => (record: TimelineRecord): boolean =>
  record.record === "signal" && record.signal.signal === name &&
  Object.entries(like).every(([key, value]) => record.signal[key as keyof ControlSignal] === value)
const isCommand = (type: SessionCommandType, like: object = {}) => (record: TimelineRecord): boolean =>
  record.record === "command" && record.command.type === type &&
  Object.entries(like).every(([key, value]) => record.command[key as keyof SessionCommand] === value)
const isInput = (type: SessionInputType, like: object = {}) => (record: TimelineRecord): boolean =>
  record.record === "input" && record.input.type === type &&
  Object.entries(like).every(([key, value]) => record.input[key as keyof SessionInput] === value)

const isEvent = (reason: string) => (record: TimelineRecord): boolean =>
  record.record === "event" && record.event.reason?.startsWith(reason) === true
const isArmedSelect = (record: TimelineRecord): boolean =>
  record.record === "command" && record.command.type === "arm_timer" && record.command.timer.startsWith("select:")
const isDisarmedSelect = (record: TimelineRecord): boolean =>
  record.record === "command" && record.command.type === "disarm_timer" && record.command.timer.startsWith("select:")
const isRetry = (type: SessionCommandType) => (record: TimelineRecord): boolean =>
  record.record === "command" && record.command.type === type && "timer" in record.command &&
  record.command.timer.startsWith("retry:")
const isArmedRetry = isRetry("arm_timer")
/** What was heard of a sentence that was cut. */
const isPart = ({ chars_max }: { readonly chars_max?: number }): boolean => chars_max !== undefined
/** Calls with a drawn graph. */
const graph: SeedOptions = { graph: true }
/** A model is told what was heard of a reply that was cut. */
const isBounded = (record: TimelineRecord): boolean =>
  record.record === "command" && record.command.type === "start_invocation" &&
  (record.command.conversation ?? []).some(({ parts }) => parts.some((part) => part.chars_max !== undefined))

/** A call whose author wrote this as well. */
const written = (more: Record<string, unknown>): SeedOptions => ({
  adapt: (drawn) => ({ ...drawn, spec: { ...drawn.spec, ...more } })
})

/** The first seed whose call has all of this in it, and breaks no rule. */
const find = (
  kinds: ReadonlyArray<FaultKind>,
  wanted: ReadonlyArray<(record: TimelineRecord) => boolean>,
  options: SeedOptions = {}
): Call => {
  for (let seed = 1; seed < 200; seed++) {
    const result = runSeed(seed, {
      kinds,
      turns: 6,
      limits: false,
      ending: "all_said",
      replay: false,
      graph: false,
      ...options
    })
    const [session] = result.sessions
    if (session?.header === undefined || result.violations.length > 0) continue
    const { header, records } = session
    if (wanted.every((is) => records.some(is))) return { header, records }
  }
  throw new Error(`no call with ${kinds.join(", ")} has it all in 200 seeds`)
}

const calls = {
  /** No faults: turns commit and are cut, and a false alarm is taken back. */
  plain: () =>
    find([], [
      isSignal("commit"),
      isSignal("abort"),
      isSignal("barge_in", { reason: "false_alarm" }),
      isCommand("fence_output"),
      isSignal("cancel")
    ]),
  /** The lease moves while a turn is open. */
  rotated: () =>
    find(["authority.rotated"], [isSignal("deauthorized_drain", { event_scope: "turn" }), isSignal("commit")]),
  /** A result of an epoch that is over comes in. */
  stale: () =>
    find(["authority.rotated", "provider.slow_cancel"], [
      isSignal("stale_epoch_reject", { reason: "input_of_another_epoch" })
    ]),
  /** Frames are lost because the session has no room for them. */
  lossy: () => find(["runtime.stopped", "media.burst_loss"], [isInput("media_loss")]),
  /** A recogniser gives its final text twice: the second one is late. */
  late: () =>
    find(["provider.duplicate_final"], [
      (record) => record.record === "event" && record.event.reason?.startsWith("late_") === true,
      (record) => record.record === "invocation" && record.invocation.late_outputs_dropped > 0
    ]),
  /** A call ends after its turn. */
  supplemented: () =>
    find([], [(record) => record.record === "supplement" && record.supplement.invocations.length > 0]),
  /** Edges are full: producers are held, sentences are dropped. */
  full: () =>
    find(["runtime.full_edge", "provider.burst"], [
      isSignal("flow_xoff", { edge_id: "tts.voice.output", reason: "high_watermark" }),
      isSignal("flow_xon"),
      isCommand("resume_invocation"),
      isSignal("drop_notice")
    ]),
  /** The same, where going on takes credit. */
  credit: () =>
    find(["runtime.full_edge", "provider.burst"], [isSignal("credit_grant"), isCommand("resume_invocation")]),
  /** The same, where going on takes both. */
  hybrid: () =>
    find(
      ["runtime.full_edge", "provider.burst"],
      [isSignal("flow_xoff"), isSignal("credit_grant"), isCommand("resume_invocation")],
      written({ flow_control: { mode_by_lane: { DataLane: "hybrid" } } })
    ),
  /** The control lane has little room. */
  pressed: () =>
    find(
      [],
      [isSignal("watermark", { target_lane: "ControlLane" }), isSignal("flow_xoff", { target_lane: "ControlLane" })],
      written({
        flow_control: { mode_by_lane: { ControlLane: "signal" }, watermarks: { ControlLane: { high: 3, low: 1 } } }
      })
    ),
  /** What is lost of the caller's audio leaves a gap in what it goes with. */
  gapped: () =>
    find(
      ["runtime.stopped", "media.burst_loss"],
      [isInput("media_loss"), isSignal("discontinuity")],
      written({
        edge_buffer_policies: {
          "input.caller_audio.stt": {
            sync_drop_policy: {
              policy: "drop_with_discontinuity",
              scope: "edge_local",
              group_by: "sync_id",
              sync_domain: "caller"
            }
          }
        }
      })
    ),
  /** Egress refuses speech of an epoch that is over. */
  outdated: () => find(["authority.rotated"], [isInput("output_rejected", { reason: "stale_epoch" })]),
  /** A turn makes way for one that got its tenant's only place. */
  reserved: () =>
    find([], [isInput("turn_reserved", { granted: true }), isSignal("cancel", { reason: "superseded" })], {
      adapt: (drawn) => ({
        ...drawn,
        spec: { ...drawn.spec, session_config: {}, admission: { max_concurrent_turns_per_tenant: 2 } }
      })
    }),
  /** A call takes too long, and its plan lets another attempt stand in. */
  timedOut: () =>
    find(["provider.slow_first"], [
      (record) =>
        record.record === "invocation" && record.invocation.outcome_class === "timeout" &&
        record.invocation.retry_decision === "retry"
    ]),
  /** Providers fail, and the plan lets another attempt stand in. */
  failing: () =>
    find(["provider.overload"], [
      (record) => record.record === "invocation" && record.invocation.retry_decision === "retry",
      isSignal("provider_error")
    ]),
  /** Providers ask to wait, and the plan lets another attempt stand in. */
  asked: () =>
    find(["provider.rate_limited"], [
      (record) =>
        record.record === "invocation" && record.invocation.retry_decision === "retry" &&
        record.invocation.modality === "llm",
      (record) =>
        record.record === "input" && record.input.type === "invocation_ended" &&
        (record.input.retry_after_ms ?? 0) > 0,
      isCommand("start_invocation", { modality: "tts" })
    ]),
  /** The same, and a turn ends before its call was tried again. */
  givenUp: () =>
    find(["provider.rate_limited"], [
      isRetry("disarm_timer")
    ]),
  /** Another provider stands in. */
  switched: () => find(["provider.overload", "provider.unavailable"], [isSignal("provider_switch")]),
  /** First results are slow: budgets run out. */
  slow: () =>
    find(["provider.slow_first"], [
      isSignal("budget_warning", { reason: "node_budget" }),
      isSignal("budget_exhausted"),
      isSignal("abort", { reason: "turn_budget_exhausted" })
    ]),
  /** Evidence is refused. */
  refused: () => find(["recorder.refused"], [isSignal("abort", { reason: "recording_evidence_unavailable" })]),
  /** A caller types, and the newest message supersedes those that wait. */
  typed: () =>
    find([], [isSignal("reject", { reason: "superseded" }), isSignal("commit")], {
      adapt: (drawn) => ({ ...drawn, spec: { ...drawn.spec, session_config: {} } })
    }),
  /** The call ends in the middle of an utterance. */
  hungUp: () => find([], [isSignal("reject", { reason: "transport_ended" })], { ending: "hang_up" }),
  /** The caller cuts in on the agent, and that is known when the caller has fallen silent. */
  cut: () => {
    let cause: string | undefined
    return find([], [(record) => {
      if (record.record === "input") cause = record.input.type
      return isSignal("cancel", { reason: "barge_in" })(record) && cause === "voice_activity"
    }], {
      // The end of a word as long as the threshold is noticed in the instant in which the threshold is passed.
      adapt: (drawn) => ({
        ...drawn,
        actions: drawn.actions.flatMap((action) => [
          action,
          { does: "say", words: [200], when: { after: "reply_start", delayMs: 400, patienceMs: 4000 } }
        ]),
        spec: {
          ...drawn.spec,
          session_config: { barge_in: { min_ms: 200 }, voice_activity: { min_silence_ms: 100 } }
        }
      })
    })
  },
  /** A filter or a router has several items, and its turn commits. */
  screened: () =>
    find([], [isCommand("push_item", { payload_kind: "segment" }), isCommand("end_items"), isSignal("commit")], graph),
  /** A router's labels decide which model is asked. */
  routed: () =>
    find([], [
      (record) =>
        record.record === "input" && record.input.type === "node_item" &&
        record.input.handle.facts?.label === "question"
    ], graph),
  /** What is said goes to a transcript sink. */
  captioned: () => find([], [isCommand("write_transcript", { role: "assistant" })], graph),
  merged: () => find([], [isEvent("merged")], graph),
  selected: () => find([], [isEvent("selected:")], graph),
  /** A select waits for the edge that it prefers, and somebody works on for the one that it did not take. */
  waited: () =>
    find([], [isArmedSelect, isEvent("selected:"), isCommand("cancel_invocation", { reason: "not_selected" })], graph),
  /** A select waits, and what it prefers comes. */
  preferred: () => find([], [isDisarmedSelect], graph),
  /** A node looks on, and the turn commits. */
  watched: () => find([], [isCommand("start_invocation", { node_id: "watch" }), isCommand("end_output")], graph),
  /** A node that need not work fails, and is gone round. */
  passedBy: () => find(["node.crash"], [isSignal("degrade", { node_id: "screen_reply" })], graph),
  /** Another node takes over by a fallback edge. */
  handed: () =>
    find(["provider.unavailable", "provider.overload"], [
      (record) =>
        record.record === "signal" && record.signal.signal === "fallback" && record.signal.edge_id !== undefined
    ], graph),
  /** A model works ahead of its turn: once it is taken up, once it is given up. */
  eager: () => find([], [isEvent("speculation_promoted"), isEvent("speculation_withdrawn")], graph),
  /** Speech of a sentence is lost together. */
  grouped: () =>
    find(["runtime.full_edge", "provider.burst"], [
      isSignal("discontinuity"),
      (record) =>
        record.record === "signal" && record.signal.signal === "discontinuity" &&
        record.signal.reason?.startsWith("partly_delivered") === true &&
        record.signal.edge_id?.includes("voice") === true
    ], graph),
  /** Turn taking with everything: a sign of attention, learned pauses, a reply that was cut, an idle caller. */
  taking: () =>
    find([], [
      isEvent("passed_over: backchannel"),
      isEvent("endpoint_learned"),
      isEvent("user_idle"),
      isBounded
    ], {
      adapt: (drawn) => ({
        ...drawn,
        spec: {
          ...drawn.spec,
          session_config: {
            endpointing: { min_ms: 300, unfinished_ms: 600, max_ms: 2000, mode: "dynamic" },
            barge_in: { min_ms: 200, backchannel: ["mhm", "yeah", "okay", "right"] },
            idle: { timeout_ms: 1500 }
          }
        }
      })
    }),
  /** A reply that was cut was spoken by a voice that says how far it has come. */
  marked: () => {
    const sentences = new Map<string, string>()
    const spoken = new Set<string>()
    return find([], [(record) => {
      if (isInput("session_started")(record)) spoken.clear()
      if (record.record === "input" && record.input.type === "voice_chunk") {
        const { handle, provider_invocation_id } = record.input
        if (handle.facts?.spoken_chars !== undefined) spoken.add(sentences.get(provider_invocation_id) ?? "")
      }
      if (record.record !== "command" || record.command.type !== "start_invocation") return false
      const { conversation = [], provider_invocation_id, text } = record.command
      if (text !== undefined) sentences.set(provider_invocation_id, text.id)
      return conversation.some(({ parts }) => parts.some((part) => isPart(part) && spoken.has(part.handle_id)))
    }])
  },
  /** The store is behind: the level goes down both steps, and up again, in a call that has something to keep. */
  behind: () =>
    find(["store.behind"], [
      isSignal("recording_level_downgraded", { reason: "export_lag:L2_to_L1" }),
      isSignal("recording_level_downgraded", { reason: "export_lag:L1_to_L0" }),
      isCommand("limit_recording", { level: "L2" }),
      (record) => record.record === "payload" && record.payload_class === "text_raw" && record.action === "mask",
      ({ record }) => record === "caller_audio",
      (record) => record.record === "end" && (record.not_captured?.lowered_turns?.length ?? 0) > 0
    ]),
  /** Snapshots are stale for a while. */
  unsnapped: () =>
    find(["control.stale_snapshots"], [
      (record) => record.record === "signal" && record.signal.reason?.startsWith("snapshot_stale") === true
    ])
} satisfies Record<string, () => Call>
const made = new Map<string, Call | Error>()
const callOf = (name: keyof typeof calls): Call => {
  const known = made.get(name) ?? attempt(calls[name])
  made.set(name, known)
  if (known instanceof Error) throw known
  return known
}
const attempt = (make: () => Call): Call | Error => {
  try {
    return make()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Gives dense numbers again, so that only the planted violation is one. */
const renumber = (records: Records): void => {
  let next = 0
  records.forEach((record, index) => {
    switch (record.record) {
      case "audio":
        records[index] = { ...record, first_sequence: next }
        next += record.count
        return
      case "signal":
        records[index] = { ...record, signal: { ...record.signal, runtime_sequence: next++ } }
        return
      case "event":
        records[index] = { ...record, event: { ...record.event, runtime_sequence: next++ } }
        return
      case "input":
      case "transition":
      case "plan":
      case "decision":
      case "invocation":
      case "command":
        records[index] = { ...record, runtime_sequence: next++ } as TimelineRecord
        return
      case "end":
        records[index] = { ...record, last_sequence: next - 1 }
        return
      default:
        return
    }
  })
}

type Is = (record: TimelineRecord) => boolean
/** Where the first one is that comes after the place; a plant without its place is a mistake of the test. */
const at = (records: Records, is: Is, from = 0): number => {
  const index = records.findIndex((record, place) => place >= from && is(record))
  if (index < 0) throw new Error("the call has no place for this violation")
  return index
}
const turnOf = (record: TimelineRecord | undefined): string => {
  if (record?.record === "signal") return record.signal.turn_id ?? ""
  if (record?.record === "command" && "turn_id" in record.command) return record.command.turn_id ?? ""
  return ""
}
const remove = (is: Is): Change => (records) => void records.splice(at(records, is), 1)
const twice = (is: Is): Change => (records) => {
  const place = at(records, is)
  records.splice(place, 0, structuredClone(records[place]!))
}
/** Changes what is in the first record of a kind; the whole record is the test's own copy. */
const signal = (is: Is, change: (signal: Mutable<ControlSignal>) => void): Change => (records) => {
  const record = records[at(records, is)]
  if (record?.record === "signal") change(record.signal as Mutable<ControlSignal>)
}
const event = (is: Is, change: (event: Mutable<EventRecord>) => void): Change => (records) => {
  const record = records[at(records, is)]
  if (record?.record === "event") change(record.event as Mutable<EventRecord>)
}
const command = (is: Is, change: (command: Record<string, unknown>) => void): Change => (records) => {
  const record = records[at(records, is)]
  if (record?.record === "command") change(record.command)
}
const input = (is: Is, change: (input: Record<string, unknown>) => void): Change => (records) => {
  const record = records[at(records, is)]
  if (record?.record === "input") change(record.input)
}
const plan = (change: (plan: Mutable<ResolvedTurnPlan>) => void): Change => (records) => {
  const record = records[at(records, ({ record }) => record === "plan")]
  if (record?.record === "plan") change(record.plan as Mutable<ResolvedTurnPlan>)
}
const isEvidence = (record: TimelineRecord) => record.record === "evidence"
/** Evidence is a copy of its own: what a call's record says stays as it is. */
const evidence = (change: (evidence: Mutable<BaselineEvidence>) => void, is: Is = isEvidence): Change => (records) => {
  const place = at(records, is)
  const record = structuredClone(records[place])
  if (record?.record !== "evidence") return
  change(record.evidence as Mutable<BaselineEvidence>)
  records[place] = record
}
const invocation =
  (change: (facts: Mutable<InvocationFacts>) => void, is: (facts: InvocationFacts) => boolean): Change => (records) => {
    const record = records[at(records, (one) => one.record === "invocation" && is(one.invocation))]
    if (record?.record === "invocation") change(record.invocation)
  }
const insertAfter =
  (is: Is, make: (before: TimelineRecord, records: Records) => TimelineRecord): Change => (records) => {
    const place = at(records, is)
    records.splice(place + 1, 0, make(structuredClone(records[place]!), records))
  }
/** A command in the step of the record before it. */
const orders =
  (made: (before: TimelineRecord, records: Records) => SessionCommand) =>
  (before: TimelineRecord, records: Records): TimelineRecord => ({
    record: "command",
    runtime_sequence: 0,
    runtime_timestamp_ms: before.record === "signal"
      ? before.signal.runtime_timestamp_ms
      : "runtime_timestamp_ms" in before
      ? before.runtime_timestamp_ms
      : 0,
    command: made(before, records)
  })
/** Both the abort and what the evidence says of it. */
const abortReason = (reason: string): Change => (records) => {
  const place = at(records, isSignal("abort"))
  signal(isSignal("abort"), (abort) => void (abort.reason = reason))(records)
  const turn = turnOf(records[place])
  evidence(
    (own) => void (own.terminal.reason = reason),
    (record) => record.record === "evidence" && record.evidence.turn_id === turn
  )(records)
}
/** Of recording levels. */
const isDowngrade = isSignal("recording_level_downgraded")
const isLimit = (level: string) => isCommand("limit_recording", { level })
const manifest = (change: (manifest: Record<string, unknown>) => void): Change => (records) => {
  const end = records.at(-1)
  if (end?.record === "end" && end.not_captured !== undefined) change(end.not_captured)
}

/** A step that nothing comes of, at the time of the record. */
const aStep = (before: TimelineRecord): TimelineRecord => ({
  record: "input",
  runtime_sequence: 0,
  runtime_timestamp_ms: before.record === "signal"
    ? before.signal.runtime_timestamp_ms
    : "runtime_timestamp_ms" in before
    ? before.runtime_timestamp_ms
    : 0,
  lane: "ControlLane",
  input: { type: "audio_ended" }
})
const insertBefore = (is: Is, make: (record: TimelineRecord) => TimelineRecord): Change => (records) => {
  const place = at(records, is)
  records.splice(place, 0, make(records[place]!))
}
/** Plans that tell of pressure in another way than was done. */
const modeOfPlans = (mode: "signal" | "credit"): Change => (records) => {
  for (const record of records) {
    if (record.record !== "plan") continue
    const { flow_control } = record.plan as Mutable<ResolvedTurnPlan>
    flow_control.mode_by_lane = { ...flow_control.mode_by_lane, DataLane: mode }
  }
}
/** Changes how much of its own words the model is told. */
const said = (chars: (part: { readonly chars: number }) => number): Change => (records) => {
  for (const record of records) {
    if (record.record !== "command" || record.command.type !== "start_invocation") continue
    for (const { parts, role } of record.command.conversation ?? []) {
      const [part] = parts
      if (role !== "assistant" || part === undefined) continue
      Object.assign(part, { chars: chars(part) })
      return
    }
  }
  throw new Error("the call has no reply that was heard")
}
/** What becomes of the first late result; `other` when it is that already. */
const late = (reason: string, other = reason): Change =>
  event((record) => record.record === "event" && record.event.reason?.startsWith("late_") === true, (told) => {
    told.reason = told.reason === reason ? other : reason
  })
const commits = (records: Records) => turnOf(records[at(records, isSignal("commit"))])
const openTurns = (records: Records) => records.filter(isSignal("turn_open")).map((record) => turnOf(record))

/** A step of its own after the one in which a record is, and what it orders. */
const inNextStep = (is: Is, order: (record: TimelineRecord) => SessionCommand): Change => (records) => {
  const place = at(records, is)
  const next = at(records, beginsStep, place + 1)
  const step = aStep(records[place]!)
  records.splice(next, 0, step, orders(() => order(records[place]!))(step, records))
}
/** The call of a result is said to have had one more that came too late. */
const countsOneMore = (records: Records, result: TimelineRecord | undefined): void => {
  const id = result?.record === "input" && "provider_invocation_id" in result.input
    ? result.input.provider_invocation_id
    : undefined
  invocation(
    (facts) => void facts.late_outputs_dropped++,
    ({ provider_invocation_id }) => provider_invocation_id === id
  )(records)
}
/** What tells that a result came too late. */
const aLateEvent = (records: Records): TimelineRecord => {
  const told = structuredClone(records[at(records, isEvent("late_"))]!)
  if (told.record === "event") Object.assign(told.event, { event_id: "evt_planted", lane: "TelemetryLane" })
  return told
}
/** The place of the last result of a voice that is sent in its step. */
const lastSent = (records: Records): number =>
  records.findLastIndex((record, place) => {
    if (!isInput("voice_chunk")(record)) return false
    const next = records.findIndex((later, after) => after > place && beginsStep(later))
    return records.slice(place, next).some(isCommand("enqueue_output"))
  })

type Plant = readonly [what: string, call: keyof typeof calls, change: Change]

const planted: Readonly<Record<string, ReadonlyArray<Plant>>> = {
  C01: [
    ["a close that is missing", "plain", remove(isSignal("close"))],
    ["a second terminal", "plain", twice(isSignal("commit"))],
    ["a close before the terminal", "plain", (records) => {
      const terminal = at(records, (record) => isSignal("commit")(record) || isSignal("abort")(record))
      const [close] = records.splice(at(records, isSignal("close"), terminal), 1)
      records.splice(terminal, 0, close!)
    }],
    ["a terminal of a turn that never opened", "plain", remove(isSignal("turn_open"))],
    ["a turn that never ends", "plain", (records) => {
      const last = openTurns(records).at(-1) ?? ""
      const ends = (record: TimelineRecord) =>
        (record.record === "signal" && record.signal.turn_id === last &&
          ["commit", "abort", "close"].includes(record.signal.signal)) ||
        (record.record === "transition" && record.turn_id === last &&
          ["Terminal", "Closed"].includes(record.transition.to_state))
      for (let left = 4; left > 0; left--) remove(ends)(records)
    }]
  ],
  C02: [
    ["a record that is missing", "plain", (records) => void records.splice(20, 1)],
    ["a record that comes twice", "plain", (records) => void records.splice(20, 0, records[20]!)],
    ["two records in each other's place", "plain", (records) => {
      const [a, b] = [records[20]!, records[21]!]
      records.splice(20, 2, b, a)
    }],
    ["a number that is skipped", "plain", (records) => {
      const place = at(records, (record) => record.record === "command")
      const record = records[place]
      if (record?.record === "command") records[place] = { ...record, runtime_sequence: record.runtime_sequence + 1 }
    }],
    ["an end that counts otherwise", "plain", (records) => {
      const end = records.at(-1)
      if (end?.record === "end") records[records.length - 1] = { ...end, last_sequence: end.last_sequence + 1 }
    }]
  ],
  C03: [
    [
      "a chunk that is sent after the fence",
      "plain",
      insertAfter(
        isCommand("fence_output"),
        orders((fence) => ({
          type: "enqueue_output",
          turn_id: turnOf(fence),
          segment_id: "s",
          handle_id: "h",
          authority_epoch: 1
        }))
      )
    ],
    ["a second fence", "plain", twice(isCommand("fence_output"))],
    [
      "output that goes on after the fence",
      "plain",
      insertAfter(isCommand("fence_output"), orders((fence) => ({ type: "resume_output", turn_id: turnOf(fence) })))
    ]
  ],
  C04: [
    [
      "output of another epoch",
      "plain",
      command(isCommand("enqueue_output"), (sent) => void (sent["authority_epoch"] = 7))
    ],
    [
      "a signal of an epoch that is over",
      "plain",
      signal(isSignal("output_accepted"), (told) => {
        told.authority_epoch = 0
      })
    ],
    [
      "an event of another epoch",
      "plain",
      event((record) => record.record === "event", (moved) => {
        moved.authority_epoch = 9
      })
    ],
    ["a lease that goes back and is taken", "plain", (records) => {
      const last = records.findLastIndex(isInput("lease"))
      const record = records[last]
      if (record?.record === "input" && record.input.type === "lease") {
        records[last] = { ...record, input: { ...record.input, authority_epoch: 0 } }
      }
    }],
    ["an open turn that is not drained when the lease moves", "rotated", remove(isSignal("deauthorized_drain"))],
    [
      "a stale result that is not turned away",
      "stale",
      remove(isSignal("stale_epoch_reject", { reason: "input_of_another_epoch" }))
    ],
    [
      "a chunk of another epoch that is accepted",
      "plain",
      input(isInput("voice_chunk"), (chunk) => void (chunk["authority_epoch"] = 9))
    ],
    [
      "a call that starts under another epoch",
      "plain",
      command(isCommand("start_invocation"), (start) => {
        start["authority_epoch"] = 3
      })
    ]
  ],
  C05: [
    ["an earlier turn that is sent after the next one", "plain", (records) => {
      const [first = ""] = openTurns(records)
      const second = records.findLastIndex(isCommand("enqueue_output"))
      const sent = structuredClone(records[second]!)
      if (sent.record === "command") Object.assign(sent.command, { turn_id: first })
      records.splice(second + 1, 0, sent)
    }],
    ["an earlier turn that is heard after the next one", "plain", (records) => {
      const [first = ""] = openTurns(records)
      const second = records.findLastIndex(isInput("playback_started"))
      const heard = structuredClone(records[second]!)
      if (heard.record === "input") Object.assign(heard.input, { turn_id: first, segment_id: "another" })
      // Behind the signal that the report brought about.
      records.splice(second + 2, 0, heard)
    }],
    ["an earlier turn that goes on after the next one", "plain", (records) => {
      const [first = ""] = openTurns(records)
      const last = records.findLastIndex(isCommand("enqueue_output"))
      records.splice(last + 1, 0, orders(() => ({ type: "resume_output", turn_id: first }))(records[last]!, records))
    }]
  ],
  C06: [
    ["two chunks in each other's place", "plain", (records) => {
      const first = at(records, isCommand("enqueue_output"))
      const second = at(records, isCommand("enqueue_output"), first + 1)
      const [a, b] = [records[first]!, records[second]!]
      if (a.record !== "command" || b.record !== "command") return
      records[first] = { ...a, command: b.command }
      records[second] = { ...b, command: a.command }
    }],
    ["a chunk that is sent twice", "plain", twice(isCommand("enqueue_output"))],
    [
      "a chunk of another sentence",
      "plain",
      command(isCommand("enqueue_output"), (sent) => {
        sent["segment_id"] = "another"
      })
    ],
    [
      "speech whose place is wrong",
      "plain",
      event((record) => record.record === "event" && record.event.payload_class === "audio_raw", (moved) => {
        moved.media_time = { sample_index: 77 }
      })
    ],
    ["a sentence that egress took in part", "plain", (records) => {
      const whole = (record: TimelineRecord) =>
        record.record === "input" && record.input.type === "output_accepted" && record.input.samples > 0
      input(whole, (report) => void (report["samples"] = 1))(records)
    }],
    ["a sentence that goes on after its end", "plain", (records) => {
      const sent = at(records, isCommand("enqueue_output"))
      const record = records[sent]
      if (record?.record !== "command" || record.command.type !== "enqueue_output") return
      const { segment_id, turn_id } = record.command
      records.splice(
        sent,
        0,
        orders(() => ({ type: "end_segment", segment_id, turn_id }))(record, records)
      )
    }],
    ["a lane whose sequence goes back", "plain", (records) => {
      const last = records.findLastIndex(isSignal("output_accepted"))
      const before = records.findLastIndex((record, place) => place < last && record.record === "signal")
      const [a, b] = [records[last]!, records[before]!]
      records[last] = b
      records[before] = a
    }]
  ],
  C07: [
    ["lost frames without a notice", "lossy", (records) => {
      const loss = at(records, isInput("media_loss"))
      records.splice(at(records, isSignal("drop_notice"), loss), 1)
    }],
    ["a notice of other frames than were lost", "lossy", (records) => {
      const loss = at(records, isInput("media_loss"))
      const record = records[at(records, isSignal("drop_notice"), loss)]
      if (record?.record === "signal") Object.assign(record.signal, { seq_range: { start: 1, end: 2 } })
    }],
    [
      "a late result that is not told",
      "late",
      remove((record) => record.record === "event" && record.event.reason?.startsWith("late_") === true)
    ],
    [
      "a late result that is not counted",
      "late",
      invocation(
        (facts) => void (facts.late_outputs_dropped = 0),
        ({ late_outputs_dropped }) => late_outputs_dropped > 0
      )
    ],
    ["a chunk that is gone", "plain", (records) => {
      const turn = commits(records)
      remove(isCommand("enqueue_output", { turn_id: turn }))(records)
    }],
    [
      "a dropped sentence without a notice",
      "full",
      (records) => {
        const turns = new Set(records.filter(isSignal("commit")).map((record) => turnOf(record)))
        remove((record) => isSignal("drop_notice")(record) && turns.has(turnOf(record)))(records)
      }
    ],
    ["lost frames that leave a gap which is not told", "gapped", (records) => {
      const loss = at(records, isInput("media_loss"))
      records.splice(at(records, isSignal("discontinuity"), loss), 1)
    }],
    ["speech that egress refused and that is not told", "outdated", (records) => {
      const refused = at(records, isInput("output_rejected", { reason: "stale_epoch" }))
      records.splice(at(records, isSignal("stale_epoch_reject"), refused), 1)
    }],
    ["a result that came too late, is told, and is sent", "late", (records) => {
      const place = lastSent(records)
      const result = records[place]
      const turn = turnOf(records[at(records, isCommand("enqueue_output"), place)])
      const told = aLateEvent(records)
      countsOneMore(records, result)
      const fence = orders(() => ({ type: "fence_output", turn_id: turn, authority_epoch: 1, reason: "planted" }))(
        result!,
        records
      )
      records.splice(place, 1, fence, result!, told)
    }],
    ["a result that is told as late and was not", "late", (records) => {
      const place = lastSent(records)
      countsOneMore(records, records[place])
      records.splice(place + 1, 0, aLateEvent(records))
    }]
  ],
  C08: [
    ["data that comes before the answer to a fence", "plain", (records) => {
      const answer = at(records, isInput("egress_fenced"))
      records.splice(answer, 0, {
        record: "audio",
        first_sequence: 0,
        count: 1,
        first_sample_index: 0,
        first_timestamp_ms: 0
      })
    }],
    ["data that comes before the answer to a pause", "plain", (records) => {
      const answer = at(records, isInput("egress_paused"))
      const chunk = structuredClone(records[at(records, isInput("voice_chunk"))]!)
      records.splice(answer, 0, chunk)
    }],
    ["a fence that went over the data lane", "plain", (records) => {
      const place = at(records, isInput("egress_fenced"))
      const record = records[place]
      if (record?.record === "input") records[place] = { ...record, lane: "DataLane" }
    }],
    ["a result that went over the control lane", "plain", (records) => {
      const place = at(records, isInput("voice_chunk"))
      const record = records[place]
      if (record?.record === "input") records[place] = { ...record, lane: "ControlLane" }
    }],
    ["a cancel without a fence", "plain", (records) => {
      const cancel = at(records, isSignal("cancel"))
      records.splice(at(records, isCommand("fence_output"), cancel), 1)
    }],
    ["speech between a cancel and its fence", "plain", (records) => {
      const cancel = at(records, isSignal("cancel"))
      const sent = structuredClone(records[at(records, isCommand("enqueue_output"))]!)
      records.splice(cancel + 1, 0, sent)
    }]
  ],
  C09: [
    [
      "a record of an earlier time",
      "plain",
      signal(isSignal("output_accepted"), (told) => {
        told.runtime_timestamp_ms -= 1
        told.wall_clock_timestamp_ms -= 1
      })
    ],
    [
      "a wall clock that is not the session's",
      "plain",
      signal(isSignal("output_accepted"), (told) => {
        told.wall_clock_timestamp_ms += 5
      })
    ],
    ["frames before those that came before them", "plain", (records) => {
      const place = at(records, (record) => record.record === "audio" && record.count > 3)
      const record = records[place]
      if (record?.record === "audio") {
        records[place] = { ...record, jitter: [-30, ...Array.from({ length: record.count - 2 }, () => 0)] }
      }
    }],
    [
      "evidence that opens before it was proposed",
      "plain",
      evidence(({ times }) => {
        times.proposed_ms = times.open_ms + 1
      })
    ],
    ["a call that ended before it gave its first result", "plain", (records) => {
      const change = invocation(
        (facts) => void (facts.first_result_ms = facts.started_ms - 1),
        ({ modality }) => modality === "stt"
      )
      change(records)
    }]
  ],
  C10: [
    [
      "a cancel that is acknowledged before it was",
      "plain",
      evidence(
        (own) => void (own.cancel = { ...own.cancel!, acknowledged_ms: own.cancel?.sent_ms ?? 0 }),
        (record) =>
          record.record === "evidence" && record.evidence.cancel !== undefined &&
          record.evidence.cancel.acknowledged_ms === undefined
      )
    ],
    ["a turn without evidence", "plain", remove(isEvidence)],
    ["evidence that comes twice", "plain", twice(isEvidence)],
    ...([
      ["plan hash", (own) => void (own.plan_hash = "0".repeat(64))],
      ["epoch at the open", (own) => void (own.epoch_at_open = 4)],
      ["epoch at the terminal", (own) => void (own.epoch_at_terminal = 4)],
      ["terminal", (own) => void (own.terminal = { kind: "abort", reason: "other" })],
      ["open time", (own) => void (own.times.open_ms += 1)],
      ["first output", (own) => void delete own.times.first_output_ms],
      ["close time", (own) => void (own.times.close_ms += 1)],
      ["admission", (own) => void (own.admission.event_id = "evt_0")],
      ["seed", (own) => void (own.determinism.seed += 1)],
      ["snapshots", (own) => void (own.snapshot_provenance.routing_view_snapshot = "other")],
      ["call", (own) => void own.invocations.pop()],
      ["outcome of a call", (own) => void (own.invocations[0]!.outcome_class = "blocked")],
      ["migration", (own) => void own.migration_markers.push("lease_rotated:evt_1")],
      ["payload decisions", (own) => void own.payload_decisions.splice(0)],
      ["session", (own) => void (own.session_id = "another")]
    ] satisfies ReadonlyArray<readonly [string, (own: Mutable<BaselineEvidence>) => void]>).map(
      ([field, change]): Plant => [`evidence with another ${field}`, "plain", evidence(change)]
    ),
    [
      "a cancel without its fence",
      "plain",
      evidence(
        (own) => void delete own.cancel?.fenced_ms,
        (record) => record.record === "evidence" && record.evidence.cancel !== undefined
      )
    ],
    [
      "a cancel that is not in the evidence",
      "plain",
      evidence(
        (own) => void delete own.cancel,
        (record) => record.record === "evidence" && record.evidence.cancel !== undefined
      )
    ],
    [
      "a supplement that lacks a call",
      "supplemented",
      (records) => {
        const place = at(
          records,
          (record) => record.record === "supplement" && record.supplement.invocations.length > 0
        )
        const record = structuredClone(records[place]!)
        if (record.record === "supplement") Object.assign(record.supplement, { invocations: [] })
        records[place] = record
      }
    ],
    [
      "a supplement that is missing",
      "supplemented",
      remove((record) => record.record === "supplement" && record.supplement.invocations.length > 0)
    ]
  ],
  C11: [
    ["a turn that opens from nowhere", "plain", remove((record) => record.record === "transition")],
    ["a transition that is in no row", "plain", (records) => {
      const place = at(records, (record) => record.record === "transition" && record.transition.trigger === "close")
      const record = records[place]
      if (record?.record !== "transition") return
      records[place] = { ...record, transition: { ...record.transition, to_state: "Idle" } }
    }],
    [
      "a turn that moves twice",
      "plain",
      twice((record) => record.record === "transition" && record.transition.trigger === "turn_open")
    ],
    [
      "an admission without its decision",
      "plain",
      remove((record) => record.record === "decision" && record.decision.outcome_kind === "admit")
    ],
    [
      "a refusal without its decision",
      "typed",
      remove((record) =>
        record.record === "decision" && record.decision.outcome_kind === "reject" &&
        record.decision.turn_id !== undefined
      )
    ],
    ["an intent that comes to nothing", "plain", twice(isSignal("turn_open_proposed"))]
  ],
  C12: [
    ["an abort with another reason than its cause", "plain", abortReason("provider_failure")],
    ["an abort of a weaker cause than was there", "slow", (records) => {
      const place = at(records, isSignal("abort", { reason: "turn_budget_exhausted" }))
      const turn = turnOf(records[place])
      signal((record) => record === records[place], (abort) => void (abort.reason = "provider_failure"))(records)
      evidence(
        (own) => void (own.terminal.reason = "provider_failure"),
        (record) => record.record === "evidence" && record.evidence.turn_id === turn
      )(records)
    }],
    ["a commit without appended evidence", "plain", remove(isInput("evidence_appended", { result: "appended" }))],
    [
      "a commit though its evidence was refused",
      "plain",
      input(isInput("evidence_appended"), (answer) => {
        answer["result"] = "refused"
      })
    ],
    ["a commit whose evidence nobody asked for", "plain", (records) => {
      remove(isCommand("append_evidence", { turn_id: commits(records) }))(records)
    }],
    ["an abort before its fence is reported", "plain", remove(isInput("egress_fenced"))],
    ["a reply that did not end", "plain", (records) => {
      remove(isCommand("end_output", { turn_id: commits(records) }))(records)
    }],
    [
      "an exhausted budget that ends nothing",
      "plain",
      insertAfter(isSignal("turn_open"), (opened) => {
        if (opened.record !== "signal") return opened
        return {
          record: "signal",
          signal: {
            ...opened.signal,
            signal: "budget_exhausted",
            emitted_by: "RK-17",
            reason: "turn_budget",
            event_id: "evt_planted"
          }
        }
      })
    ]
  ],
  C13: [
    ["a plan that is changed", "plain", plan((own) => void (own.budgets = { ...own.budgets, turn_budget_ms: 1 }))],
    ["a second plan", "plain", twice(({ record }) => record === "plan")],
    ["a turn without a plan", "plain", remove(({ record }) => record === "plan")],
    ["a hash that is not the plan's", "plain", plan((own) => void (own.plan_hash = "a".repeat(64)))],
    ["evidence of another plan", "plain", evidence((own) => void (own.plan_hash = "b".repeat(64)))],
    [
      "a binding that the pipeline does not have",
      "plain",
      plan((own) => {
        own.provider_bindings = { ...own.provider_bindings, llm: "nobody/llm" }
      })
    ]
  ],
  C14: [
    ["a turn from a stale snapshot", "plain", (records) => {
      for (const record of records) {
        if (record.record === "input" && record.input.type === "snapshot") {
          Object.assign(record.input.snapshot, { ttl_ms: 1 })
        }
      }
    }],
    ["a turn without a snapshot", "plain", (records) => {
      for (const [place, record] of records.entries()) {
        if (record.record !== "input" || record.input.type !== "snapshot") continue
        if (record.input.snapshot.snapshot_kind !== "routing_view_snapshot") continue
        records[place] = { ...record, input: { type: "session_started" } }
      }
    }],
    ["a turn past its quota", "plain", (records) => {
      for (const record of records) {
        if (record.record !== "input" || record.input.type !== "snapshot") continue
        const { snapshot } = record.input
        if (snapshot.snapshot_kind === "admission_policy_snapshot") {
          Object.assign(snapshot.body, { max_turns_per_session: 0 })
        }
      }
    }],
    ["a provider that is down", "plain", (records) => {
      for (const record of records) {
        if (record.record !== "input" || record.input.type !== "snapshot") continue
        const { snapshot } = record.input
        if (snapshot.snapshot_kind === "provider_health_snapshot") {
          Object.assign(snapshot.body, { providers: { "sim/llm": "open" } })
        }
      }
    }],
    ["a plan that names another snapshot", "plain", (records) => {
      for (const record of records) {
        if (record.record === "input" && record.input.type === "snapshot") {
          Object.assign(record.input.snapshot, { snapshot_id: "another" })
        }
      }
    }],
    ["a refusal for a snapshot that was fresh", "unsnapped", (records) => {
      for (const record of records) {
        if (record.record === "input" && record.input.type === "snapshot") {
          Object.assign(record.input.snapshot, { ttl_ms: 100_000_000 })
        }
      }
    }]
  ],
  C15: [
    [
      "a firing of another generation that has an effect",
      "plain",
      input(isInput("timer", { timer: "endpoint" }), (fired) => {
        fired["generation"] = 9999
      })
    ],
    ["a timer that fires early", "plain", (records) => {
      const fired = records[at(records, isInput("timer", { timer: "endpoint" }))]
      if (fired?.record !== "input" || fired.input.type !== "timer") return
      const { generation } = fired.input
      command(isCommand("arm_timer", { generation }), (arm) => void (arm["due_ms"] = 99_999_999))(records)
    }],
    ["a timer that stays behind when another fires that is due with it", "plain", (records) => {
      const fired = records[at(records, isInput("timer", { timer: "endpoint" }))]
      if (fired?.record !== "input") return
      command(isCommand("arm_timer", { timer: "utterance_limit" }), (arm) => {
        arm["due_ms"] = fired.runtime_timestamp_ms
      })(records)
    }],
    ["a timer that is armed twice", "plain", twice(isCommand("arm_timer"))],
    ["a timer that is disarmed and was not armed", "plain", twice(isCommand("disarm_timer"))],
    ["a timer that outlives the session", "plain", (records) => {
      const end = at(records, isCommand("end_session"))
      records.splice(
        end,
        0,
        orders(() => ({ type: "arm_timer", timer: "late", generation: 99_999, due_ms: 0 }))(records[end]!, records)
      )
    }]
  ],
  C16: [
    ["a turn without its budget", "plain", (records) => {
      const [turn = ""] = openTurns(records)
      const timer = `budget.turn:${turn}`
      remove(isCommand("arm_timer", { timer }))(records)
      remove(isCommand("disarm_timer", { timer }))(records)
    }],
    ["a budget of another time than the plan's", "plain", (records) => {
      const [turn = ""] = openTurns(records)
      command(isCommand("arm_timer", { timer: `budget.path:${turn}` }), (arm) => {
        arm["due_ms"] = Number(arm["due_ms"]) + 1000
      })(records)
    }],
    ["a call without its limit", "plain", (records) => {
      const start = records[at(records, isCommand("start_invocation", { modality: "llm" }))]
      if (start?.record !== "command" || start.command.type !== "start_invocation") return
      const timer = `budget.call:${start.command.provider_invocation_id}`
      remove(isCommand("arm_timer", { timer }))(records)
      remove(isCommand("disarm_timer", { timer }))(records)
    }],
    [
      "a call with another cap",
      "plain",
      command(isCommand("start_invocation", { modality: "llm" }), (start) => {
        start["cap_ms"] = 123_456
      })
    ],
    [
      "a turn without its grace",
      "plain",
      remove((record) =>
        record.record === "command" && record.command.type === "arm_timer" && record.command.timer.startsWith("grace:")
      )
    ],
    ["a budget that ran out and is not told", "slow", remove(isSignal("budget_warning", { reason: "node_budget" }))],
    ["a budget that is taken away before any speech", "plain", (records) => {
      const [turn = ""] = openTurns(records)
      const timer = `budget.turn:${turn}`
      const armed = at(records, isCommand("arm_timer", { timer }))
      const [disarm] = records.splice(at(records, isCommand("disarm_timer", { timer })), 1)
      records.splice(armed + 1, 0, disarm!)
    }],
    ["a budget that ended a turn and is not told", "slow", remove(isSignal("budget_exhausted"))],
    ["a grace that is over and seals nothing", "plain", remove(isCommand("seal_supplement"))],
    ["a budget that is taken away in a later step, before any speech", "plain", (records) => {
      const [turn = ""] = openTurns(records)
      inNextStep(isSignal("turn_open"), () => ({
        type: "disarm_timer",
        timer: `budget.turn:${turn}`,
        generation: 1
      }))(records)
    }],
    [
      "a call whose limit is taken away although nothing came",
      "plain",
      inNextStep(isCommand("start_invocation", { modality: "llm" }), (start) => {
        const id = start.record === "command" && start.command.type === "start_invocation"
          ? start.command.provider_invocation_id
          : ""
        return { type: "disarm_timer", timer: `budget.call:${id}`, generation: 1 }
      })
    ],
    [
      "a recogniser with another cap",
      "plain",
      command(isCommand("start_invocation", { modality: "stt" }), (start) => void (start["cap_ms"] = 123_456))
    ]
  ],
  C17: [
    ["more speech on an edge than it holds", "full", (records) => {
      for (let place = records.length - 1; place >= 0; place--) {
        if (isInput("egress_dequeued")(records[place]!)) records.splice(place, 1)
      }
    }],
    [
      "a chunk that is longer than its edge",
      "plain",
      input(isInput("voice_chunk"), (chunk) => {
        chunk["handle"] = { ...(chunk["handle"] as object), length: 99_999_999 }
      })
    ],
    [
      "egress that passes on what it was not given",
      "plain",
      input(isInput("egress_dequeued"), (passed) => {
        passed["items"] = 1000
      })
    ],
    ["more sentences on an edge than it holds", "plain", (records) => {
      const [edge] = records.filter((record): record is Extract<TimelineRecord, { record: "event" }> =>
        record.record === "event" && record.event.edge_id?.includes("segment") === true
      )
      const place = records.indexOf(edge!)
      records.splice(place, 0, ...Array.from({ length: 300 }, () => structuredClone(edge!)))
    }]
  ],
  C18: [
    ["a call that goes on behind the fence", "plain", remove(isCommand("cancel_invocation"))],
    ["a call that is cancelled twice", "plain", twice(isCommand("cancel_invocation"))],
    ["a call that is started twice", "plain", twice(isCommand("start_invocation"))],
    ["an end that is not on record", "plain", remove(({ record }) => record === "invocation")],
    [
      "an outcome that is not the call's",
      "plain",
      invocation((facts) => void (facts.outcome_class = "blocked"), () => true)
    ],
    [
      "a start that is not the call's",
      "plain",
      command(isCommand("start_invocation"), (start) => {
        start["node_id"] = "another"
      })
    ],
    [
      "a second attempt that is not on record",
      "failing",
      invocation(
        (facts) => void (facts.retry_decision = "none"),
        ({ retry_decision }) => retry_decision === "retry"
      )
    ],
    ["attempts that were not made", "plain", invocation((facts) => void (facts.attempts = 3), () => true)],
    [
      "a cancel that is not on record",
      "plain",
      invocation(
        (facts) => void delete facts.cancel_sent_ms,
        ({ cancel_sent_ms }) => cancel_sent_ms !== undefined
      )
    ]
  ],
  C19: [
    ["a reply without speech that the plan does not allow", "plain", (records) => {
      const place = at(records, isSignal("turn_open"))
      const opened = structuredClone(records[place]!)
      if (opened.record !== "signal") return
      Object.assign(opened.signal, {
        signal: "degrade",
        emitted_by: "RK-13",
        reason: "planted",
        event_id: "evt_planted"
      })
      records.splice(place + 1, 0, opened)
    }],
    ["a node that is gone round and is not optional", "passedBy", (records) => {
      signal(isSignal("degrade", { node_id: "screen_reply" }), (told) => void (told.node_id = "tts"))(records)
    }],
    [
      "a provider that is not the plan's",
      "plain",
      command(isCommand("start_invocation", { modality: "llm" }), (start) => {
        start["provider_id"] = "sim/other"
      })
    ],
    ["a second attempt without a failure", "failing", (records) => {
      const retried = records[
        at(records, (record) => record.record === "invocation" && record.invocation.retry_decision === "retry")
      ]
      if (retried?.record !== "invocation") return
      const { idempotency_key } = retried.invocation
      const first = at(records, isCommand("start_invocation", { idempotency_key }))
      const second = at(records, isCommand("start_invocation", { idempotency_key }), first + 1)
      records.splice(records.findLastIndex((record, place) => place < second && isSignal("provider_error")(record)), 1)
    }],
    ["another provider that stands in untold", "switched", remove(isSignal("provider_switch"))],
    ["a third attempt", "failing", (records) => {
      const retried = records.find((record) =>
        record.record === "invocation" && record.invocation.retry_decision === "retry"
      )
      if (retried?.record !== "invocation") return
      const { idempotency_key } = retried.invocation
      const first = at(records, isCommand("start_invocation", { idempotency_key }))
      const second = at(records, isCommand("start_invocation", { idempotency_key }), first + 1)
      records.splice(second + 1, 0, structuredClone(records[second]!))
    }]
  ],
  C20: [
    ["a producer that is held untold", "full", remove(isSignal("flow_xoff"))],
    ["a producer that goes on untold", "full", (records) => {
      const resumed = at(records, isCommand("resume_invocation"))
      records.splice(records.findLastIndex((record, place) => place < resumed && isSignal("flow_xon")(record)), 1)
    }],
    ["a producer that goes on without credit", "credit", (records) => {
      const resumed = at(records, isCommand("resume_invocation"))
      records.splice(records.findLastIndex((record, place) => place < resumed && isSignal("credit_grant")(record)), 1)
    }],
    [
      "credit for more than an edge holds",
      "credit",
      signal(isSignal("credit_grant"), (grant) => {
        grant.amount = 100_000
      })
    ],
    ["a mark that is crossed twice", "full", twice(isSignal("watermark"))],
    ["a producer that goes on twice", "full", twice(isCommand("resume_invocation"))],
    ["a producer that is told to wait where credit alone counts", "hybrid", modeOfPlans("credit")],
    ["credit where none counts", "hybrid", modeOfPlans("signal")],
    ["a call that is held and is not at work", "full", (records) => {
      const place = at(records, isSignal("flow_xoff"))
      const told = structuredClone(records[place]!)
      if (told.record === "signal") delete (told.signal as Mutable<ControlSignal>).turn_id
      const pause = orders(() => ({ type: "pause_invocation", provider_invocation_id: "inv_planted" }))
      records.splice(place + 1, 0, told, pause(told, records))
    }],
    ["a lane whose mark is crossed twice", "pressed", twice(isSignal("watermark", { target_lane: "ControlLane" }))],
    [
      "credit of a lane that has none",
      "pressed",
      signal(isSignal("flow_xoff", { target_lane: "ControlLane" }), (told) => {
        told.signal = "credit_grant"
      })
    ],
    [
      "control that is lost",
      "lossy",
      signal(isSignal("drop_notice"), (notice) => {
        notice.target_lane = "ControlLane"
      })
    ]
  ],
  C21: [
    ["a sentence that begins to play twice", "plain", twice(isInput("playback_started"))],
    ["a pause without its barge_in", "plain", remove(isSignal("barge_in"))],
    ["a pause of what is paused", "plain", twice(isCommand("pause_output"))],
    ["a report that nobody made", "plain", remove(isInput("playback_completed"))],
    ["a sentence that ends and never began", "plain", (records) => {
      const done = records[at(records, isInput("playback_completed"))]
      if (done?.record !== "input" || done.input.type !== "playback_completed") return
      const { segment_id } = done.input
      const started = at(records, isInput("playback_started", { segment_id }))
      records.splice(started, isSignal("playback_started")(records[started + 1]!) ? 2 : 1)
    }]
  ],
  C22: [
    ["words that propose no turn", "plain", (records) => {
      signal(isSignal("turn_open_proposed"), (proposed) => void delete proposed.provider_invocation_id)(records)
    }],
    [
      "a turn of an utterance without words",
      "plain",
      input(isInput("transcript", { finality: "final" }), (said) => {
        said["handle"] = { ...(said["handle"] as object), length: 0 }
      })
    ],
    ["words that are answered twice", "plain", twice(isSignal("turn_open_proposed"))],
    ["an utterance that is lost and not told", "hungUp", remove(isSignal("reject", { reason: "transport_ended" }))],
    ["an utterance that goes on after its end", "plain", twice(isCommand("mark_utterance", { mark: "end" }))],
    ["an utterance that pauses twice in one place", "plain", twice(isCommand("mark_utterance", { mark: "pause" }))]
  ],
  C32: [
    ["an item that comes before the one before it is done", "screened", (records) => {
      const second = at(records, isCommand("push_item"), at(records, isCommand("push_item")) + 1)
      const again = structuredClone(records[second]!)
      if (again.record !== "command" || again.command.type !== "push_item") return
      Object.assign(again.command, { handle: { ...again.command.handle, id: "h_other" } })
      records.splice(second + 1, 0, again)
    }],
    ["an item over an edge that leads elsewhere", "screened", (records) => {
      command(isCommand("push_item", { payload_kind: "segment" }), (push) => {
        push["edge_id"] = "vad.voice_edge.turn"
      })(records)
    }],
    ["an item after no more come", "screened", (records) => {
      const end = at(records, isCommand("end_items"))
      const last = records.findLastIndex((record, place) => place < end && isCommand("push_item")(record))
      const [ended] = records.splice(end, 1)
      records.splice(last, 0, ended!)
    }],
    ["a payload that does not meet the condition of its edge", "routed", (records) => {
      const labelled = (record: TimelineRecord) =>
        record.record === "input" && record.input.type === "node_item" &&
        record.input.handle.facts?.label === "question"
      input(labelled, (item) => {
        const handle = item["handle"] as { facts: object }
        item["handle"] = { ...handle, facts: { ...handle.facts, label: "smalltalk" } }
      })(records)
    }],
    ["a line that is shown twice", "captioned", twice(isCommand("write_transcript"))],
    [
      "a line of somebody else",
      "captioned",
      command(isCommand("write_transcript", { role: "user" }), (line) => void (line["role"] = "assistant"))
    ],
    [
      "a merge of what did not come",
      "merged",
      event(isEvent("merged"), (merged) => {
        merged.merged_from_event_ids = ["evt_planted"]
      })
    ],
    ["a merge that comes out of order", "merged", (records) => {
      const first = records[at(records, isEvent("merged"))]
      const turn = first?.record === "event" ? first.event.turn_id : undefined
      const own = records.filter((record) =>
        isEvent("merged")(record) && record.record === "event" && record.event.turn_id === turn
      )
      const [a, b] = own
      if (a?.record !== "event" || b?.record !== "event") throw new Error("one merge only")
      const [one, other] = [a.event.merged_from_event_ids, b.event.merged_from_event_ids]
      Object.assign(a.event, { merged_from_event_ids: other })
      Object.assign(b.event, { merged_from_event_ids: one })
    }],
    ["a select that took another edge", "selected", (records) => {
      event(isEvent("selected:"), (chosen) => {
        chosen.edge_id = chosen.edge_id?.startsWith("others.") === true
          ? "sentences.segment.best"
          : "others.segment.best"
      })(records)
    }],
    ["a select that chooses twice", "selected", (records) => {
      const place = at(records, isEvent("selected:"))
      const again = structuredClone(records[place]!)
      if (again.record === "event") Object.assign(again.event, { event_id: "evt_planted" })
      records.splice(place + 1, 0, again)
    }],
    ["a fallback edge that nothing fell back on", "handed", (records) => {
      remove((record) =>
        record.record === "signal" && record.signal.signal === "fallback" && record.signal.edge_id !== undefined
      )(records)
    }],
    ["a fallback edge that the plan does not allow", "handed", (records) => {
      for (const record of records) {
        if (record.record === "plan") Object.assign(record.plan, { allowed_adaptive_actions: [] })
      }
    }]
  ],
  C33: [
    ["work ahead that is given up twice", "eager", (records) => {
      const place = at(records, isEvent("speculation_withdrawn"))
      const again = structuredClone(records[place]!)
      if (again.record === "event") Object.assign(again.event, { event_id: "evt_planted" })
      records.splice(place + 1, 0, again)
    }],
    [
      "work ahead that is used and was given up",
      "eager",
      event(isEvent("speculation_promoted"), (told) => void (told.reason = "speculation_withdrawn:planted"))
    ],
    ["work ahead that was asked something else", "eager", (records) => {
      const promoted = records[at(records, isEvent("speculation_promoted"))]
      const id = promoted?.record === "event" ? promoted.event.provider_invocation_id : ""
      command(isCommand("start_invocation", { provider_invocation_id: id }), (start) => {
        const lines = start["conversation"] as Array<{ parts: Array<Record<string, unknown>> }>
        for (const part of lines.at(-1)?.parts ?? []) part["handle_id"] = "h_other"
      })(records)
    }],
    ["work ahead of two turns", "eager", (records) => {
      const ahead = (record: TimelineRecord) =>
        isCommand("start_invocation", { modality: "llm" })(record) && turnOf(record) === ""
      const place = at(records, ahead)
      const other = structuredClone(records[place]!)
      if (other.record === "command") Object.assign(other.command, { provider_invocation_id: "inv_planted" })
      records.splice(place + 1, 0, other)
    }],
    ["work ahead that is heard before the turn", "eager", (records) => {
      const promoted = at(records, isEvent("speculation_promoted"))
      const open = records.findLastIndex((record, place) => place < promoted && isSignal("turn_open")(record))
      const voice = at(records, isCommand("start_invocation", { modality: "tts" }), promoted)
      const [spoken] = records.splice(voice, 1)
      records.splice(open, 0, spoken!)
    }]
  ],
  C34: [
    ["a gap that is not told", "grouped", remove(isSignal("discontinuity"))],
    [
      "a gap of another domain",
      "grouped",
      signal(isSignal("discontinuity"), (told) => void (told.sync_domain = "other"))
    ],
    ["a part of a lost group that goes on", "grouped", (records) => {
      const partly = (record: TimelineRecord) =>
        record.record === "signal" && record.signal.signal === "discontinuity" &&
        record.signal.reason?.startsWith("partly_delivered") === true &&
        record.signal.edge_id?.includes("voice") === true
      const gap = at(records, partly)
      const lost = records.findLastIndex((record, place) => place < gap && isSignal("drop_notice")(record))
      const [notice] = records.splice(lost, 1)
      const open = records.findLastIndex((record, place) => place < lost && isSignal("turn_open")(record))
      records.splice(open + 1, 0, notice!)
    }]
  ],
  C23: [
    [
      "a signal of another module",
      "plain",
      signal(isSignal("output_accepted"), (told) => {
        told.emitted_by = "RK-02"
      })
    ],
    ["an abort without a reason", "plain", signal(isSignal("abort"), (told) => void delete told.reason)],
    [
      "a signal that does not exist",
      "plain",
      signal(isSignal("output_accepted"), (told) => {
        Object.assign(told, { signal: "output_lost" })
      })
    ],
    [
      "a payload that moves along no edge",
      "plain",
      event(({ record }) => record === "event", (moved) => {
        moved.edge_id = "nowhere"
      })
    ],
    ["two events of one id", "plain", (records) => {
      const last = records[records.findLastIndex(isSignal("output_accepted"))]
      signal(isSignal("output_accepted"), (told) => {
        if (last?.record === "signal") told.event_id = last.signal.event_id
      })(records)
    }],
    [
      "an event of another session",
      "plain",
      event(({ record }) => record === "event", (moved) => {
        moved.session_id = "another"
      })
    ],
    [
      "a turn's event without an epoch",
      "plain",
      event(({ record }) => record === "event", (moved) => {
        delete moved.authority_epoch
      })
    ],
    [
      "an event without a cause",
      "plain",
      signal(isSignal("output_accepted"), (told) => void delete told.causal_parent_id)
    ]
  ],
  C24: [
    [
      "a turn that goes on beside a new intent until the step after",
      "typed",
      insertBefore(isSignal("cancel", { reason: "superseded" }), aStep)
    ],
    [
      "a turn that goes on beside an intent which got its place, until the step after",
      "reserved",
      insertBefore(isSignal("cancel", { reason: "superseded" }), aStep)
    ],
    ["a turn that goes on when the lease is lost, until the step after", "rotated", (records) => {
      const lost = at(records, isInput("lease", { status: "rotated" }))
      const fence = at(records, isCommand("fence_output"), lost)
      records.splice(fence, 0, aStep(records[fence]!))
    }],
    ["a pause of a turn that was heard out", "plain", (records) => {
      const turn = commits(records)
      const place = records.findLastIndex(isInput("playback_completed", { turn_id: turn }))
      const barge = at(records, isSignal("barge_in"))
      const told = structuredClone(records[barge]!)
      if (told.record === "signal") Object.assign(told.signal, { turn_id: turn })
      const pause = orders(() => ({ type: "pause_output", turn_id: turn }))(records[place]!, records)
      records.splice(place + 1, 0, pause, told)
    }],
    ["a cut of a turn that was heard out", "plain", (records) => {
      const turn = commits(records)
      const place = records.findLastIndex(isInput("playback_completed", { turn_id: turn }))
      const cut = structuredClone(records[at(records, isSignal("cancel", { scope: "turn" }))]!)
      if (cut.record === "signal") Object.assign(cut.signal, { turn_id: turn })
      records.splice(place + 1, 0, cut)
    }]
  ],
  C25: [
    ["a producer that stays held though its edge is free", "full", remove(isCommand("resume_invocation"))],
    ["a producer that goes on past the high mark", "full", (records) => {
      const high = at(records, isSignal("watermark", { reason: "high" }))
      records.splice(at(records, isCommand("pause_invocation"), high), 1)
    }],
    [
      "a producer that goes on a step after its credit",
      "credit",
      insertBefore(isCommand("resume_invocation"), aStep)
    ]
  ],
  C26: [
    ["a failure that nothing comes of", "failing", (records) => {
      const failed = at(records, isSignal("provider_error", { reason: "overload" }))
      records.splice(at(records, isArmedRetry, failed), 1)
    }],
    ["a failure that is answered a step too late", "failing", (records) => {
      const failed = at(records, isSignal("provider_error", { reason: "overload" }))
      const again = at(records, isArmedRetry, failed)
      records.splice(again, 0, aStep(records[again]!))
    }],
    ["a call that takes too long and is answered a step too late", "timedOut", (records) => {
      const retry = at(records, isArmedRetry)
      const cut = records.findLastIndex((record, place) =>
        place < retry && isCommand("cancel_invocation", { reason: "timeout" })(record)
      )
      const again = at(records, isArmedRetry, cut)
      records.splice(again, 0, aStep(records[again]!))
    }],
    ["a sentence that is begun again though it was heard", "plain", (records) => {
      const sent = at(records, isCommand("enqueue_output"))
      const record = records[sent]
      const segment_id = record?.record === "command" && record.command.type === "enqueue_output"
        ? record.command.segment_id
        : ""
      const again = structuredClone(records[at(records, isCommand("start_invocation", { segment_id }))]!)
      if (again.record === "command") Object.assign(again.command, { provider_invocation_id: "inv_planted" })
      records.splice(sent + 1, 0, again)
    }],
    ["a second attempt of what has given text", "failing", (records) => {
      const failed = at(
        records,
        (record) =>
          record.record === "invocation" && record.invocation.retry_decision === "retry" &&
          record.invocation.modality === "llm" && record.invocation.cancel_sent_ms === undefined
      )
      const facts = records[failed]
      if (facts?.record !== "invocation") return
      const id = facts.invocation.provider_invocation_id
      const ended = at(records, isInput("invocation_ended", { provider_invocation_id: id }))
      const text = structuredClone(records[at(records, isInput("text_delta"))]!)
      if (text.record !== "input" || text.input.type !== "text_delta") return
      const { runtime_timestamp_ms } = records[ended] as typeof text
      const input = { ...text.input, provider_invocation_id: id }
      records.splice(ended, 0, { ...text, runtime_timestamp_ms, input })
      Object.assign(facts.invocation, { first_result_ms: runtime_timestamp_ms })
    }]
  ],
  C27: [
    ["a cut by a sound that was too short", "cut", (records) => {
      let started: TimelineRecord | undefined
      let ended: TimelineRecord | undefined
      for (const record of records) {
        if (isInput("voice_activity", { edge: "speech_started" })(record)) started = record
        if (record.record === "input") ended = record
        if (!isSignal("cancel", { reason: "barge_in" })(record)) continue
        if (started?.record !== "input" || ended?.record !== "input") continue
        if (started.input.type !== "voice_activity" || ended.input.type !== "voice_activity") continue
        Object.assign(started.input, { sample_index: ended.input.sample_index + 160 })
        return
      }
    }],
    ["a cut by speech that nobody heard", "typed", (records) => {
      signal(isSignal("cancel", { reason: "superseded" }), (cut) => void (cut.reason = "barge_in"))(records)
    }],
    ["a cut in a step of its own", "cut", insertBefore(isSignal("cancel", { reason: "barge_in" }), aStep)]
  ],
  C28: [
    ["a word that was not heard", "plain", said((part) => part.chars + 1)],
    ["a reply that is forgotten", "plain", said(() => 0)],
    ["a sentence that is remembered longer than it is", "plain", said((part) => part.chars * 100)],
    ["a voice that had spoken more by then", "marked", (records) => {
      for (const record of records) {
        if (record.record !== "input" || record.input.type !== "voice_chunk") continue
        const { facts } = record.input.handle
        if (facts?.spoken_chars !== undefined) Object.assign(facts, { spoken_chars: facts.spoken_chars + 9 })
      }
    }]
  ],
  C29: [
    ["a late text that is asked again", "late", late("late_remapped", "late_dropped")],
    ["a late text that is told another way", "late", late("late_diagnostic", "late_dropped")],
    ["a late text of which something unheard of becomes", "late", late("late_forgotten")]
  ],
  C30: [
    [
      "a renewal of an epoch that never was",
      "rotated",
      input(isInput("lease", { status: "renewed" }), (lease) => {
        lease["authority_epoch"] = 9
      })
    ],
    ["a rotation to the same epoch", "plain", (records) => {
      const place = at(records, isInput("lease", { status: "issued" }))
      const again = structuredClone(records[place]!)
      if (again.record === "input") Object.assign(again.input, { status: "rotated" })
      records.splice(records.findIndex((record, index) => index > place && beginsStep(record)), 0, again)
    }],
    [
      "a rotation that goes back",
      "rotated",
      input(isInput("lease", { status: "rotated" }), (lease) => {
        lease["authority_epoch"] = 1
      })
    ]
  ],
  C31: [
    [
      "a prediction that nobody wants",
      "plain",
      insertAfter(
        isSignal("turn_open"),
        orders(() => ({
          type: "predict_turn",
          provider_invocation_id: "inv_1",
          pause_id: 1,
          timeout_ms: 100,
          conversation: []
        }))
      )
    ],
    ["an endpoint that is out of its bounds", "plain", (records) => {
      const place = at(records, isSignal("turn_open_proposed"))
      const like = structuredClone(records[at(records, ({ record }) => record === "event")]!)
      const proposed = records[place]
      if (like.record !== "event" || proposed?.record !== "signal") return
      const { runtime_timestamp_ms, wall_clock_timestamp_ms } = proposed.signal
      const { edge_id: _, node_id: __, turn_id: ___, media_time: ____, ...rest } = like.event
      records.splice(place, 0, {
        record: "event",
        event: {
          ...rest,
          event_id: "evt_planted",
          event_scope: "session",
          lane: "TelemetryLane",
          payload_class: "metadata",
          reason: "endpoint_likely",
          amount: 99_999,
          runtime_timestamp_ms,
          wall_clock_timestamp_ms
        }
      })
    }],
    [
      "a memory that is less than what was heard for certain",
      "plain",
      command(isCommand("start_invocation", { modality: "llm" }), (start) => {
        const [line] = start["conversation"] as Array<{ parts: Array<Record<string, number>> }>
        for (const part of line?.parts ?? []) part["chars_min"] = (part["chars"] ?? 0) + 1
      })
    ],
    ["words that are passed over and say enough", "taking", (records) => {
      const told = records[at(records, isEvent("passed_over: backchannel"))]
      const id = told?.record === "event" ? told.event.provider_invocation_id : undefined
      for (const record of records) {
        if (record.record !== "input" || record.input.type !== "transcript") continue
        if (record.input.provider_invocation_id !== id) continue
        Object.assign(record.input.handle, { facts: { words: 9, complete: true, backchannel: false } })
      }
    }],
    [
      "an endpoint that comes too late",
      "taking",
      event(isEvent("endpoint_learned"), (told) => void (told.amount = 2001))
    ],
    [
      "an endpoint that comes too early",
      "taking",
      event(isEvent("endpoint_learned"), (told) => void (told.amount = 299))
    ],
    [
      "what was heard outside of its bounds",
      "taking",
      command(isBounded, (start) => {
        for (const { parts } of start["conversation"] as ReadonlyArray<{ parts: Array<Record<string, number>> }>) {
          for (const part of parts) if (part["chars_max"] !== undefined) part["chars"] = part["chars_max"] + 1
        }
      })
    ],
    ["an idle caller who has just spoken", "taking", (records) => {
      const place = at(records, isEvent("user_idle"))
      const step = records.findLastIndex((record, index) => index < place && record.record === "input")
      const record = records[step]
      if (record?.record !== "input") throw new Error("no step")
      records.splice(step, 0, {
        ...record,
        lane: "ControlLane",
        input: { type: "typed_text", handle: { id: "h_0", payload_class: "text_raw", length: 3 } }
      })
    }]
  ],
  C35: [
    ["a select that would wait for longer than its graph says", "preferred", (records) => {
      // What it prefers comes in time, so that nothing else tells.
      const disarmed = at(records, isDisarmedSelect)
      const arm = records.findLast((record, place) => place < disarmed && isArmedSelect(record))
      if (arm?.record !== "command" || arm.command.type !== "arm_timer") throw new Error("no select waits")
      Object.assign(arm.command, { due_ms: arm.command.due_ms + 5000 })
    }],
    ["a select that waits for ever", "waited", remove(isArmedSelect)],
    [
      "work for an edge that was not selected",
      "waited",
      remove(isCommand("cancel_invocation", { reason: "not_selected" }))
    ],
    ["an output that waits for an onlooker", "watched", (records) => {
      const start = records[at(records, isCommand("start_invocation", { node_id: "watch" }))]
      if (start?.record !== "command" || start.command.type !== "start_invocation") return
      const { provider_invocation_id } = start.command
      endsOutputIn(records, () => ({ type: "item_done", provider_invocation_id }))
    }]
  ],
  C36: [
    ["a level that goes down untold", "behind", remove(isDowngrade)],
    ["a downgrade that is not carried out", "behind", remove(isLimit("L1"))],
    ["two steps at once", "behind", (records) => {
      signal(isDowngrade, (own) => void (own.reason = "export_lag:L2_to_L0"))(records)
      command(isLimit("L1"), (own) => void (own["level"] = "L0"))(records)
      input(isInput("recording_pressure"), (own) => void (own["level"] = "L0"))(records)
    }],
    [
      "another trigger than the recorder's",
      "behind",
      signal(isDowngrade, (own) => {
        own.reason = "append_queue_fill:L2_to_L1"
      })
    ],
    [
      "a downgrade without a trigger",
      "behind",
      input(isInput("recording_pressure"), (own) => {
        own["type"] = "audio_ended"
      })
    ],
    [
      "a downgrade for a pressure that has gone",
      "behind",
      input(isInput("recording_pressure"), (own) => {
        own["reason"] = "eased"
      })
    ],
    ["a level that rises within a turn", "behind", (records) => {
      const [limit] = records.splice(at(records, isLimit("L2")), 1)
      const place = at(records, isInput("recording_pressure", { reason: "eased" }))
      if (limit !== undefined) records.splice(place + 1, 0, { ...limit, ...stampOf(records[place]) } as TimelineRecord)
    }],
    ["a level that does not rise where it may", "behind", remove(isLimit("L2"))],
    ["a recorder that goes down two steps", "behind", (records) => {
      const first = at(records, isInput("recording_pressure", { level: "L1" }))
      const record = records[first]
      if (record?.record === "input" && record.input.type === "recording_pressure") {
        records[first] = { ...record, input: { ...record.input, level: "L0" } }
      }
    }],
    ["a level that rises though the recorder is behind", "behind", (records) => {
      for (const record of records) {
        if (isInput("recording_pressure", { reason: "eased" })(record)) {
          input((one) => one === record, (own) => void (own["type"] = "audio_ended"))(records)
        }
      }
    }],
    ["the caller's audio behind a downgrade", "behind", (records) => {
      const audio = records[at(records, ({ record }) => record === "caller_audio")]
      if (audio !== undefined) records.splice(at(records, isLimit("L1")) + 1, 0, structuredClone(audio))
    }],
    ["text as it was said behind a downgrade", "behind", (records) => {
      const place = at(records, (one) => one.record === "payload" && one.action === "mask")
      const record = records[place]
      if (record?.record === "payload") records[place] = { ...record, action: "allow" }
    }],
    ["masked text at L0", "behind", (records) => {
      const text = records[at(records, (one) => one.record === "payload" && one.action === "mask")]
      if (text !== undefined) records.splice(at(records, isLimit("L0")) + 1, 0, structuredClone(text))
    }],
    ["evidence of a level that did not hold", "behind", (records) => {
      const place = at(records, (one) => one.record === "evidence" && one.evidence.recording_level !== "L2")
      const record = records[place]
      if (record?.record === "evidence") {
        records[place] = { record: "evidence", evidence: { ...record.evidence, recording_level: "L2" } }
      }
    }],
    ["evidence that says no level", "behind", evidence((own) => void delete own.recording_level)],
    ["an end that says a higher level", "behind", manifest((own) => void (own["level"] = "L2"))],
    ["an end that leaves out what was lowered", "behind", manifest((own) => void delete own["lowered_turns"])]
  ],
  C37: [
    ["a vendor that asked for more than was waited", "asked", (records) => {
      const failed = waitedFor(records)
      if (failed.type === "invocation_ended") {
        Object.assign(failed, { retry_after_ms: (failed.retry_after_ms ?? 0) + 500 })
      }
    }],
    ["a wait that its vendor did not ask for", "asked", (records) => {
      const failed = waitedFor(records)
      if (failed.type === "invocation_ended") Object.assign(failed, { retry_after_ms: 0 })
    }],
    ["a wait for a call that cannot help", "failing", (records) => {
      const failed = waitedFor(records)
      const id = "provider_invocation_id" in failed ? failed.provider_invocation_id : ""
      Object.assign(failed, { retryable: false })
      invocation(
        (facts) => void (facts.retryable = false),
        ({ provider_invocation_id }) => provider_invocation_id === id
      )(records)
    }],
    ["a wait that the path's budget has no room for", "failing", (records) => {
      const armed = records[at(records, isArmedRetry)]
      const dueMs = armed?.record === "command" && armed.command.type === "arm_timer" ? armed.command.due_ms : 0
      const path = records.findLastIndex((record, place) =>
        place < at(records, isArmedRetry) && record.record === "command" && record.command.type === "arm_timer" &&
        record.command.timer.startsWith("budget.path:")
      )
      const envelope = records[path]
      if (envelope?.record === "command") Object.assign(envelope.command, { due_ms: dueMs + 199 })
    }],
    ["another attempt without a wait", "failing", (records) => {
      const fired = at(records, firesRetry)
      const again = at(records, isCommand("start_invocation"), fired)
      records.splice(again, 0, aStep(records[again]!))
    }],
    ["a wait that ends, and nothing comes of it", "failing", (records) => {
      const fired = at(records, firesRetry)
      records.splice(at(records, isCommand("start_invocation"), fired), 1)
    }],
    ["a wait that goes on behind the end of its turn", "givenUp", remove(isRetry("disarm_timer"))]
  ]
}
const firesRetry = (record: TimelineRecord): boolean =>
  record.record === "input" && record.input.type === "timer" && record.input.timer.startsWith("retry:")
/** The end of the call that the first wait is for, where it was said by its port. */
const waitedFor = (records: Records): SessionInput => {
  const armed = records.findIndex((record, place) => {
    if (!isArmedRetry(record)) return false
    const step = records.findLastIndex((before, index) => index < place && beginsStep(before))
    return isInput("invocation_ended")(records[step]!)
  })
  const step = records[records.findLastIndex((before, index) => index < armed && beginsStep(before))]
  if (step?.record !== "input") throw new Error("no wait begins with the end of a call")
  return step.input
}
const stampOf = (record: TimelineRecord | undefined): object =>
  record !== undefined && "runtime_timestamp_ms" in record ? { runtime_timestamp_ms: record.runtime_timestamp_ms } : {}

/** The first step in which output ends, as a step of another input. */
const endsOutputIn = (records: Records, inputOf: () => SessionInput): void => {
  const place = at(records, isCommand("end_output"))
  const step = records.findLastIndex((record, index) => index < place && beginsStep(record))
  const record = records[step]
  if (record?.record !== "input") throw new Error("the output ends in no step of an input")
  records[step] = { ...record, input: inputOf() }
}

/** The rules that a planted violation turns red. */
const rulesOf = ([what, name, change]: Plant, id: string): ReadonlySet<string> => {
  const { header, records } = callOf(name)
  const copy = structuredClone(records) as Records
  change(copy)
  // What is about the numbers themselves keeps its own.
  if (id !== "C02" && !what.includes("sequence")) renumber(copy)
  return new Set(checkTimeline(header, copy).map(({ rule }) => rule))
}
const all = checkers.flatMap(({ id }) => (planted[id] ?? []).map((plant) => [id, plant[0], plant] as const))

/** Rules whose every violation is one of another rule too: a turn that does not end once has moved otherwise (C11). */
const shared = ["C01"]

describe("checkers", () => {
  it.each(Object.keys(calls) as ReadonlyArray<keyof typeof calls>)("find nothing in a call that is %s", (name) => {
    const { header, records } = callOf(name)
    assert.deepStrictEqual(checkTimeline(header, records), [])
  }, 60_000)

  it("have ids of their own, in order, and a sentence each", () => {
    assert.deepStrictEqual(
      checkers.map(({ id }) => id),
      checkers.map((_, index) => `C${String(index + 1).padStart(2, "0")}`)
    )
    for (const { sentence } of checkers) assert.match(sentence, /^[A-Z].*\.$/u)
  })

  it.each(all)("%s finds %s", (id, _what, plant) => {
    assert.include(rulesOf(plant, id), id)
  }, 60_000)

  it("each have planted violations that turn them red, and one that no other rule finds", () => {
    const never = checkers.filter(({ id }) => {
      assert.isAtLeast(planted[id]?.length ?? 0, 3, id)
      return !(planted[id] ?? []).some((plant) => rulesOf(plant, id).size === 1)
    })
    assert.deepStrictEqual(never.map(({ id }) => id), shared)
  }, 60_000)
})
