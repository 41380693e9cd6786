import type { ArtifactKind } from "@rspp/contracts/Artifact"
import { isArtifactKind } from "@rspp/contracts/Artifact"
import { parseSpecText } from "@rspp/control/SpecFile"
import { read } from "@rspp/timeline/format/TimelineReader"
import { Effect, FileSystem } from "effect"
import { told } from "../CliFailure.ts"
import { validation } from "../Composition.ts"
import { ContractValidation } from "../ContractValidation.ts"
import type { Judgement } from "../ContractValidation.ts"
import type { ExitName } from "../ExitCode.ts"
import { Screen } from "../Screen.ts"
import { graver } from "../Verdict.ts"
import { unknownKind } from "./ContractsSchema.ts"

export interface ValidateFlags {
  readonly files: ReadonlyArray<string>
  readonly kind: string | undefined
  readonly json: boolean
}

interface FileVerdict {
  readonly exit: ExitName
  readonly kind: string
  /** Artifacts that were judged. */
  readonly artifacts: number
  readonly problems: ReadonlyArray<string>
}

/** First bytes of a timeline file. */
const timelineMagic = "rspp-timeline "

/** Problems of one file that are shown; a file of a wrong kind would have one per line. */
const maxProblems = 8

/**
 * `rspp contracts validate`: one line per file. A file is one artifact (JSON, or a pipeline spec in YAML), one artifact a
 * line (`.jsonl`), or a timeline, of which each record is judged.
 */
export const validateFiles = Effect.fn("rspp.contracts.validate")(function*({ files, json, kind }: ValidateFlags) {
  const screen = yield* Screen
  if (kind !== undefined && !isArtifactKind(kind)) return yield* unknownKind(kind)
  let worst: ExitName = "ok"
  yield* Effect.forEach(files, (file) =>
    Effect.map(validateFile(file, kind), (verdict) => {
      worst = graver(worst, verdict.exit)
      show(screen, file, verdict, json)
    }), { discard: true }).pipe(Effect.provide(validation))
  if (worst !== "ok") return yield* told(worst)
  return undefined
})

const show = (screen: Screen["Service"], file: string, verdict: FileVerdict, json: boolean): void => {
  const { artifacts, exit, kind, problems } = verdict
  if (json) {
    screen.line(JSON.stringify({ file, kind, artifacts, valid: exit === "ok", problems }))
    return
  }
  const { style } = screen
  const count = artifacts <= 1 ? "" : `, ${artifacts} artifacts`
  if (exit === "ok") {
    screen.line(`${file}: ${style.green("valid")} ${kind}${count}`)
    return
  }
  const more = problems.length > maxProblems ? `; and ${problems.length - maxProblems} more` : ""
  const word = exit === "violation" ? "invalid" : "unreadable"
  screen.line(`${file}: ${style.red(word)} ${kind}${count}: ${problems.slice(0, maxProblems).join("; ")}${more}`)
}

const unreadable = (why: string): FileVerdict => ({ exit: "bad_input", kind: "file", artifacts: 0, problems: [why] })

const validateFile = Effect.fnUntraced(function*(file: string, kind: ArtifactKind | undefined) {
  const fs = yield* FileSystem.FileSystem
  const { judge } = yield* ContractValidation
  const bytes = yield* Effect.result(fs.readFile(file))
  if (bytes._tag === "Failure") {
    return unreadable(bytes.failure.reason._tag === "NotFound" ? "there is no such file" : "it cannot be read")
  }
  const text = Buffer.from(bytes.success).toString("utf8")
  if (text.startsWith(timelineMagic)) return yield* validateTimeline(file)
  if (text.trim() === "") return unreadable("the file is empty")
  if (/\.(?:jsonl|ndjson)$/iu.test(file)) {
    const verdicts = text.split("\n").flatMap((line, i) =>
      line.trim() === "" ? [] : [{ line: i + 1, judgement: judgeText(line, (value) => judge(value, kind)) }]
    )
    const problems = verdicts.flatMap(({ judgement, line }) =>
      problemsOf(judgement).map((one) => `line ${line}: ${one}`)
    )
    const kinds = new Set(verdicts.map(({ judgement }) => "kind" in judgement ? judgement.kind : "artifact"))
    const name = kinds.size === 1 ? [...kinds].join("") : "artifacts"
    return {
      exit: problems.length === 0 ? "ok" : "violation",
      kind: name,
      artifacts: verdicts.length,
      problems
    } as const
  }
  // YAML is for people, so only what people write can be YAML: a pipeline spec.
  if (/\.ya?ml$/iu.test(file)) {
    const source = yield* Effect.result(parseSpecText(text, file))
    if (source._tag === "Failure") return unreadable(source.failure.message)
    return verdictOf(judge(source.success.value, kind ?? "pipeline_spec"))
  }
  return verdictOf(judgeText(text, (value) => judge(value, kind)))
})

type TextJudgement = Judgement | { readonly verdict: "not_json"; readonly why: string }

const judgeText = (text: string, judge: (value: unknown) => Judgement): TextJudgement => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return { verdict: "not_json", why: `it is not JSON (${cause instanceof Error ? cause.message : "?"})` }
  }
  return judge(value)
}

const problemsOf = (judgement: TextJudgement): ReadonlyArray<string> => {
  switch (judgement.verdict) {
    case "valid":
      return []
    case "invalid":
      return judgement.problems
    case "unknown":
      return ["it looks like no kind of artifact; say which it is with --kind"]
    case "not_json":
      return [judgement.why]
  }
}

const verdictOf = (judgement: TextJudgement): FileVerdict => ({
  exit: judgement.verdict === "valid" ? "ok" : judgement.verdict === "not_json" ? "bad_input" : "violation",
  kind: "kind" in judgement ? judgement.kind : "artifact",
  artifacts: 1,
  problems: problemsOf(judgement)
})

const validateTimeline = Effect.fnUntraced(function*(file: string) {
  const timeline = yield* Effect.result(read(file, { validate: true }))
  if (timeline._tag === "Failure") {
    const { _tag, message } = timeline.failure
    const exit = _tag === "InvalidTimelineRecord" ? "violation" : "bad_input"
    const verdict: FileVerdict = { exit, kind: "timeline", artifacts: 0, problems: [message.replace(`${file}: `, "")] }
    return verdict
  }
  const { records, tear } = timeline.success
  const problems = tear === undefined
    ? []
    : [`${tear.reason} at byte ${tear.offset}; the ${tear.recordsBefore} records before it are valid`]
  const verdict: FileVerdict = {
    exit: tear === undefined ? "ok" : "bad_input",
    kind: "timeline",
    artifacts: records.length + 1,
    problems
  }
  return verdict
})
