/**
 * Writes contracts/schema/<kind>.json for every kind of artifact.
 *
 *   node scripts/generate-schema.ts          write them, and remove those of kinds that are gone
 *   node scripts/generate-schema.ts --check  write nothing; exit 1 and name the files that have drifted
 */
import { artifactKinds } from "@rspp/contracts/Artifact"
import { jsonSchemaText } from "@rspp/contracts/JsonSchema"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const directory = fileURLToPath(new URL("../contracts/schema/", import.meta.url))
const wanted = new Map(artifactKinds.map((kind) => [`${kind}.json`, jsonSchemaText(kind)]))

mkdirSync(directory, { recursive: true })
const present = new Map(readdirSync(directory).map((name) => [name, readFileSync(directory + name, "utf8")]))
const drifted = [...new Set([...wanted.keys(), ...present.keys()])].filter((name) =>
  wanted.get(name) !== present.get(name)
)

if (process.argv.includes("--check")) {
  for (const name of drifted) console.error(`contracts/schema/${name} is not what contracts/src generates`)
  if (drifted.length > 0) {
    console.error("run: node scripts/generate-schema.ts")
    process.exitCode = 1
  }
} else {
  for (const name of drifted) {
    const text = wanted.get(name)
    if (text === undefined) rmSync(directory + name)
    else writeFileSync(directory + name, text)
  }
  console.log(`${wanted.size} schemas, ${drifted.length} changed`)
}
