import { artifactKinds } from "@rspp/contracts/Artifact"
import { jsonSchemaText } from "@rspp/contracts/JsonSchema"
import { assert, describe, it } from "@effect/vitest"
import { schemaFiles, schemaText } from "./corpus.ts"

/** Every object schema in the document, with where it stands. */
const objects = (
  value: unknown,
  path = "#"
): ReadonlyArray<{ readonly path: string; readonly schema: Record<string, unknown> }> => {
  if (typeof value !== "object" || value === null) return []
  const inner = Object.entries(value).flatMap(([key, member]) => objects(member, `${path}/${key}`))
  const schema = value as Record<string, unknown>
  return schema["type"] === "object" ? [{ path, schema }, ...inner] : inner
}

describe("JSON Schema", () => {
  it("is checked in as the sources generate it (else run: node scripts/generate-schema.ts)", () => {
    assert.deepStrictEqual(schemaFiles(), artifactKinds.map((kind) => `${kind}.json`).sort())
    for (const kind of artifactKinds) assert.strictEqual(schemaText(kind), jsonSchemaText(kind), kind)
  })

  it("closes every object, or gives its free keys a name and a value", () => {
    for (const kind of artifactKinds) {
      for (const { path, schema } of objects(JSON.parse(schemaText(kind)))) {
        assert.isTrue(
          schema["additionalProperties"] === false ||
            (typeof schema["additionalProperties"] === "object" && schema["propertyNames"] !== undefined),
          `${kind} ${path}`
        )
      }
    }
  })

  it("has free keys only where the contract has them", () => {
    const ofContract = ["provider_bindings", "edge_buffer_policies", "sources", "providers", "provider_caps"]
    // and where the author of a pipeline gives names
    const free = new Set([...ofContract, "settings", "subgraphs"])
    const others = artifactKinds.flatMap((kind) =>
      objects(JSON.parse(schemaText(kind)))
        .filter(({ path, schema }) => schema["propertyNames"] !== undefined && !free.has(path.split("/").at(-1) ?? ""))
        .map(({ path }) => `${kind} ${path}`)
    )
    assert.deepStrictEqual(others, [])
  })

  it("allows null for transport_sequence only", () => {
    for (const kind of artifactKinds) {
      const nulls = schemaText(kind).split("\"type\": \"null\"").length - 1
      const sequences = schemaText(kind).split("\"transport_sequence\": {").length - 1
      assert.strictEqual(nulls, sequences, kind)
    }
  })

  it("forbids newlines beside every pattern, because $ means less elsewhere", () => {
    for (const kind of artifactKinds) {
      const text = schemaText(kind)
      assert.strictEqual(text.split("\"pattern\": \"^").length, text.split("\"pattern\": \"\\\\n\"").length, kind)
    }
  })
})
