// The contracts gate: every fixture is judged as it says, by our validator and by an independent one with the schemas that
// are checked in; the schemas are what the sources generate; the pipelines that ship are valid to the program.
import { artifactKinds, formatIssue, validate } from "@rspp/contracts/Artifact"
import { jsonSchemaText } from "@rspp/contracts/JsonSchema"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { lastWords, rspp, runChild } from "./Child.ts"
import { type Gate, type GateContext, type GateResult, judged } from "./Gate.ts"

/** Where the things lie that the gate looks at. */
export interface ContractInputs {
  /** `valid/KIND/*.json` and `invalid/KIND/*.json`. */
  readonly fixtures: string
  /** `KIND.json`. */
  readonly schemas: string
  /** Pipeline specs, `.json` or `.yaml`. */
  readonly pipelines: string
}

const names = (directory: string, ending: RegExp): ReadonlyArray<string> =>
  existsSync(directory) ? readdirSync(directory).filter((name) => ending.test(name)).sort() : []

const InvalidFixture = Schema.Struct({ rule: Schema.String, field: Schema.String, artifact: Schema.Unknown })
const Validated = Schema.fromJsonString(Schema.Struct({
  file: Schema.String,
  valid: Schema.Boolean,
  problems: Schema.Array(Schema.String)
}))

const parsed = (file: string): { readonly json: unknown } | { readonly problem: string } => {
  try {
    return { json: JSON.parse(readFileSync(file, "utf8")) as unknown }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

/** An independent validator of a schema that is checked in, or why there is none. */
const independentOf = (file: string): ((value: unknown) => boolean) | string => {
  const schema = parsed(file)
  if ("problem" in schema) return schema.problem
  try {
    // Fragments of conditional rules do not repeat the type of what they are applied to.
    const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
    return ajv.compile(schema.json as object)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Judges the contracts that lie in `inputs`; `root` is the repository whose program is asked. */
export const checkContracts = async (
  { root, signal }: Pick<GateContext, "root" | "signal">,
  { fixtures, pipelines, schemas }: ContractInputs
): Promise<GateResult> => {
  const failures: Array<string> = []
  const missing: Array<string> = []
  const counts = { fixtures: 0, schemas: 0, pipelines: 0 }

  const wanted = new Set(artifactKinds.map((kind) => `${kind}.json`))
  for (const name of names(schemas, /\.json$/u)) {
    if (!wanted.has(name)) {
      failures.push(`${join(schemas, name)} is the schema of no kind; run node scripts/generate-schema.ts`)
    }
  }
  for (const kind of artifactKinds) {
    const file = join(schemas, `${kind}.json`)
    if (!existsSync(file)) {
      failures.push(`${file} is not there; run node scripts/generate-schema.ts`)
      continue
    }
    counts.schemas++
    if (readFileSync(file, "utf8") !== jsonSchemaText(kind)) {
      failures.push(`${file} is not what contracts/src generates; run node scripts/generate-schema.ts`)
    }
    const independent = independentOf(file)
    if (typeof independent === "string") failures.push(`${file} is no schema: ${independent}`)
    for (const side of ["valid", "invalid"] as const) {
      const directory = join(fixtures, side, kind)
      const files = names(directory, /\.json$/u)
      if (files.length === 0) missing.push(`there is no ${side} fixture of ${kind} in ${fixtures}`)
      for (const name of files) {
        counts.fixtures++
        const path = join(directory, name)
        const read = parsed(path)
        if ("problem" in read) {
          failures.push(`${path} is no JSON: ${read.problem}`)
          continue
        }
        if (side === "valid") {
          const verdict = validate(kind, read.json)
          if (!verdict.ok) failures.push(`${path} must be valid: ${verdict.issues.map(formatIssue).join("; ")}`)
          if (typeof independent === "function" && !independent(read.json)) {
            failures.push(`${path} must be valid, and is not to ${file}`)
          }
          continue
        }
        const fixture = Option.getOrUndefined(Schema.decodeUnknownOption(InvalidFixture)(read.json))
        if (fixture === undefined) {
          failures.push(`${path} must have rule, field and artifact`)
          continue
        }
        const verdict = validate(kind, fixture.artifact)
        const issues = verdict.ok ? [] : verdict.issues
        if (!issues.some(({ path: at, rule }) => rule === fixture.rule && at.join(".") === fixture.field)) {
          const found = verdict.ok ? "it is valid" : issues.map(formatIssue).join("; ")
          failures.push(`${path} must break ${fixture.rule} at ${fixture.field}: ${found}`)
        }
        if (typeof independent === "function" && independent(fixture.artifact)) {
          failures.push(`${path} must be invalid, and is valid to ${file}`)
        }
      }
    }
  }

  const files = names(pipelines, /\.(?:json|ya?ml)$/u).map((name) => join(pipelines, name))
  if (files.length === 0) missing.push(`there is no pipeline in ${pipelines}`)
  else {
    const ended = await runChild(rspp(root, "contracts", "validate", "--kind", "pipeline_spec", "--json", ...files), {
      cwd: root,
      signal,
      limitMs: 60_000
    })
    const verdicts = ended.stdout.trim().split("\n").flatMap((line) =>
      Option.toArray(Schema.decodeUnknownOption(Validated)(line))
    )
    for (const file of files) {
      const verdict = verdicts.find((one) => one.file === file)
      if (verdict === undefined) missing.push(`rspp contracts validate said nothing of ${file}: ${lastWords(ended)}`)
      else if (verdict.valid) counts.pipelines++
      else failures.push(`${file}: ${verdict.problems.join("; ")}`)
    }
    if (ended.code !== 0 && failures.length === 0 && missing.length === 0) {
      missing.push(`rspp contracts validate: ${lastWords(ended)}`)
    }
  }
  return judged({
    command: `node scripts/verify.ts quick --only contracts`,
    counts,
    failures,
    missing,
    detail: { kinds: artifactKinds.length }
  })
}

export const contractsGate: Gate = {
  name: "contracts",
  about: "fixtures, checked-in schemas, the pipelines that ship",
  run: (context) =>
    checkContracts(context, {
      fixtures: join(context.root, "contracts/fixtures"),
      schemas: join(context.root, "contracts/schema"),
      pipelines: join(context.root, "contracts/pipelines")
    })
}
