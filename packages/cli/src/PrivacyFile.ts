import type { ArtifactOf } from "@rspp/contracts/Artifact"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { schemaVersion } from "@rspp/contracts/Identity"
import { Effect, FileSystem } from "effect"
import { CliFailure } from "./CliFailure.ts"

const bad = (message: string, hint: string) => new CliFailure({ exit: "bad_input", message, hint })

/** A policy that a flag names: a JSON file of one artifact. */
export const readPolicy = Effect.fn("readPolicy")(function*<K extends "access_policy" | "retention_policy">(
  kind: K,
  path: string
): Effect.fn.Return<ArtifactOf<K>, CliFailure, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const hint = `Its form: rspp contracts schema ${kind}`
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      bad(error.reason._tag === "NotFound" ? `${path}: there is no such file` : `${path}: ${error.message}`, hint)
    )
  )
  const value = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => bad(`${path}: is not JSON (${cause instanceof Error ? cause.message : String(cause)})`, hint)
  })
  const verdict = validate(kind, value)
  // A policy of another version may mean something else by the same words.
  if (verdict.ok && verdict.value.schema_version !== schemaVersion) {
    return yield* bad(
      `${path}: its schema_version is ${verdict.value.schema_version}, and this program knows ${schemaVersion}`,
      hint
    )
  }
  return verdict.ok ? verdict.value : yield* bad(`${path}: ${verdict.issues.map(formatIssue).join("; ")}`, hint)
})
