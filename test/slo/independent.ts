// Every number of `rspp slo report`, computed a second time from `rspp timeline export --format jsonl`, by docs/slo.md and
// CONTRACT.md section 9. It shares no code with the packages and knows none of their types, so that an error in theirs shows.
//
//   node test/slo/independent.ts call.jsonl…        prints the numbers as JSON; exit 1 when a gate fails
import { readFileSync } from "node:fs"

type Json = Readonly<Record<string, unknown>>

/** A timeline: the name that it is to have in the result, and its lines. */
export interface Lines {
  readonly file: string
  readonly lines: ReadonlyArray<string>
}

const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>(
    (one, key) => typeof one === "object" && one !== null ? Reflect.get(one, key) : undefined,
    value
  )
const number = (value: unknown, path: string): number | undefined => {
  const found = at(value, path)
  return typeof found === "number" ? found : undefined
}
const text = (value: unknown, path: string): string | undefined => {
  const found = at(value, path)
  return typeof found === "string" ? found : undefined
}
const list = (value: unknown, path: string): ReadonlyArray<unknown> => {
  const found = at(value, path)
  return Array.isArray(found) ? found : []
}

/** One moment of a recording: what happened, and its place among all. */
interface Moment {
  readonly place: number
  readonly ms: number
  readonly about: unknown
}

const stageNames = [
  "endpointing",
  "open",
  "model_first_token",
  "first_segment",
  "voice_first_chunk",
  "egress",
  "playback"
]
type Parts = Readonly<Record<"ms" | "kernel_ms" | "provider_ms" | "waiting_ms" | "transport_ms", number>>

interface Turn {
  readonly file: string
  readonly turn_id: string
  readonly happy: boolean
  readonly turn_open_ms: number | undefined
  readonly first_output_ms: number | undefined
  readonly cancel_fence_ms: number | undefined
  readonly unfenced: boolean
  readonly response_ms: number | undefined
  /** Undefined: not judged. */
  readonly complete: boolean | undefined
  readonly ended: boolean | undefined
  readonly stages: Readonly<Record<string, Parts>>
}

interface Counted {
  readonly realtime: boolean
  readonly turns: ReadonlyArray<Turn>
  readonly refused: number
  readonly outputs: number
  readonly stale: number
}

const bad = new Set([
  "provider_error",
  "provider_switch",
  "fallback",
  "degrade",
  "budget_exhausted",
  "shed",
  "discontinuity",
  "reconnecting",
  "disconnected",
  "stall",
  "stale_epoch_reject",
  "deauthorized_drain"
])

/** CONTRACT section 7: what baseline evidence has, at every level. */
const demanded = [
  "or02_evidence_schema_version",
  "session_id",
  "turn_id",
  "pipeline_version",
  "plan_id",
  "plan_hash",
  "execution_profile",
  "epoch_at_open",
  "epoch_at_terminal",
  "admission.outcome_kind",
  "snapshot_provenance.routing_view_snapshot",
  "snapshot_provenance.admission_policy_snapshot",
  "snapshot_provenance.abi_compatibility_snapshot",
  "snapshot_provenance.version_resolution_snapshot",
  "snapshot_provenance.policy_resolution_snapshot",
  "snapshot_provenance.provider_health_snapshot",
  "determinism.seed",
  "determinism.merge_rule_id",
  "determinism.merge_rule_version",
  "determinism.ordering_markers",
  "determinism.nondeterministic_input_refs",
  "times.proposed_ms",
  "times.open_ms",
  "times.terminal_ms",
  "times.close_ms",
  "terminal.kind",
  "invocations",
  "payload_decisions",
  "migration_markers"
]

