import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { find } from "@rspp/providers/Catalog"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { scrub, scrubberWith } from "../src/KnownSecrets.ts"
import { ProviderCatalog, withProviders } from "../src/ProviderCatalog.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-catalog-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("the providers of a file", () => {
  it.effect("have their keys taken out of every text, also one that came into its file later", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const [key, file] = [join(path, "key"), join(path, "providers.json")]
      const declaration = { adapter: "anthropic/messages", api_key: "file:key" }
      writeFileSync(key, "first plain key\n")
      writeFileSync(file, JSON.stringify({ providers: { "main/mind": declaration } }))
      const said = (which: string) => `the vendor said: ${which} plain key`
      const { catalog } = yield* withProviders(file, ProviderCatalog)
      const scrubber = scrubberWith([{}])
      assert.strictEqual(scrub(said("first")), "the vendor said: [secret]")
      writeFileSync(key, "other plain key\n")
      const entry = find("llm", "main/mind", catalog)
      yield* entry === undefined ? Effect.die("not there") : entry.check
      for (const clean of [scrub, scrubber, scrubberWith([{ NODE_TOKEN: "a token of a node" }])]) {
        for (const which of ["first", "other"]) assert.strictEqual(clean(said(which)), "the vendor said: [secret]")
      }
    }).pipe(Effect.provide(NodeServices.layer)))
})
