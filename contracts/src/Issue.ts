import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"

/** One thing that is wrong with an artifact. */
export interface Issue {
  /** The field, from the root of the artifact; empty for the artifact itself. */
  readonly path: ReadonlyArray<string | number>
  /** Id of the conditional rule that is broken, or the JSON Schema keyword (`required`, `enum`, `additionalProperties` …). */
  readonly rule: string
  /** What is expected there, in words. */
  readonly message: string
}

const shown = (values: ReadonlyArray<unknown>): string => values.map((value) => JSON.stringify(value)).join(", ")

/** The values that a union of literals allows, or `undefined` for anything else. */
const literals = (ast: SchemaAST.AST): ReadonlyArray<unknown> | undefined => {
  if (ast._tag === "Literal") return [ast.literal]
  if (ast._tag !== "Union") return undefined
  const values = ast.types.map(literals)
  return values.every((value) => value !== undefined) ? values.flat() : undefined
}

const typeNames: Readonly<Record<string, string>> = {
  String: "a string",
  Number: "a number",
  Boolean: "true or false",
  Null: "null",
  Objects: "an object",
  Arrays: "a list"
}

const expected = (ast: SchemaAST.AST): string =>
  ast._tag === "Union" ? [...new Set(ast.types.map(expected))].join(" or ") : typeNames[ast._tag] ?? ast._tag

/** The key whose literal tells the members of a union of objects apart, with its values; `undefined` where there is none. */
const discriminator = (
  ast: SchemaAST.AST
): { readonly key: string; readonly values: ReadonlyArray<unknown> } | undefined => {
  if (ast._tag !== "Union") return undefined
  const tags = ast.types.map((type) =>
    type._tag === "Objects" ? type.propertySignatures.find((field) => field.type._tag === "Literal") : undefined
  )
  const key = tags[0]?.name
  return typeof key === "string" && tags.every((tag) => tag?.name === key)
    ? { key, values: tags.flatMap((tag) => (tag === undefined ? [] : literals(tag.type) ?? [])) }
    : undefined
}

const oneOf = (path: Issue["path"], values: ReadonlyArray<unknown>): Issue => ({
  path,
  rule: "enum",
  message: values.length === 1 ? `must be ${shown(values)}` : `must be one of ${shown(values)}`
})

/** A JSON object, not a list and not null. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const at = (root: unknown, path: Issue["path"]): unknown =>
  path.reduce<unknown>((value, key) => (value as Readonly<Record<string | number, unknown>> | undefined)?.[key], root)

const typeIssue = (root: unknown, path: Issue["path"], ast: SchemaAST.AST): Issue => {
  const values = literals(ast)
  if (values !== undefined) return oneOf(path, values)
  const tag = discriminator(ast)
  if (tag === undefined || !isObject(at(root, path))) return { path, rule: "type", message: `must be ${expected(ast)}` }
  return Object.hasOwn(at(root, path) as object, tag.key)
    ? oneOf([...path, tag.key], tag.values)
    : { path: [...path, tag.key], rule: "required", message: "is missing" }
}

/**
 * The issues of Effect's decoder as a flat list in our own words.
 *
 * `root` is the value that was judged: an issue of a union does not say where in the value it stands. `filter` is the
 * check that is being reported.
 */
export const issuesOf = (
  root: unknown,
  issue: SchemaIssue.Issue,
  path: Issue["path"] = [],
  filter?: SchemaAST.Check<unknown>
): ReadonlyArray<Issue> => {
  switch (issue._tag) {
    case "Pointer": {
      const keys = issue.path.map((key) => (typeof key === "symbol" ? String(key) : key))
      return issuesOf(root, issue.issue, [...path, ...keys], filter)
    }
    case "Composite":
      return issue.issues.flatMap((inner) => issuesOf(root, inner, path, filter))
    case "Encoding":
      return issuesOf(root, issue.issue, path, filter)
    case "Filter":
      return issuesOf(root, issue.issue, path, issue.filter)
    case "MissingKey":
      return [{ path, rule: "required", message: "is missing" }]
    case "UnexpectedKey":
      return [{
        path,
        rule: "additionalProperties",
        message: path.at(-1) === "" ? "a key must not be empty" : "is not a known field here"
      }]
    case "AnyOf":
      return issue.issues.length === 0
        ? [typeIssue(root, path, issue.ast)]
        : issue.issues.flatMap((inner) => issuesOf(root, inner, path, filter))
    case "InvalidType":
      return [typeIssue(root, path, issue.ast)]
    case "InvalidValue": {
      const annotations = { ...filter?.annotations, ...issue.annotations }
      const rule = typeof annotations["rule"] === "string" ? annotations["rule"] : "type"
      return [{
        path,
        rule,
        message: issue.annotations?.message ?? `must be ${annotations.expected ?? "another value"}`
      }]
    }
    case "Forbidden":
    case "OneOf":
      return [{ path, rule: issue._tag, message: "is not valid" }]
  }
}
