import { assert, describe, layer } from "@effect/vitest"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { busyScript, recordingText } from "../support/recording.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

const signals = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((record) => record.record === "signal" ? [record.signal] : [])

describe("a scripted session", () => {
  layer(SessionKernel.layer)((it) => {
    // Before any other: a test that is not the same twice says nothing.
    it.effect("is the same twice, byte for byte, in this process and in another", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const first = recordingText(scriptedSession(kernels, busyScript(6, 42)))
        assert.strictEqual(recordingText(scriptedSession(kernels, busyScript(6, 42))), first)
        assert.notStrictEqual(recordingText(scriptedSession(kernels, busyScript(6, 43))), first)
        const script = join(import.meta.dirname, "../support/recording.ts")
        assert.strictEqual(execFileSync(process.execPath, [script, "6", "42"], { encoding: "utf8" }), first)
      }))

    it.effect("writes records that keep the contract", () =>
      Effect.gen(function*() {
        const { header, records } = scriptedSession(yield* SessionKernel, busyScript(6, 5))
        for (const record of [header, ...records]) {
          const verdict = validate("timeline_record", record)
          assert.isTrue(verdict.ok, verdict.ok ? "" : `${record.record}: ${verdict.issues.map(formatIssue).join("; ")}`)
        }
      }))

    it.effect("has turns that commit, a turn that is cut, and a close for each", () =>
      Effect.gen(function*() {
        const { records } = scriptedSession(yield* SessionKernel, busyScript(12, 3))
        const count = (name: string) => signals(records).filter(({ signal }) => signal === name).length
        assert.isAtLeast(count("commit"), 5)
        assert.isAtLeast(count("abort"), 1)
        assert.isAtLeast(count("barge_in"), 1)
        assert.strictEqual(count("close"), count("commit") + count("abort"))
        assert.strictEqual(count("turn_open"), count("close"))
        const evidence = records.filter((record) => record.record === "evidence")
        assert.strictEqual(evidence.length, count("turn_open"))
      }))

    it.effect("refuses evidence where the script says so", () =>
      Effect.gen(function*() {
        const script = { ...busyScript(3, 3), refuseEvidence: [1] }
        const { records } = scriptedSession(yield* SessionKernel, script)
        const aborts = signals(records).filter(({ signal }) => signal === "abort")
        assert.isTrue(aborts.some(({ reason }) => reason === "recording_evidence_unavailable"))
      }))
  })
})
