import { faultKinds } from "@rspp/simulation/Faults"
import type { Difference } from "@rspp/simulation/Meta"
import { flagsOf } from "@rspp/simulation/Pins"
import type { Pins } from "@rspp/simulation/Pins"
import type { CallerAction } from "@rspp/simulation/Scenario"
import { sentenceOf } from "@rspp/simulation/SeedReport"
import type { PlacedViolation, SeedReport } from "@rspp/simulation/SeedReport"
import type { Shrunk } from "@rspp/simulation/Shrink"
import { allMarks, sometimes } from "@rspp/simulation/Sometimes"
import type { FailedSeed, Tally } from "@rspp/simulation/Tally"
import { clock } from "@rspp/timeline/export/TimelineText"
import type { Style } from "../Screen.ts"

/** What a run of seeds was asked for, and on what. */
export interface SimContext {
  readonly commit: string
  readonly first: number
  readonly pins: Pins
  readonly jobs: number
  readonly tookMs: number
  /** Seeds that were compared byte for byte before anything else. */
  readonly compared: number
  readonly interrupted: boolean
}

/** Failing seeds that are shown with everything; the rest by number. */
const shownFailures = 5

/** Things that never happened which are explained; of more, only the names. */
const explainedMissing = 12

/** Columns that lists are wrapped to. */
const width = 110

/** The words that run one seed again, exactly. */
export const repeatCommand = (seed: number, pins: Pins, what: "" | "shrink " | "meta " = ""): string =>
  [
    "npx rspp sim",
    ...(what === "" ? [] : [what.trim()]),
    what === "meta " ? "--first" : "--seed",
    seed,
    ...flagsOf(pins)
  ]
    .concat(what === "meta " ? ["--seeds", 1] : [])
    .join(" ")

const optionsText = (pins: Pins): string => flagsOf(pins).join(" ") || "none: everything is drawn from the seed"

