// The replay gate: recorded calls execute again as they were, each by the expectations beside it.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { globSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { lastWords, rspp, runChild } from "./Child.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"

const Report = Schema.fromJsonString(Schema.Struct({
  summary: Schema.Struct({ files: Schema.Int, turns: Schema.Int, session_ms: Schema.Finite }),
  files: Schema.Array(Schema.Struct({
    file: Schema.String,
    verdict: Schema.String,
    error: Schema.optionalKey(Schema.String),
    gate: Schema.optionalKey(Schema.Struct({ passes: Schema.Boolean, failures: Schema.Array(Schema.Unknown) }))
  }))
}))

/** Verdicts of `rspp replay` that are as they should be. */
const good = ["identical", "as_expected"]

const ending = ".timeline"

/** The recordings in a directory, at any depth, by name. */
export const recordingsIn = (directory: string): ReadonlyArray<string> =>
  globSync(`**/*${ending}`, { cwd: directory }).sort().map((name) => join(directory, name))

const Expectation = Schema.fromJsonString(Schema.Struct({ gate: Schema.optionalKey(Schema.String) }))

/** Whether the expectations beside a recording mark it as one of those that the quick verification replays. */
export const isSmoke = (file: string): boolean => {
  try {
    const text = readFileSync(`${file.slice(0, -ending.length)}.expected.json`, "utf8")
    return Option.getOrUndefined(Schema.decodeUnknownOption(Expectation)(text))?.gate === "smoke"
  } catch {
    return false
  }
}

const shown = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

/** Replays `files` with the program of the repository and judges the report that it writes. */
export const checkReplay = async (
  { directory, root, signal }: Pick<GateContext, "directory" | "root" | "signal">,
  files: ReadonlyArray<string>
): Promise<GateResult> => {
  const command = "npx rspp replay test/corpus --report out"
  if (files.length === 0) return notRun(command, "there is no recording to replay")
  const ended = await runChild(rspp(root, "replay", ...files, "--report", directory), {
    cwd: root,
    signal,
    limitMs: 300_000
  })
  let report: Option.Option<typeof Report.Type>
  try {
    report = Schema.decodeUnknownOption(Report)(readFileSync(join(directory, "report.json"), "utf8"))
  } catch {
    report = Option.none()
  }
  if (Option.isNone(report)) return notRun(command, `rspp replay left no report: ${lastWords(ended)}`)
  const { summary } = report.value
  const verdicts = new Map(report.value.files.map((one) => [one.file, one]))
  const failures: Array<string> = []
  const missing: Array<string> = []
  for (const file of files) {
    const one = verdicts.get(file)
    if (one === undefined) missing.push(`${file} is not in the report`)
    else if (!good.includes(one.verdict) || one.gate?.passes === false) {
      const why = one.error ?? (one.gate?.failures ?? []).map(shown).join("; ")
      failures.push(`${relative(root, file)}: ${one.verdict}${why === "" ? "" : `: ${why}`}`)
    }
  }
  if (ended.code !== 0 && failures.length === 0 && missing.length === 0) {
    failures.push(`rspp replay: ${lastWords(ended)}`)
  }
  return judged({
    command,
    counts: { recordings: files.length, turns: summary.turns },
    failures,
    missing,
    detail: {
      session_ms: summary.session_ms,
      files: report.value.files.map(({ file, verdict }) => ({ file: relative(root, file), verdict }))
    }
  })
}

export const replayGate: Gate = {
  name: "replay",
  about: "quick: the recordings that are marked smoke; full: the whole corpus",
  run: (context) => {
    const all = recordingsIn(join(context.root, "test/corpus"))
    return checkReplay(context, context.mode === "full" ? all : all.filter(isSmoke))
  }
}
