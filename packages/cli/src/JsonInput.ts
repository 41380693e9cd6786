import type { ArtifactKind, ArtifactOf } from "@rspp/contracts/Artifact"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { schemaVersion } from "@rspp/contracts/Identity"
import { Effect, FileSystem } from "effect"
import { CliFailure } from "./CliFailure.ts"

const bad = (message: string, hint: string) => new CliFailure({ exit: "bad_input", message, hint })

/** The JSON value of a file; `what` it is meant to be is said when there is none. */
export const readJson = Effect.fn("readJson")(function*(path: string, what: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      error.reason._tag === "NotFound"
        ? bad(`${path}: there is no such file`, `Give the path of ${what}.`)
        : bad(`${path}: cannot be read (${error.message})`, `Give the path of ${what}.`)
    )
  )
  return yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) =>
      bad(`${path}: is no JSON (${cause instanceof Error ? cause.message : String(cause)})`, `It is to be ${what}.`)
  })
})

/** Some kinds say which version of the contract they are of; another one may mean something else by the same words. */
const isForeign = (value: unknown): value is { readonly schema_version: string } =>
  typeof value === "object" && value !== null && "schema_version" in value && value.schema_version !== schemaVersion

/** The value held to the contract of its kind, in the version that this program knows. */
export const ofKind = <K extends ArtifactKind>(
  path: string,
  kind: K,
  value: unknown
): Effect.Effect<ArtifactOf<K>, CliFailure> => {
  const hint = `rspp contracts schema ${kind} says what it may hold.`
  const verdict = validate(kind, value)
  if (!verdict.ok) return Effect.fail(bad(`${path}: ${verdict.issues.map(formatIssue).join("; ")}`, hint))
  return isForeign(verdict.value)
    ? Effect.fail(bad(
      `${path}: its schema_version is ${verdict.value.schema_version}, and this program knows ${schemaVersion}`,
      hint
    ))
    : Effect.succeed(verdict.value)
}
