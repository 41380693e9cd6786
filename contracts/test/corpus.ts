import { type ArtifactKind, artifactKinds } from "@rspp/contracts/Artifact"
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** A fixture that must be accepted. */
export interface ValidFixture {
  readonly kind: ArtifactKind
  readonly name: string
  readonly artifact: unknown
}

/** A fixture that must be rejected, because of `rule` at `field`. */
export interface InvalidFixture extends ValidFixture {
  readonly reason: string
  readonly rule: string
  readonly field: string
}

const contracts = fileURLToPath(new URL("../", import.meta.url))

const read = (
  directory: string
): ReadonlyArray<{ readonly kind: ArtifactKind; readonly name: string; readonly json: unknown }> =>
  artifactKinds.flatMap((kind) => {
    const folder = `${contracts}fixtures/${directory}/${kind}`
    return !existsSync(folder) ? [] : readdirSync(folder).sort().map((file) => ({
      kind,
      name: file.replace(/\.json$/, ""),
      json: JSON.parse(readFileSync(`${folder}/${file}`, "utf8"))
    }))
  })

export const validFixtures: ReadonlyArray<ValidFixture> = read("valid").map(({ json, kind, name }) => ({
  kind,
  name,
  artifact: json
}))

export const invalidFixtures: ReadonlyArray<InvalidFixture> = read("invalid").map(({ json, kind, name }) => ({
  kind,
  name,
  ...(json as { readonly reason: string; readonly rule: string; readonly field: string; readonly artifact: unknown })
}))

/** Text of a checked-in schema. */
export const schemaText = (kind: ArtifactKind): string => readFileSync(`${contracts}schema/${kind}.json`, "utf8")

export const schemaFiles = (): ReadonlyArray<string> => readdirSync(`${contracts}schema`).sort()

/** An independent validator of the checked-in schema of each kind. */
export const independent: Readonly<Record<ArtifactKind, ValidateFunction>> = Object.fromEntries(
  artifactKinds.map((kind) => [
    kind,
    // Unknown keywords are errors; fragments of conditional rules do not repeat the type of what they are applied to.
    new Ajv2020({ strict: true, strictTypes: false, strictRequired: false }).compile(JSON.parse(schemaText(kind)))
  ])
) as Record<ArtifactKind, ValidateFunction>
