import type { ArtifactKind, ArtifactOf } from "@rspp/contracts/Artifact"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
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

/** The value held to the contract of its kind. */
export const ofKind = <K extends ArtifactKind>(
  path: string,
  kind: K,
  value: unknown
): Effect.Effect<ArtifactOf<K>, CliFailure> => {
  const verdict = validate(kind, value)
  return verdict.ok
    ? Effect.succeed(verdict.value)
    : Effect.fail(bad(
      `${path}: ${verdict.issues.map(formatIssue).join("; ")}`,
      `rspp contracts schema ${kind} says what it may hold.`
    ))
}
