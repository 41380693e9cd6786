import * as Schema from "effect/Schema"
import { type ArtifactKind, artifactSchemas } from "./Artifact.ts"
import { schemaVersion } from "./Identity.ts"

/**
 * The JSON Schema (draft 2020-12) of a kind of artifact, as it is checked in under `contracts/schema/`.
 *
 * It is complete: conditional rules included, so that a validator in any language reaches the verdict that `validate`
 * reaches. Each rule's fragment names the rule in its `$comment`.
 */
export const jsonSchema = (kind: ArtifactKind): { readonly [keyword: string]: unknown } => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(artifactSchemas[kind], { onExcessProperty: "error" })
  // No artifact contains itself, so the root's own definition can stand at the top, where a reader looks for it.
  const name = typeof schema.$ref === "string" ? schema.$ref.slice("#/$defs/".length) : undefined
  const { [name ?? ""]: named, ...others } = definitions
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: `urn:rspp:${schemaVersion}:${kind}`,
    title: kind,
    ...(named ?? schema),
    ...(Object.keys(others).length === 0 ? {} : { $defs: others })
  }
}

/** {@link jsonSchema} as the text of its file. */
export const jsonSchemaText = (kind: ArtifactKind): string => `${JSON.stringify(jsonSchema(kind), null, 2)}\n`
