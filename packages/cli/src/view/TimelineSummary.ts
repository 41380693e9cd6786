import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { timeOf } from "@rspp/contracts/TimelineStamp"
import { spreadOf } from "@rspp/timeline/slo/Percentile"
import { frameMs, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { CostEstimate, PriceList } from "../PriceList.ts"
import { estimate } from "../PriceList.ts"
import type { Style } from "../Screen.ts"
import { addedUse, providerUse } from "./ProviderUse.ts"
import type { ProviderUse } from "./ProviderUse.ts"
import { turnRows } from "./TurnTable.ts"

/** How often each thing happened, by its name. */
export type Counts = Readonly<Record<string, number>>

/** What one recording tells, before anything is divided: facts of several add up. */
export interface TimelineFacts {
  readonly sessions: number
  /** Sessions whose recording ends with its end record. */
  readonly closed: number
  readonly session_ms: number
  readonly proposed: number
  readonly opened: number
  readonly committed: number
  /** Turns that were aborted, by reason. */
  readonly aborted: Counts
  /** Turns that were refused before they opened, by outcome and reason. */
  readonly refused: Counts
  readonly latencies: {
    readonly speech_end_to_playback_ms: ReadonlyArray<number>
    readonly open_to_first_output_ms: ReadonlyArray<number>
    readonly cancel_to_fence_ms: ReadonlyArray<number>
  }
  readonly providers: ReadonlyArray<ProviderUse>
  /** Caller audio that came in, ms. */
  readonly caller_audio_ms: number
  /** Agent speech that was played to its end or to where it was cut, ms. */
  readonly played_audio_ms: number
  /** `drop_notice` signals, by edge and reason. */
  readonly drops: Counts
  /** Caller frames and other items that were lost at the ports, by edge. */
  readonly media_lost: Counts
  /** Sheds, discontinuities, stalls and lost connections, by signal and reason. */
  readonly disturbances: Counts
  /** Speech that was made and cut off at egress, ms. */
  readonly fenced_audio_ms: number
}

const disturbing = [
  "shed",
  "discontinuity",
  "stall",
  "disconnected",
  "stale_epoch_reject",
  "recording_level_downgraded"
]

const add = (counts: Record<string, number>, name: string, by = 1): void => {
  counts[name] = (counts[name] ?? 0) + by
}

const named = (name: string, reason: string | undefined): string => reason === undefined ? name : `${name} (${reason})`

/** What a timeline tells in numbers. A pure function of the records; what a recording does not tell is not made up. */
export const timelineFacts = (records: ReadonlyArray<TimelineRecord>): TimelineFacts => {
  const rows = turnRows(records)
  const aborted: Record<string, number> = {}
  const refused: Record<string, number> = {}
  const drops: Record<string, number> = {}
  const lost: Record<string, number> = {}
  const disturbances: Record<string, number> = {}
  const opened = new Set<string>()
  let committed = 0
  let sessionMs = 0
  let frames = 0
  let played = 0
  let fenced = 0
  for (const record of records) {
    sessionMs = Math.max(sessionMs, timeOf(record) ?? 0)
    switch (record.record) {
      case "audio":
        frames += record.count
        break
      case "signal": {
        const { edge_id, reason, signal, turn_id } = record.signal
        if (signal === "turn_open" && turn_id !== undefined) opened.add(turn_id)
        if (signal === "commit") committed++
        if (signal === "abort") add(aborted, reason ?? "")
        // A reason may name what was dropped: `edge_full:h_22`.
        if (signal === "drop_notice") add(drops, named(edge_id ?? "", reason?.replace(/:h_[0-9]+$/u, "")))
        if (disturbing.includes(signal)) add(disturbances, named(signal, reason))
        break
      }
      case "input": {
        const { input } = record
        if (input.type === "playback_completed" || input.type === "playback_cancelled") played += input.samples
        if (input.type === "egress_fenced") fenced += input.dropped_samples
        if (input.type === "media_loss") add(lost, input.edge_id, input.count)
        break
      }
      default:
    }
  }
  for (const { outcome, reason, turn_id } of rows) {
    if (!opened.has(turn_id) && outcome !== "open") add(refused, named(outcome, reason))
  }
  return {
    sessions: 1,
    closed: records.at(-1)?.record === "end" ? 1 : 0,
    session_ms: sessionMs,
    proposed: rows.length,
    opened: opened.size,
    committed,
    aborted,
    refused,
    latencies: {
      speech_end_to_playback_ms: rows.flatMap(({ latencies, speechEndMs }) =>
        speechEndMs === undefined || latencies.playback === undefined ? [] : [latencies.playback]
      ),
      open_to_first_output_ms: rows.flatMap(({ firstOutputMs }) => firstOutputMs ?? []),
      cancel_to_fence_ms: rows.flatMap(({ cutMs }) => cutMs === undefined ? [] : [cutMs])
    },
    providers: providerUse(records),
    caller_audio_ms: frames * frameMs,
    played_audio_ms: played / samplesPerMs,
    drops,
    media_lost: lost,
    disturbances,
    fenced_audio_ms: fenced / samplesPerMs
  }
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)

const addedCounts = (all: ReadonlyArray<Counts>): Counts => {
  const counts: Record<string, number> = {}
  for (const one of all) for (const [name, count] of Object.entries(one)) add(counts, name, count)
  return counts
}

/** Several recordings as one. */
export const addedFacts = (all: ReadonlyArray<TimelineFacts>): TimelineFacts => ({
  sessions: sum(all.map(({ sessions }) => sessions)),
  closed: sum(all.map(({ closed }) => closed)),
  session_ms: sum(all.map(({ session_ms }) => session_ms)),
  proposed: sum(all.map(({ proposed }) => proposed)),
  opened: sum(all.map(({ opened }) => opened)),
  committed: sum(all.map(({ committed }) => committed)),
  aborted: addedCounts(all.map(({ aborted }) => aborted)),
  refused: addedCounts(all.map(({ refused }) => refused)),
  latencies: {
    speech_end_to_playback_ms: all.flatMap(({ latencies }) => latencies.speech_end_to_playback_ms),
    open_to_first_output_ms: all.flatMap(({ latencies }) => latencies.open_to_first_output_ms),
    cancel_to_fence_ms: all.flatMap(({ latencies }) => latencies.cancel_to_fence_ms)
  },
  providers: addedUse(all.map(({ providers }) => providers)),
  caller_audio_ms: sum(all.map(({ caller_audio_ms }) => caller_audio_ms)),
  played_audio_ms: sum(all.map(({ played_audio_ms }) => played_audio_ms)),
  drops: addedCounts(all.map(({ drops }) => drops)),
  media_lost: addedCounts(all.map(({ media_lost }) => media_lost)),
  disturbances: addedCounts(all.map(({ disturbances }) => disturbances)),
  fenced_audio_ms: sum(all.map(({ fenced_audio_ms }) => fenced_audio_ms))
})

/** How values lie: percentiles by nearest rank, ms. */
export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly max: number
}

