import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isCollection, isMap, isScalar, LineCounter, parseDocument } from "yaml"
import type { Document, Node } from "yaml"
import { parsePath } from "./internal/FieldPath.ts"
import { findJsonFault } from "./internal/JsonSyntax.ts"
import type { SpecError } from "./SpecError.ts"

/**
 * The text of a spec is not JSON or YAML. Raised by {@link parseSpecText}.
 *
 * `line` and `column` count from 1 and are absent where the fault has no place (an empty file).
 */
export class SpecFileError extends Schema.TaggedError<SpecFileError>()("SpecFileError", {
  code: Schema.Literals(["empty", "too_large", "syntax", "duplicate_key", "too_many_aliases", "unknown_format"]),
  file: Schema.String,
  line: Schema.optionalKey(Schema.Int),
  column: Schema.optionalKey(Schema.Int),
  message: Schema.String,
  hint: Schema.String
}) {}

/** Longest text that is read, in UTF-16 units. A large graph takes 20 KB. */
export const maxSpecLength = 1_048_576

/** Most values that YAML aliases may expand to, so that a short file cannot become a huge spec. */
const maxAliasCount = 100

/** A place in a spec's text, counted from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A spec as read from a file: the plain value, and where each field of it stands in the text. */
export interface SpecText {
  readonly file: string
  readonly value: unknown
  /** The place of the field at `path` (as in `SpecError.path`), or of its nearest parent that exists. */
  readonly locate: (path: string) => Place
}

/**
 * Reads a spec from the text of a file: JSON for a `.json` name, YAML (1.2, one document, no custom tags) for `.yaml`
 * and `.yml`. It reads form only; the normalizer judges the value.
 *
 * Guarantees: no key occurs twice in an object; aliases expand to at most 100 values; text is at most 1 MiB. Fails with
 * {@link SpecFileError}, which names the line.
 */
export const parseSpecText = Effect.fn("SpecFile.parseSpecText")(
  function*(text: string, file: string): Effect.fn.Return<SpecText, SpecFileError> {
    const format = /\.json$/iu.test(file) ? "json" : /\.ya?ml$/iu.test(file) ? "yaml" : undefined
    if (format === undefined) {
      return yield* new SpecFileError({
        code: "unknown_format",
        file,
        message: `${file}: a pipeline spec is a .yaml, .yml or .json file`,
        hint: "Rename the file, or write the spec as YAML or JSON."
      })
    }
    if (text.length > maxSpecLength) {
      return yield* new SpecFileError({
        code: "too_large",
        file,
        message: `${file}: the spec has ${text.length} characters; at most ${maxSpecLength} are read`,
        hint: "Check that this is a pipeline spec."
      })
    }
    const source = text.startsWith("\uFEFF") ? text.slice(1) : text
    if (source.trim() === "") return yield* empty(file)

    const lines = new LineCounter()
    // JSON is read as YAML a second time only for the places of its fields: YAML 1.2 contains JSON.
    const document = parseDocument(source, {
      lineCounter: lines,
      prettyErrors: false,
      version: "1.2",
      uniqueKeys: true
    })
    if (format === "json") {
      const fault = findJsonFault(source)
      if (fault !== undefined) {
        const found = fault.offset >= source.length ? "the text ends" : `found ${JSON.stringify(source[fault.offset])}`
        return yield* syntax(
          file,
          placeOf(source, fault.offset),
          `expected ${fault.expected}, ${found}`,
          fault.duplicate
        )
      }
      return { file, value: JSON.parse(source) as unknown, locate: locateIn(document, lines) }
    }
    const fault = document.errors[0] ?? document.warnings[0]
    if (fault !== undefined) {
      const { line, col } = lines.linePos(fault.pos[0])
      return yield* syntax(file, { line, column: col }, firstLine(fault.message), fault.code === "DUPLICATE_KEY")
    }
    if (document.contents === null) return yield* empty(file)
    const value = yield* Effect.try({
      try: (): unknown => document.toJS({ maxAliasCount }),
      catch: () =>
        new SpecFileError({
          code: "too_many_aliases",
          file,
          message: `${file}: aliases (*name) expand to more than ${maxAliasCount} values`,
          hint: "Write the values out."
        })
    })
    return { file, value, locate: locateIn(document, lines) }
  }
)

/** `pipeline.yaml:12:5: nodes[3].node_type: … Did you mean …?` */
export const describeSpecError = (error: SpecError, source: SpecText): string => {
  const { line, column } = source.locate(error.path)
  return `${source.file}:${line}:${column}: ${error.message}. ${error.hint}`
}

const empty = (file: string) =>
  new SpecFileError({
    code: "empty",
    file,
    message: `${file}: the file is empty`,
    hint: "A spec needs at least schema_version, pipeline_id and pipeline_version."
  })

const syntax = (file: string, place: Place, what: string, duplicate: boolean) =>
  new SpecFileError({
    code: duplicate ? "duplicate_key" : "syntax",
    file,
    ...place,
    message: `${file}:${place.line}:${place.column}: ${what}`,
    hint: duplicate ? "Keep one of the two." : `Look at line ${place.line}, or at the end of the line before it.`
  })

const firstLine = (message: string): string => message.split("\n", 1)[0] ?? message

const placeOf = (text: string, offset: number): Place => {
  const before = text.slice(0, offset)
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") }
}

const locateIn = (document: Document.Parsed, lines: LineCounter) => (path: string): Place => {
  let node: unknown = document.contents
  let offset = document.contents?.range[0] ?? 0
  for (const part of parsePath(path)) {
    if (!isCollection(node)) break
    if (isMap(node)) {
      // a field's place is its key: that is what an author looks for
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
      if (pair === undefined) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else {
      node = node.items[Number(part)]
      if (node === undefined) break
      offset = startOf(node) ?? offset
    }
  }
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0]
