import { validate } from "@rspp/contracts/Artifact"
import type { Issue } from "@rspp/contracts/Artifact"
import { PipelineSpec } from "@rspp/contracts/PipelineSpec"
import type { SchemaAST } from "effect"
import { SpecError } from "../SpecError.ts"
import { formatPath } from "./FieldPath.ts"
import type { FieldPath } from "./FieldPath.ts"
import { suggest } from "./Spelling.ts"

/** The spec, if its form is right; else everything that is wrong with the form. */
export type SpecForm =
  | { readonly ok: true; readonly spec: PipelineSpec }
  | { readonly ok: false; readonly errors: ReadonlyArray<SpecError> }

/** Judges the form of a spec: fields, types, ranges and the rules within one object. */
export const readForm = (input: unknown): SpecForm => {
  const verdict = validate("pipeline_spec", input)
  if (verdict.ok) return { ok: true, spec: verdict.value }
  return { ok: false, errors: verdict.issues.map((issue) => formError(issue, input)) }
}

const formError = ({ message, path, rule }: Issue, input: unknown): SpecError => {
  const where = formatPath(path)
  const subject = where === "" ? "the spec" : where
  const parent = path.slice(0, -1)
  const key = String(path.at(-1))
  switch (rule) {
    case "required":
      return new SpecError({
        code: "missing_key",
        path: where,
        rule,
        message: `${subject} is missing`,
        hint: `Add ${key}${parent.length === 0 ? "" : ` to ${formatPath(parent)}`}.`
      })
    case "additionalProperties":
      return new SpecError({
        code: "unknown_key",
        path: where,
        rule,
        message: `${subject} is not a known field`,
        hint: suggest(key, fieldsAt(parent), "field")
      })
    default: {
      // a rule of contracts says its sentence on its own; a keyword's message goes on from the field's name
      const value = valueAt(input, path)
      const shown = typeof value === "object" || value === undefined ? "" : `, not ${shorten(JSON.stringify(value))}`
      const text = rule.includes(".") ? `${subject}: ${message}` : `${subject} ${message}${shown}`
      const choices = rule === "enum" && typeof value === "string" ? choicesAt(path) : []
      const hint = choices.length > 0
        ? suggest(value as string, choices, "value")
        : where === ""
        ? "A spec holds at least schema_version, pipeline_id and pipeline_version."
        : typeof value === "number" && message === "must be a string"
        ? `Write it in quotes: "${value}".`
        : `Correct ${key}, or leave it out if it has a default.`
      return new SpecError({ code: "bad_value", path: where, rule, message: text, hint })
    }
  }
}

const maxShown = 60
const shorten = (text: string): string => (text.length <= maxShown ? text : `${text.slice(0, maxShown)}…`)

const valueAt = (value: unknown, path: FieldPath): unknown => {
  let at = value
  for (const part of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Readonly<Record<string | number, unknown>>)[part]
  }
  return at
}

/** The schema of the field at `path`, if there is such a field. */
const schemaAt = (path: FieldPath): SchemaAST.AST | undefined => {
  let ast: SchemaAST.AST | undefined = PipelineSpec.ast
  for (const part of path) {
    if (ast?._tag === "Objects") {
      ast = ast.propertySignatures.find((field) => field.name === part)?.type ?? ast.indexSignatures[0]?.type
    } else if (ast?._tag === "Arrays") ast = ast.rest[0]
    else return undefined
  }
  return ast
}

const fieldsAt = (path: FieldPath): ReadonlyArray<string> => {
  const ast = schemaAt(path)
  return ast?._tag === "Objects" ? ast.propertySignatures.map((field) => String(field.name)) : []
}

const choicesAt = (path: FieldPath): ReadonlyArray<string> => {
  const ast = schemaAt(path)
  return ast?._tag === "Union"
    ? ast.types.flatMap((type) => (type._tag === "Literal" ? [String(type.literal)] : []))
    : []
}

/** Paths whose only fault may be an unknown name, which the graph compiler explains better. */
export const isGraphName = (error: SpecError): boolean =>
  error.rule === "enum" && /(?:^|\.|\])(?:nodes\[\d+\]\.node_type|edges\[\d+\]\.payload_kind)$/u.test(error.path)
