import { artifactKinds, isArtifactKind } from "@rspp/contracts/Artifact"
import { jsonSchemaText } from "@rspp/contracts/JsonSchema"
import { Effect } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"

/** `rspp contracts schema`: the schema of a kind, or the kinds. */
export const showSchema = Effect.fn("rspp.contracts.schema")(function*(flags: {
  readonly kind: string | undefined
  readonly list: boolean
}) {
  const { kind, list } = flags
  const screen = yield* Screen
  if (list || kind === undefined) {
    for (const name of artifactKinds) screen.line(name)
    return
  }
  if (!isArtifactKind(kind)) return yield* unknownKind(kind)
  screen.raw(jsonSchemaText(kind))
})

/** The name of a kind that does not exist was given. */
export const unknownKind = (kind: string): CliFailure =>
  new CliFailure({
    exit: "usage",
    message: `there is no kind of artifact ${kind}`,
    hint: `There is ${artifactKinds.join(", ")}.`
  })
