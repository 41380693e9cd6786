import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { Effect, Layer } from "effect"
import type { Measure } from "../Figure.ts"
import { PlainQueue } from "../PlainPipeline.ts"

const runs = 5

/** As many records through a plain queue, each compared with itself as text. */
const plain = (records: ReadonlyArray<unknown>): number => {
  const queue = new PlainQueue<unknown>()
  let same = 0
  const began = performance.now()
  for (const record of records) {
    queue.push(record)
    if (JSON.stringify(queue.shift()) === JSON.stringify(record)) same++
  }
  if (same !== records.length) throw new Error("unreachable")
  return (performance.now() - began) / 1000
}

const measure: Measure = {
  about:
    `An hour of call with 400 turns (a recording made by the real kernel and recorder), replayed through the same kernel and compared record by record; the median of ${runs} runs. Bare: each record through a plain queue and compared as text.`,
  run: (tell) =>
    Effect.runPromise(
      Effect.gen(function*() {
        const hour = scriptedSession(yield* SessionKernel, conversation(400, 1, 9000))
        const replayer = yield* Replayer
        yield* replayer.replay(scriptedSession(yield* SessionKernel, conversation(20, 1, 9000)))
        const seconds: Array<number> = []
        let sessionMs = 0
        for (let i = 0; i < runs; i++) {
          tell(`run ${i + 1} of ${runs}`)
          const began = performance.now()
          const report = yield* replayer.replay(hour)
          if (!report.identical) return yield* Effect.die("the hour did not replay identically: no figure")
          seconds.push((performance.now() - began) / 1000)
          sessionMs = report.sessionMs
        }
        const value = seconds.sort((a, b) => a - b)[Math.floor(runs / 2)] ?? 0
        const bare = plain(hour.records)
        return [
          { name: "replay of one hour of call", value, unit: "s", bare, bound: { atMost: 1 } },
          { name: "replay, session ÷ real time", value: sessionMs / 1000 / value, unit: "×" }
        ]
      }).pipe(Effect.provide(Layer.mergeAll(SessionKernel.layer, Replayer.layer)))
    )
}
export default measure