/** Undefined when there is no value: a missing time is never 0. */
export const spread = (values: ReadonlyArray<number>): Spread | undefined => {
  const lie = spreadOf(values)
  if (lie === undefined) return undefined
  const { max_ms, p50_ms, p95_ms } = lie
  return { count: values.length, p50: Math.round(p50_ms), p95: Math.round(p95_ms), max: Math.round(max_ms) }
}

/** The facts with percentiles in the place of values, for `--json`. */
export const summaryOf = (facts: TimelineFacts, prices: PriceList | undefined) => ({
  ...facts,
  latencies: {
    speech_end_to_playback_ms: spread(facts.latencies.speech_end_to_playback_ms),
    open_to_first_output_ms: spread(facts.latencies.open_to_first_output_ms),
    cancel_to_fence_ms: spread(facts.latencies.cancel_to_fence_ms)
  },
  providers: facts.providers.map((use) => ({
    ...use,
    input_audio_ms: Math.round(use.input_audio_ms),
    output_audio_ms: Math.round(use.output_audio_ms),
    first_result_ms: spread(use.first_result_ms),
    total_ms: spread(use.total_ms)
  })),
  played_audio_ms: Math.round(facts.played_audio_ms),
  fenced_audio_ms: Math.round(facts.fenced_audio_ms),
  cost: prices === undefined ? "not estimated" as const : estimate(prices, facts.providers)
})
export type Summary = ReturnType<typeof summaryOf>

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const countsText = (counts: Counts): string =>
  Object.entries(counts).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => `${count} ${name}`).join(", ")

