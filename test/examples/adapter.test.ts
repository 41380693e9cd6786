import { describe, it } from "@effect/vitest"
import { hostedCases } from "@rspp/providers/test/conformance/hosted/HostedCases"
import { hostedEntry } from "@rspp/providers/test/conformance/hosted/HostedEntry"
import { openAiServer } from "@rspp/providers/test/servers/OpenAiServer"
import { Effect } from "effect"
import { adapter } from "@rspp/cli/examples/TinyChat"

// The entry that a new adapter adds to the conformance table: its server, and the settings that it needs besides the
// address and the key.
const entry = hostedEntry({
  adapter,
  server: (answer) =>
    openAiServer({
      engine: async function*() {
        yield* answer().match(/[\s\S]{1,5}/gu) ?? []
      }
    }),
  settings: { model: "test-model" },
  wordsAtServer: (request) => JSON.stringify(request)
})

describe("Example: the smallest adapter of docs/providers.md keeps the promises of all adapters", () => {
  for (const { name, promise, run } of hostedCases) {
    it.live(`${name}: ${promise}`, () => Effect.scoped(Effect.flatMap(entry.drive, run)), 120_000)
  }
})
