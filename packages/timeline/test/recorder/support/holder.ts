// Holds a file until it is killed: `node holder.ts <path>`.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { hold } from "@rspp/timeline/recorder/WriterLock"
import { Effect } from "effect"

const [path = ""] = process.argv.slice(2)
const say = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

process.stdin.resume()
await Effect.runPromise(
  Effect.scoped(
    hold(path).pipe(
      Effect.andThen(say("held")),
      Effect.catch(({ message }) => say(message)),
      Effect.andThen(Effect.never)
    )
  ).pipe(Effect.provide(NodeFileSystem.layer))
)