const spreadText = (label: string, value: Spread | undefined): string =>
  value === undefined
    ? `  ${label.padEnd(34)} –`
    : `  ${label.padEnd(34)} p50 ${value.p50} ms, p95 ${value.p95} ms, max ${value.max} ms (${value.count})`

const volume = (use: Summary["providers"][number]): string =>
  [
    use.input_audio_ms > 0 ? `${seconds(use.input_audio_ms)} in` : "",
    use.input_chars > 0 ? `${use.input_chars} chars in` : "",
    use.output_chars > 0 ? `${use.output_chars} chars out` : "",
    use.output_audio_ms > 0 ? `${seconds(use.output_audio_ms)} out` : ""
  ].filter((part) => part !== "").join(", ")

const providerLine = (use: Summary["providers"][number]): string => {
  const parts = [
    `${use.calls} calls`,
    countsText(use.outcomes),
    use.retries === 0 ? "" : `${use.retries} retries`,
    use.first_result_ms === undefined
      ? ""
      : `first result p50 ${use.first_result_ms.p50} ms, p95 ${use.first_result_ms.p95} ms`,
    use.total_ms === undefined ? "" : `total p50 ${use.total_ms.p50} ms, p95 ${use.total_ms.p95} ms`,
    volume(use)
  ]
  return `  ${use.modality.padEnd(9)}${use.provider_id.padEnd(20)} ${parts.filter((part) => part !== "").join("; ")}`
}

const costLines = (cost: CostEstimate | "not estimated"): ReadonlyArray<string> => {
  if (cost === "not estimated") return ["cost          not estimated: give a file of prices with --prices"]
  const parts = cost.providers.map(({ cost: own, modality, provider_id }) => `${modality} ${provider_id} ${own}`)
  const unpriced = cost.unpriced.length === 0 ? [] : [`  no price of ${cost.unpriced.join(", ")}: not in the total`]
  return [
    `cost          ${cost.total} ${cost.currency}${parts.length === 0 ? "" : ` (${parts.join(", ")})`}`,
    ...unpriced
  ]
}

/** The summary for people. */
export const summaryLines = (title: string, summary: Summary, style: Style): ReadonlyArray<string> => {
  const { latencies } = summary
  const aborted = sum(Object.values(summary.aborted))
  const refused = sum(Object.values(summary.refused))
  const open = summary.opened - summary.committed - aborted
  const turns = [
    `${summary.opened} opened`,
    `${summary.committed} committed`,
    `${aborted} aborted${aborted === 0 ? "" : ` (${countsText(summary.aborted)})`}`,
    ...(refused === 0 ? [] : [`${refused} refused before they opened: ${countsText(summary.refused)}`]),
    ...(open === 0 ? [] : [`${open} without an ending`])
  ]
  const losses = [
    ...Object.entries(summary.drops).map(([name, count]) => `  ${count} drop notices: ${name}`),
    ...Object.entries(summary.media_lost).map(([name, count]) => `  ${count} items lost at the port: ${name}`),
    ...Object.entries(summary.disturbances).map(([name, count]) => `  ${count} × ${name}`)
  ]
  return [
    style.bold(title),
    `turns         ${turns.join(", ")}`,
    `audio         ${seconds(summary.caller_audio_ms)} of the caller, ${
      seconds(summary.played_audio_ms)
    } of the agent played, ${seconds(summary.fenced_audio_ms)} cut off`,
    "latencies",
    spreadText("end of speech → playback", latencies.speech_end_to_playback_ms),
    spreadText("turn open → first output", latencies.open_to_first_output_ms),
    spreadText("cancel accepted → fenced", latencies.cancel_to_fence_ms),
    "providers",
    ...(summary.providers.length === 0 ? ["  none was called"] : summary.providers.map(providerLine)),
    `losses        ${losses.length === 0 ? "none" : ""}`.trimEnd(),
    ...losses,
    ...costLines(summary.cost)
  ]
}

/** What a recording is, on one line. */
export const titleOf = (file: string, header: TimelineHeader, { closed, session_ms }: TimelineFacts): string =>
  `${file}: ${header.session_id}, ${header.pipeline_version}, ${header.recording_level}, ${seconds(session_ms)}${
    closed === 1 ? "" : ", never closed"
  }`