const readOne = ({ file, lines }: Lines): Counted => {
  const records = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Json)
  const header = records[0]
  const inputs: Array<Moment> = []
  const signals: Array<Moment> = []
  const commands: Array<Moment> = []
  const events: Array<Moment> = []
  const ends: Array<Moment> = []
  const moves: Array<Moment> = []
  records.forEach((record, place) => {
    const ms = number(record, "runtime_timestamp_ms") ?? 0
    const kind = record["record"]
    if (kind === "input") inputs.push({ place, ms, about: record["input"] })
    if (kind === "command") commands.push({ place, ms, about: record["command"] })
    if (kind === "invocation") ends.push({ place, ms, about: record["invocation"] })
    if (kind === "transition") moves.push({ place, ms, about: record })
    if (kind === "signal") {
      signals.push({ place, ms: number(record, "signal.runtime_timestamp_ms") ?? 0, about: record["signal"] })
    }
    if (kind === "event") {
      events.push({ place, ms: number(record, "event.runtime_timestamp_ms") ?? 0, about: record["event"] })
    }
  })
  const first = (moments: ReadonlyArray<Moment>, matches: (about: unknown, moment: Moment) => boolean) =>
    moments.find((moment) => matches(moment.about, moment))
  const last = (moments: ReadonlyArray<Moment>, before: number, matches: (about: unknown, moment: Moment) => boolean) =>
    moments.findLast((moment) => moment.place < before && matches(moment.about, moment))
  const ofTurn = (turn: string, ...names: ReadonlyArray<string>) => (about: unknown) =>
    text(about, "turn_id") === turn && names.includes(text(about, "signal") ?? text(about, "type") ?? "")

  /** When a sample of the caller was spoken, by the runs of frames before a place. */
  const spokenAt = (sample: number, before: number): number | undefined => {
    for (let place = before - 1; place > 0; place--) {
      const run = records[place]
      const start = number(run, "first_sample_index") ?? 0
      if (run?.["record"] !== "audio" || start > sample) continue
      const frame = Math.floor((sample - start) / 320)
      let arrived = number(run, "first_timestamp_ms") ?? 0
      for (let n = 1; n <= frame; n++) arrived += 20 + Number(list(run, "jitter")[n - 1] ?? 0)
      return arrived - (start + (frame + 1) * 320 - sample) / 16
    }
    return undefined
  }
  const speechEndAt = (edge: Moment | undefined): number | undefined => {
    if (edge === undefined) return undefined
    const spoken = spokenAt(number(edge.about, "sample_index") ?? 0, edge.place)
    return spoken === undefined ? undefined : Math.min(edge.ms, spoken)
  }
  const isEdge = (about: unknown) => text(about, "type") === "voice_activity"
  const isSpeechEnd = (about: unknown) => isEdge(about) && text(about, "edge") === "speech_ended"

  /** The end of the speech that a recogniser was given, as far as known before a place. */
  const heardUntil = (recogniser: string, before: number): number | undefined => {
    const mark = last(
      commands,
      before,
      (about) =>
        text(about, "type") === "mark_utterance" && text(about, "provider_invocation_id") === recogniser &&
        text(about, "mark") !== "end"
    )
    if (mark !== undefined && text(mark.about, "mark") === "pause") {
      const cause = last(inputs, mark.place, () => true)
      const type = text(cause?.about, "type") ?? ""
      const byItself = type === "push_to_talk" || type === "audio_ended" ||
        (type === "timer" && text(cause?.about, "timer") === "utterance_limit")
      if (byItself) return mark.ms
      const known = speechEndAt(last(inputs, mark.place, isSpeechEnd))
      if (known !== undefined) return known
    }
    return speechEndAt(last(inputs, before, isSpeechEnd))
  }

  // Which proposal became which turn: refusals take theirs away, so that what is left is that of the next turn.
  const proposals = signals.filter(({ about }) => text(about, "signal") === "turn_open_proposed")
  const taken = new Set<Moment>()
  const proposalOf = new Map<string, Moment>()
  for (const move of moves) {
    const turn = text(move.about, "turn_id") ?? ""
    const trigger = text(move.about, "transition.trigger") ?? ""
    const free = proposals.filter((one) => one.place < move.place && !taken.has(one))
    if (trigger === "turn_open_proposed") {
      const newest = free.at(-1)
      if (newest !== undefined) proposalOf.set(turn, newest)
    } else if (trigger === "turn_open") free.forEach((one) => taken.add(one))
    else if (text(move.about, "transition.to_state") === "Idle") {
      const reason = text(last(signals, move.place, ofTurn(turn, trigger))?.about, "reason")
      const waited = trigger === "reject" && (reason === "superseded" || reason === "session_ended")
      const its = waited ? free[0] : free.at(-1)
      if (its !== undefined) taken.add(its)
    }
  }

  // A recording that does not end with its session: nobody knows what became of what was open.
  const end = records.at(-1)
  const cutOff = end?.["record"] !== "end" || end["reason"] === "repaired"
  const names = new Set<string>()
  for (const { about } of signals) {
    const turn = text(about, "turn_id")
    if (turn !== undefined && ["turn_open", "commit", "abort", "close"].includes(text(about, "signal") ?? "")) {
      names.add(turn)
    }
  }

  const turns = [...names].map((turn): Turn => {
    const opens = signals.filter(({ about }) => ofTurn(turn, "turn_open")(about))
    const terminals = signals.filter(({ about }) => ofTurn(turn, "commit", "abort")(about))
    const closes = signals.filter(({ about }) => ofTurn(turn, "close")(about))
    const open = opens[0]
    const proposal = proposalOf.get(turn)
    const close = closes[0]
    const unknown = cutOff && open !== undefined && close === undefined
    const order = [...opens, ...terminals, ...closes].toSorted((a, b) => a.place - b.place).map(({ about }) => {
      const name = text(about, "signal") ?? ""
      return name === "turn_open" || name === "close" ? name : "terminal"
    })
    const ended = unknown ? undefined : order.join(" ") === "turn_open terminal close"

    // calls
    const started = commands.filter(({ about }) => text(about, "type") === "start_invocation")
    const promoted = new Set(
      events.filter(({ about }) => text(about, "turn_id") === turn && text(about, "reason") === "speculation_promoted")
        .map(({ about }) => text(about, "provider_invocation_id"))
    )
    const calls = started.filter(({ about }) =>
      text(about, "turn_id") === turn || promoted.has(text(about, "provider_invocation_id"))
    ).map(({ about, ms }) => {
      const id = text(about, "provider_invocation_id") ?? ""
      const over = first(ends, (facts) => text(facts, "provider_invocation_id") === id)
      return {
        id,
        modality: text(about, "modality") ?? "",
        from: ms,
        to: over?.ms,
        outcome: text(over?.about, "outcome_class")
      }
    })
    const ids = new Set(calls.map(({ id }) => id))

    const output = first(events, (about) =>
      text(about, "turn_id") === turn && text(about, "lane") === "DataLane" &&
      text(about, "payload_class") === "audio_raw" && at(about, "late_after_cancel") !== true)
    const cancel = first(signals, (about, { place }) => {
      const scope = text(about, "scope")
      if (text(about, "signal") !== "cancel" || scope === "node" || scope === "provider_invocation") return false
      const meant = text(about, "turn_id")
      return meant === undefined
        ? open !== undefined && open.place < place && (close === undefined || close.place > place)
        : meant === turn
    })
    const fence = first(inputs, ofTurn(turn, "egress_fenced"))
    const cut = Math.min(...[cancel, fence, terminals[0]].map((moment) => moment?.place ?? Infinity))
    const came = (...types: ReadonlyArray<string>) =>
      first(inputs, (about, { place }) =>
        place < cut && ids.has(text(about, "provider_invocation_id") ?? "") &&
        types.includes(
          text(about, "type") === "node_item" ? `item:${text(about, "payload_kind")}` : text(about, "type") ?? ""
        ))
    const playback = first(inputs, ofTurn(turn, "playback_started"))

    // the path
    const recogniser = text(proposal?.about, "provider_invocation_id")
    const speechEnd = recogniser === undefined || proposal === undefined
      ? undefined
      : heardUntil(recogniser, proposal.place)
    const spans: Array<readonly [string, number | undefined]> = [
      ["endpointing", speechEnd === undefined ? undefined : proposal?.ms],
      ["open", open?.ms],
      ["model_first_token", came("text_delta", "item:text")?.ms],
      ["first_segment", came("segment", "item:segment")?.ms],
      ["voice_first_chunk", came("voice_chunk", "item:voice")?.ms],
      ["egress", output?.ms],
      ["playback", playback?.ms]
    ]
    const stages: Record<string, Parts> = {}
    let from = speechEnd ?? proposal?.ms ?? 0
    for (const [name, reached] of open === undefined ? [] : spans) {
      if (reached === undefined) continue
      const to = Math.max(from, reached)
      const ms = Math.round(to - from)
      let [provider, waiting, transport] = [0, 0, 0]
      if (name === "endpointing" && proposal !== undefined) {
        const edge = last(inputs, proposal.place, isEdge)?.place ?? 0
        const since = (moments: ReadonlyArray<Moment>, type: string) =>
          last(
            moments,
            proposal.place,
            (about, { place }) => place > edge && text(about, "type") === type && text(about, "timer") === "endpoint"
          )
        const fired = Math.min(Math.max(since(inputs, "timer")?.ms ?? from, from), to)
        const due = number(since(commands, "arm_timer")?.about, "due_ms") ?? fired
        const final = last(
          inputs,
          proposal.place,
          (about) => text(about, "type") === "transcript" && text(about, "finality") === "final"
        )
        waiting = Math.min(ms, Math.round(Math.max(0, Math.min(due, fired) - from)))
        provider = Math.min(ms - waiting, Math.round(Math.max(0, Math.min(final?.ms ?? fired, to) - fired)))
      }
      // Millisecond by millisecond: who was at work?
      const at_work = { model_first_token: "llm", first_segment: "llm", voice_first_chunk: "tts" }[name]
      const own = calls.filter(({ modality }) => modality === at_work || modality === "external")
      const holds = heldBack(turn, playback?.place ?? Infinity)
      for (let tick = from; tick < to; tick++) {
        if (at_work !== undefined) {
          const runs = own.some((call) => call.from <= tick && tick < (call.to ?? Infinity))
          const waits = own.some((call, n) => {
            const failed = call.outcome !== undefined && call.outcome !== "success" && call.outcome !== "cancelled"
            const next = own.slice(n + 1).find((later) => later.from >= (call.to ?? Infinity))
            return failed && next !== undefined && (call.to ?? Infinity) <= tick && tick < next.from
          })
          if (runs) provider++
          else if (waits) waiting++
        } else if (name === "egress" || name === "playback") {
          if (holds.some(([a, b]) => a <= tick && tick < b)) waiting++
          else if (name === "playback") transport++
        }
      }
      stages[name] = {
        ms,
        kernel_ms: ms - provider - waiting - transport,
        provider_ms: provider,
        waiting_ms: waiting,
        transport_ms: transport
      }
      from = to
    }

    // the happy path
    const limit = Math.min(output?.place ?? Infinity, close?.place ?? Infinity)
    const trouble = open === undefined || signals.some(({ about, place }) => {
      if (place <= open.place || place >= limit) return false
      const of = text(about, "turn_id")
      const name = text(about, "signal") ?? ""
      if (of !== undefined && of !== turn) return false
      return bad.has(name) || (name === "abort" && text(about, "reason") !== "cancelled")
    }) || calls.some(({ id, modality, outcome }) => {
      const place = first(ends, (facts) => text(facts, "provider_invocation_id") === id)?.place ?? Infinity
      return modality !== "stt" && place > open.place && place < limit && outcome !== "success" &&
        outcome !== "cancelled"
    })

    const between = (a: number | undefined, b: number | undefined) =>
      a === undefined || b === undefined ? undefined : Math.max(0, Math.round(b - a))
    return {
      file,
      turn_id: turn,
      happy: !trouble,
      turn_open_ms: between(proposal?.ms, open?.ms),
      first_output_ms: between(open?.ms, output?.ms),
      cancel_fence_ms: between(cancel?.ms, fence?.ms),
      unfenced: !unknown && cancel !== undefined && fence === undefined,
      response_ms: speechEnd === undefined || playback === undefined ? undefined : Math.round(playback.ms - speechEnd),
      complete: unknown || open === undefined
        ? undefined
        : isComplete(turn, open, terminals[0], close, output, proposal, cancel, fence),
      ended,
      stages
    }
  })

  /** From the pause of a turn's output to its going on, before its playback has started. */
  function heldBack(turn: string, playback: number): ReadonlyArray<readonly [number, number]> {
    const found: Array<readonly [number, number]> = []
    let since: number | undefined
    for (const { about, ms, place } of commands) {
      if (text(about, "turn_id") !== turn) continue
      if (text(about, "type") === "pause_output") since ??= ms
      if (text(about, "type") !== "resume_output" || since === undefined) continue
      if (place < playback) found.push([since, ms])
      since = undefined
    }
    return found
  }

  function isComplete(
    turn: string,
    open: Moment,
    terminal: Moment | undefined,
    close: Moment | undefined,
    output: Moment | undefined,
    proposal: Moment | undefined,
    cancel: Moment | undefined,
    fence: Moment | undefined
  ): boolean {
    const all = records.filter((record) => text(record, "evidence.turn_id") === turn).map((record) =>
      record["evidence"]
    )
    const evidence = all[0]
    if (evidence === undefined || all.length > 1) return false
    if (demanded.some((path) => at(evidence, path) === undefined)) return false
    if (text(evidence, "terminal.kind") === "abort" && text(evidence, "terminal.reason") === undefined) return false
    const supplements = records.filter((record) => text(record, "supplement.turn_id") === turn).map((record) =>
      record["supplement"]
    )
    // Each fact is that of the record it stands for.
    const same: ReadonlyArray<readonly [unknown, unknown]> = [
      [at(evidence, "times.proposed_ms"), proposal?.ms],
      [at(evidence, "times.open_ms"), open.ms],
      [at(evidence, "times.first_output_ms"), output?.ms],
      [at(evidence, "times.terminal_ms"), terminal?.ms],
      [at(evidence, "times.close_ms"), close?.ms],
      [at(evidence, "terminal.kind"), text(terminal?.about, "signal")],
      [at(evidence, "terminal.reason"), text(terminal?.about, "reason")],
      [at(evidence, "epoch_at_open"), number(open.about, "authority_epoch")],
      [at(evidence, "epoch_at_terminal"), number(terminal?.about, "authority_epoch")]
    ]
    if (same.some(([said, recorded]) => said !== recorded)) return false
    const sealed = first(commands, ofTurn(turn, "seal_supplement"))?.place ?? Infinity
    const told = new Set(
      [evidence, ...supplements].flatMap((one) =>
        list(one, "invocations").map((facts) => text(facts, "provider_invocation_id"))
      )
    )
    const begun = commands.filter(({ about }) =>
      text(about, "type") === "start_invocation" && text(about, "turn_id") === turn
    )
    const missing = begun.some(({ about }) => {
      const id = text(about, "provider_invocation_id")
      const over = first(ends, (facts) => text(facts, "provider_invocation_id") === id)
      return !told.has(id) && (over === undefined || over.place < sealed)
    })
    if (missing) return false
    if (cancel === undefined || cancel.place > sealed) return true
    const said = [...supplements, evidence].map((one) => at(one, "cancel")).filter((one) => one !== undefined)
    return said.some((one) => number(one, "accepted_ms") === cancel.ms) &&
      fence !== undefined && said.some((one) => number(one, "fenced_ms") === fence.ms)
  }

  // outputs and epochs, by the lease inputs
  let [epoch, gone, holding] = [0, -1, false]
  let [outputs, stale] = [0, 0]
  const openEpoch = new Map(
    signals.filter(({ about }) => text(about, "signal") === "turn_open").map(({ about }) => [
      text(about, "turn_id"),
      number(about, "authority_epoch")
    ])
  )
  const foreign = new Set<string | undefined>()
  for (const { about, place } of [...inputs, ...commands].toSorted((a, b) => a.place - b.place)) {
    const own = number(about, "authority_epoch")
    const turn = text(about, "turn_id") ?? ""
    const was = (type: string, among: ReadonlyArray<Moment>) => last(among, place, ofTurn(turn, type)) !== undefined
    switch (text(about, "type")) {
      case "lease": {
        const ends = ["revoked", "expired"].includes(text(about, "status") ?? "")
        if (own === undefined || own < epoch || (!ends && own === gone)) break
        epoch = own
        holding = !ends
        if (ends) gone = own
        break
      }
      case "output_rejected":
        if (text(about, "reason") === "lease_expired" && own === epoch) {
          holding = false
          gone = epoch
        }
        break
      case "voice_chunk":
      case "node_item":
        if (own !== undefined && (own !== epoch || !holding)) foreign.add(text(about, "handle.id"))
        break
      case "enqueue_output":
        outputs++
        if (own !== epoch || !holding || foreign.has(text(about, "handle_id"))) stale++
        break
      case "output_accepted":
        outputs++
        if (!openEpoch.has(turn) || (openEpoch.get(turn) === epoch && holding)) break
        if (was("egress_fenced", inputs) || !was("fence_output", commands)) stale++
        break
      default:
    }
  }
  const refused = moves.filter(({ about }) => text(about, "transition.to_state") === "Idle")
  return {
    realtime: text(header, "clock") === "realtime",
    turns,
    refused: refused.length,
    outputs,
    stale
  }
}