/** Words in lines of at most {@link width} characters, two spaces between them. */
const wrap = (words: ReadonlyArray<string>, indent: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = indent
  for (const word of words) {
    if (line !== indent && line.length + word.length + 2 > width) {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : `  ${word}`
  }
  return line === indent ? lines : [...lines, line]
}

const thousands = (n: number): string => Math.round(n).toLocaleString("en-US")

/** `12.3 s`, `4.5 min` or `6.7 h`. */
const span = (ms: number): string => {
  const seconds = ms / 1000
  if (seconds < 100) return `${seconds.toFixed(1)} s`
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`
}

/** How often each kind of fault struck. */
export const struckLines = (
  struck: ReadonlyArray<readonly [kind: string, count: number]>,
  indent: string
): ReadonlyArray<string> => wrap(struck.map(([kind, count]) => `${kind} ${thousands(count)}`), indent)

/** One broken rule: what it says, its place in the timeline, the record and those before it. */
export const violationLines = (violation: PlacedViolation, style: Style): ReadonlyArray<string> => {
  const { at_ms, lines = [], message, of, record, rule, runtime_sequence, sentence, shown, turn_id } = violation
  const place = [
    record === undefined ? undefined : `record ${record} of ${of ?? "?"}`,
    runtime_sequence === undefined ? undefined : `sequence ${runtime_sequence}`,
    turn_id,
    at_ms === undefined ? undefined : `at ${clock(at_ms)}`
  ].filter((part) => part !== undefined)
  return [
    `${style.red(rule)}  ${sentence ?? ""}`.trimEnd(),
    ...message.split("\n").map((line) => `  ${line}`),
    `  place    ${place.length === 0 ? "the run as a whole" : place.join(", ")}`,
    ...lines.map((line, index) => index === lines.length - 1 ? `  ${style.bold(`> ${line}`)}` : `    ${line}`),
    ...(shown === undefined ? [] : [`  record   ${shown}`])
  ]
}

/** A seed that fails: everything that a person needs to go after it. */
export const failureLines = (
  { broken, seed, struck, violations }: FailedSeed,
  { commit, pins }: Pick<SimContext, "commit" | "pins">,
  style: Style
): ReadonlyArray<string> => {
  const faults = Object.entries(struck).map(([kind, count]) => `${kind} ${count}`).join(", ")
  return [
    style.bold(`seed ${seed} breaks ${[...new Set(violations.map(({ rule }) => rule))].join(", ")}`),
    ...violations.flatMap((violation) => violationLines(violation, style)).map((line) => `  ${line}`),
    ...(broken > violations.length ? [`  … and ${broken - violations.length} more violations`] : []),
    `  options  ${optionsText(pins)}`,
    ...(faults === "" ? [] : [`  faults   ${faults}`]),
    `  commit   ${commit}`,
    `  repeat   ${repeatCommand(seed, pins)}`,
    `  shrink   ${repeatCommand(seed, pins, "shrink ")}`
  ]
}

/** What one seed was, after its trace. */
export const seedLines = (report: SeedReport, file: string | undefined, style: Style): ReadonlyArray<string> => {
  const { broken, realMs, records, seed, simulatedMs, struck } = report
  const faults = Object.entries(struck)
  return [
    `seed ${seed}: ${broken === 0 ? style.green("every rule held") : style.red(`${broken} violations`)}; ${
      span(simulatedMs)
    } of call in ${span(realMs)}, ${records} records`,
    ...(faults.length === 0 ? ["  no fault struck"] : ["  faults that struck", ...struckLines(faults, "    ")]),
    ...(file === undefined ? [] : [`  timeline  ${file}`])
  ]
}

/** The result of a run of seeds, for people. */
export const summaryLines = (tally: Tally, context: SimContext, style: Style): ReadonlyArray<string> => {
  const { compared, first, interrupted, jobs, tookMs } = context
  const { coverage, failures, otherFailures, replays, seeds, simulatedMs, struck } = tally
  const missing = coverage.missing()
  const seen = coverage.firstSeeds()
  const numbers = [...failures.slice(shownFailures).map(({ seed }) => seed), ...otherFailures]
  const speed = `${thousands(simulatedMs / Math.max(1, tookMs))} × real time on ${jobs} process${
    jobs === 1 ? "" : "es"
  }`
  return [
    ...failures.slice(0, shownFailures).flatMap((failure) => ["", ...failureLines(failure, context, style)]),
    ...(numbers.length === 0 ? [] : ["", ...wrap(["these fail too:", ...numbers.map(String)], "")]),
    ...(failures.length === 0 ? [] : [""]),
    `${interrupted ? `${style.yellow("interrupted")}, so far ` : ""}${thousands(seeds)} seeds from ${first} on: ${
      span(simulatedMs)
    } of calls in ${span(tookMs)}, ${speed}, ${thousands(tally.records)} records`,
    ...(compared === 0
      ? [`${style.yellow("not run")}: the check that a seed gives the same bytes twice`]
      : [`same bytes twice in one process and in a second one: ${compared} of ${compared} seeds`]),
    `executed again from the recording, byte for byte the same: ${
      Object.entries(replays).map(([level, count]) => `${thousands(count)} at ${level}`).join(", ")
    }`,
    `faults that struck: ${struck.length} kinds`,
    ...struckLines(struck, "  "),
    `sometimes list: ${seen.length} of ${allMarks.length} happened; the first seed of each`,
    ...wrap(seen.map(([mark, seed]) => `${mark} ${seed}`), "  "),
    ...(missing.length > explainedMissing
      ? [`never happened: ${missing.length}; more seeds find more`, ...wrap(missing, "  ")]
      : missing.map((mark) => `  ${style.yellow("never")}  ${mark}: ${sometimes[mark]}`)),
    tally.failed === 0
      ? style.green("every rule held in every seed")
      : style.red(`${tally.failed} of ${thousands(seeds)} seeds break a rule`)
  ]
}

/** The same for machines. */
export const summaryJson = (tally: Tally, context: SimContext): object => {
  const { commit, compared, first, interrupted, jobs, pins, tookMs } = context
  const { coverage, failures, otherFailures, records, seeds, simulatedMs, struck } = tally
  return {
    commit,
    first,
    seeds,
    options: pins,
    jobs,
    interrupted,
    compared,
    took_ms: Math.round(tookMs),
    simulated_ms: Math.round(simulatedMs),
    speed: Math.round(simulatedMs / Math.max(1, tookMs)),
    records,
    replays: tally.replays,
    faults: Object.fromEntries(struck),
    sometimes: { seen: Object.fromEntries(coverage.firstSeeds()), missing: coverage.missing() },
    failures: failures.map(({ broken, seed, violations }) => ({
      seed,
      broken,
      violations,
      repeat: repeatCommand(seed, pins)
    })),
    other_failures: otherFailures
  }
}

const actionText = (action: CallerAction): string => {
  const { after, delayMs } = action.when
  const when = `${delayMs} ms after ${
    { previous: "the action before", reply: "the reply", reply_start: "the reply began" }[after]
  }`
  switch (action.does) {
    case "say":
      return `says ${action.words.filter((ms) => ms > 0).length} words, ${when}`
    case "type":
      return `types ${action.messages} messages, ${when}`
    case "noise":
      return `${action.ms} ms of noise, ${when}`
  }
}

/** What is left of a failing seed. */
export const shrunkLines = (
  shrunk: Shrunk,
  { commit }: Pick<SimContext, "commit">,
  style: Style
): ReadonlyArray<string> => {
  const { actions, episodes, from, kinds, message, pins, rule, runs, seed } = shrunk
  return [
    style.bold(`seed ${seed} breaks ${rule}; this is left of it after ${runs} runs`),
    `  ${style.red(rule)}  ${sentenceOf(rule) ?? ""}`.trimEnd(),
    ...message.split("\n").map((line) => `    ${line}`),
    `  ${kinds.length} of ${from.kinds} kinds of fault`,
    ...kinds.map((kind) => `    ${kind}: ${faultKinds[kind].does}`),
    `  ${episodes.length} of ${from.episodes} episodes`,
    ...episodes.map(({ atMs, forMs, kind }) => `    ${kind} at ${clock(atMs)} for ${forMs} ms`),
    `  ${actions.length} of ${from.actions} things that the caller does`,
    ...actions.map((action) => `    ${actionText(action)}`),
    `  commit   ${commit}`,
    `  repeat   ${repeatCommand(seed, pins)}`
  ]
}

/** A seed that is not the same twice. */
export const differenceLines = (
  { first, line, second, seed, where }: Difference,
  { commit, pins }: Pick<SimContext, "commit" | "pins">,
  style: Style
): ReadonlyArray<string> => {
  const at = firstDifference(first, second)
  const show = (text: string) => {
    const from = Math.max(0, at - 60)
    return `${from > 0 ? "… " : ""}${text.slice(from, from + 300) || "(nothing: it is shorter)"}`
  }
  return [
    style.red(`seed ${seed} does not give the same bytes in ${where}`),
    `  record   ${line < 0 ? "one has more records than the other" : `${line} (0 is the header), character ${at}`}`,
    `  first    ${show(first)}`,
    `  second   ${show(second)}`,
    `  options  ${optionsText(pins)}`,
    `  commit   ${commit}`,
    `  repeat   ${repeatCommand(seed, pins, "meta ")}`
  ]
}

const firstDifference = (a: string, b: string): number => {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}
