// Deletes every payload of a recording, for a test that kills it: `node rewriter.ts <file>`. It says when it begins.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect } from "effect"
import { removePayloads } from "../../src/privacy/Removal.ts"

const [path = ""] = process.argv.slice(2)
process.stdout.write("begins\n")
await Effect.runPromise(Effect.provide(removePayloads(path, () => true, "hard_delete"), NodeFileSystem.layer))
