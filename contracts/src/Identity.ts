import * as Schema from "effect/Schema"

/** The version of the contract that this code speaks. */
export const schemaVersion = "v1.0"

/**
 * A string that matches `pattern` as a whole.
 *
 * Python's `$` also matches before a trailing newline, so the generated schema forbids newlines by a keyword of its own
 * and agrees with every regular-expression dialect (it needs no look-ahead, which RE2 lacks).
 */
const matching = (pattern: RegExp, expected: string) =>
  Schema.String.check(Schema.makeFilter<string>((s) => pattern.test(s), {
    expected,
    rule: "pattern",
    toJsonSchema: () => ({ pattern: pattern.source, not: { pattern: "\\n" } })
  }))

/** A non-empty string: ids, reasons, references, free keys and their values. */
export const Id = Schema.String.check(Schema.makeFilter<string>((s) => s.length > 0, {
  expected: "a non-empty string",
  rule: "minLength",
  toJsonSchema: () => ({ minLength: 1 })
}))

/** A map with free, non-empty keys. */
export const freeMap = <S extends Schema.Constraint>(value: S) => Schema.Record(Id, value)

/** `v1.0`, `v2.10.3`; any version that has the form validates. */
export const SchemaVersion = matching(/^v[0-9]+\.[0-9]+(\.[0-9]+)?$/, "a schema version such as v1.0").annotate({
  description: "The version of the contract: `v1.0`."
})

/** Version of a merge rule: `1.0`, `v1.2.3`. */
export const RuleVersion = matching(/^v?[0-9]+\.[0-9]+(\.[0-9]+)?$/, "a version such as 1.0 or v1.0.0")

/** The version of something that is released, by Semantic Versioning: `1.4.0`, `2.0.0-rc.1`. */
export const SemanticVersion = matching(
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/,
  "a version such as 1.4.0 or 2.0.0-rc.1"
)

/** A commit by its full name: 40 hex characters, or 64 where the repository uses SHA-256. */
export const CommitId = matching(/^([0-9a-f]{40}|[0-9a-f]{64})$/, "the full name of a commit, in hex")

/** SHA-256 as 64 hex characters of either case. */
export const Sha256Hex = matching(/^[0-9a-fA-F]{64}$/, "64 hex characters")

/** `sha256:` and 64 hex characters: the name of something by its content. */
export const ContentRef = matching(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hex characters")

/** A list without duplicates, optionally with bounds on its length. */
export const uniqueList = <S extends Schema.Constraint>(
  item: S,
  bounds: { readonly min?: number; readonly max?: number } = {}
) =>
  Schema.Array(item).check(
    Schema.makeFilter<ReadonlyArray<unknown>>((list) => new Set(list).size === list.length, {
      expected: "a list without duplicates",
      rule: "uniqueItems",
      toJsonSchema: () => ({ uniqueItems: true })
    }),
    Schema.makeFilter<ReadonlyArray<unknown>>((list) => list.length >= (bounds.min ?? 0), {
      expected: `a list of at least ${bounds.min ?? 0}`,
      rule: "minItems",
      toJsonSchema: () => (bounds.min === undefined ? {} : { minItems: bounds.min })
    }),
    Schema.makeFilter<ReadonlyArray<unknown>>((list) => list.length <= (bounds.max ?? Number.POSITIVE_INFINITY), {
      expected: `a list of at most ${bounds.max ?? "any number of"} entries`,
      rule: "maxItems",
      toJsonSchema: () => (bounds.max === undefined ? {} : { maxItems: bounds.max })
    })
  )