/** Nearest rank: the value at place ⌈part × n⌉ of the sorted values. */
const rank = (values: ReadonlyArray<number>, percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1] ?? NaN
}
const spread = (values: ReadonlyArray<number>) => ({
  p50_ms: rank(values, 50),
  p95_ms: rank(values, 95),
  max_ms: rank(values, 100)
})
const known = (values: ReadonlyArray<number | undefined>): ReadonlyArray<number> =>
  values.filter((value) => value !== undefined)

/** The numbers of the report, named as `--json` names them. */
export const recompute = (timelines: ReadonlyArray<Lines>) => {
  const all = timelines.map(readOne)
  const turns = all.flatMap((one) => one.turns)
  const latency = (gate: string, samples: ReadonlyArray<number>, p50: number, p95: number, unfenced?: number) => {
    const count = samples.length + (unfenced ?? 0)
    const good = (unfenced ?? 0) === 0 && rank(samples, 50) <= p50 && rank(samples, 95) <= p95
    return {
      gate,
      samples: count,
      verdict: count === 0 ? "not_run" : good ? "pass" : "fail",
      ...(samples.length === 0
        ? {}
        : { value: { ...spread(samples), ...(unfenced === undefined ? {} : { unfenced }) } })
    }
  }
  const share = (gate: string, judged: ReadonlyArray<boolean>) => {
    const not = judged.filter((good) => !good).length
    return {
      gate,
      samples: judged.length,
      verdict: judged.length === 0 ? "not_run" : not === 0 ? "pass" : "fail",
      ...(judged.length === 0
        ? {}
        : { value: { percent: Math.floor(((judged.length - not) * 10_000) / judged.length) / 100, not } })
    }
  }
  const outputs = all.reduce((sum, one) => sum + one.outputs, 0)
  const accepted = all.reduce((sum, one) => sum + one.stale, 0)
  const total = turns.flatMap(({ stages }) => Object.values(stages)).reduce((sum, { ms }) => sum + ms, 0)
  const own = all.filter(({ realtime }) => realtime).flatMap((one) => one.turns)
    .filter(({ stages }) => Object.keys(stages).length > 0)
    .map(({ stages }) => Object.values(stages).reduce((sum, { kernel_ms }) => sum + kernel_ms, 0))
  return {
    timelines: timelines.length,
    turns: turns.length,
    refused: all.reduce((sum, one) => sum + one.refused, 0),
    gates: [
      latency("turn_open_ms", known(turns.map(({ turn_open_ms }) => turn_open_ms)), Infinity, 120),
      latency(
        "first_output_ms",
        known(turns.map(({ first_output_ms, happy }) => happy ? first_output_ms : undefined)),
        Infinity,
        1500
      ),
      latency(
        "cancel_fence_ms",
        known(turns.map(({ cancel_fence_ms }) => cancel_fence_ms)),
        Infinity,
        150,
        turns.filter(({ unfenced }) => unfenced).length
      ),
      {
        gate: "stale_epoch_outputs_accepted",
        samples: outputs,
        verdict: outputs === 0 ? "not_run" : accepted === 0 ? "pass" : "fail",
        ...(outputs === 0 ? {} : { value: { accepted } })
      },
      share("evidence_complete", turns.flatMap(({ complete }) => complete === undefined ? [] : [complete])),
      share("exactly_one_terminal", turns.flatMap(({ ended }) => ended === undefined ? [] : [ended])),
      latency("response_ms", known(turns.map(({ response_ms }) => response_ms)), 1500, 2000)
    ],
    critical_path: Object.fromEntries(stageNames.flatMap((name) => {
      const times = turns.flatMap(({ stages }) => stages[name] ?? [])
      if (times.length === 0) return []
      const sum = (part: keyof Parts) => times.reduce((all, time) => all + time[part], 0)
      return [[name, {
        ...spread(times.map(({ ms }) => ms)),
        samples: times.length,
        share_percent: total === 0 ? 0 : Math.round((sum("ms") * 1000) / total) / 10,
        total_ms: sum("ms"),
        kernel_ms: sum("kernel_ms"),
        provider_ms: sum("provider_ms"),
        waiting_ms: sum("waiting_ms"),
        transport_ms: sum("transport_ms")
      }]]
    })),
    ...(own.length === 0 ? {} : { kernel_overhead: { ...spread(own), samples: own.length } })
  }
}

if (import.meta.main) {
  const result = recompute(
    process.argv.slice(2).map((file) => ({ file, lines: readFileSync(file, "utf8").split("\n") }))
  )
  console.log(JSON.stringify(result, null, 2))
  if (result.gates.some(({ verdict }) => verdict === "fail")) process.exitCode = 1
}
