// Recordings in files: whole, torn, changed, and made under behaviour that is not known here.
import { assert, describe, layer } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { preambleOf } from "@rspp/timeline/format/TimelineFormat"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import type { ScriptedTimeline } from "@rspp/timeline/test/support/ScriptedSession"
import { Effect, Layer } from "effect"

const bytesOf = ({ header, records }: ScriptedTimeline): Uint8Array =>
  encodeTimeline(header, records.map((record) => [record]))

const decoded = (bytes: Uint8Array): Timeline => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const result = decoder.finish()
  if (result.is !== "timeline") throw new Error(`not a timeline: ${result.is}`)
  return result.timeline
}

describe("a recording in a file", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect("replays identically", () =>
      Effect.gen(function*() {
        const bytes = bytesOf(scriptedSession(yield* SessionKernel, conversation(3)))
        const report = yield* (yield* Replayer).replay(decoded(bytes))
        assert.deepInclude(report, { identical: true, complete: true, turns: 3 })
      }))

    it.effect("that ends early replays up to where it ends, and says so", () =>
      Effect.gen(function*() {
        const bytes = bytesOf(scriptedSession(yield* SessionKernel, conversation(3)))
        for (const part of [0.2, 0.5, 0.8, 0.99]) {
          const report = yield* (yield* Replayer).replay(decoded(bytes.subarray(0, Math.floor(bytes.length * part))))
          assert.deepInclude(report, { identical: true, complete: false })
          assert.strictEqual(report.tear?.reason, "truncated")
        }
      }))

    it.effect("of which any one byte was changed is not identical", () =>
      Effect.gen(function*() {
        const bytes = bytesOf(scriptedSession(yield* SessionKernel, conversation(1)))
        const replayer = yield* Replayer
        const first = preambleOf(2).length
        const headerEnd = first + 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(first)
        for (let at = headerEnd; at < bytes.length; at += 47) {
          const copy = Uint8Array.from(bytes)
          copy[at] = (copy[at] ?? 0) ^ 1
          const report = yield* replayer.replay(decoded(copy))
          assert.deepStrictEqual([at, report.identical && report.complete], [at, false])
          if (report.tear?.reason === "checksum") {
            assert.match(report.divergence?.message ?? "", /was changed at byte [0-9]+, after [0-9]+ records/u)
          }
        }
      }))

    it.effect("that was made under behaviour of another version is refused", () =>
      Effect.gen(function*() {
        const timeline = scriptedSession(yield* SessionKernel, conversation(1))
        const header = { ...timeline.header, behaviour_flags: [99] }
        const failure = yield* Effect.flip((yield* Replayer).replay({ ...timeline, header }))
        assert.strictEqual(failure._tag, "UnknownBehaviourFlags")
        assert.match(failure.message, /unknown here: 99/u)
      }))
  })
})
