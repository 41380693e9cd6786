import { assert, describe, layer } from "@effect/vitest"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import { sequenceGaps } from "../../src/format/SequenceGaps.ts"
import { evidenceCompleteness, formatIncomplete } from "../../src/recorder/EvidenceCompleteness.ts"
import { busyScript } from "../support/recording.ts"
import type { Fault, Script } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"
import { SeededStream } from "../support/SeededStream.ts"

/** A busy session in which, by seed, providers fail, the caller cuts, authority is lost, the line drops. */
const troubled = (seed: number): Script => {
  const draw = new SeededStream(seed, "trouble")
  const script = busyScript(6, seed)
  const outcomes = ["timeout", "overload", "blocked", "infrastructure_failure", "silent", "late"] as const
  const faults = Array.from({ length: draw.between(0, 4) }, (): Fault => ({
    modality: (["stt", "llm", "tts"] as const)[draw.between(0, 2)] ?? "llm",
    call: draw.between(1, 6),
    outcome: outcomes[draw.between(0, 5)] ?? "timeout",
    retryable: draw.between(0, 1) === 1,
    afterMs: draw.between(0, 300)
  }))
  const some: ReadonlyArray<SessionInput> = [
    { type: "cancel_requested", scope: "session", reason: "operator" },
    { type: "lease", authority_epoch: 2, status: "rotated", ttl_ms: 1_000_000 },
    { type: "lease", authority_epoch: 1, status: "revoked", ttl_ms: 0 },
    { type: "connection", state: "reconnecting" },
    { type: "connection", state: "disconnected" },
    { type: "connection", state: "stall" },
    { type: "shutdown", reason: "interrupted" }
  ]
  const inputs = Array.from({ length: draw.between(0, 3) }, () => ({
    atMs: draw.between(500, script.lastsMs),
    input: some[draw.between(0, some.length - 1)] ?? some[0]!
  }))
  return { ...script, faults, inputs, refuseEvidence: draw.between(0, 3) === 0 ? [draw.between(1, 4)] : [] }
}

describe("the evidence of sessions of the real kernel", () => {
  layer(SessionKernel.layer)((it) => {
    it.effect("is complete for every accepted turn, however it ended", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const endings = new Map<string, number>()
        let acknowledged = 0
        for (let seed = 1; seed <= 150; seed++) {
          const { records } = scriptedSession(kernels, troubled(seed))
          assert.deepStrictEqual(sequenceGaps(records), [])
          assert.deepStrictEqual(formatIncomplete(evidenceCompleteness(records)), [], `seed ${seed}`)
          for (const record of records) {
            if (record.record === "evidence") {
              const { terminal } = record.evidence
              endings.set(terminal.reason ?? terminal.kind, (endings.get(terminal.reason ?? terminal.kind) ?? 0) + 1)
            }
            if (record.record === "supplement" && record.supplement.cancel?.acknowledged_ms !== undefined) {
              acknowledged++
            }
          }
        }
        assert.includeMembers([...endings.keys()], [
          "commit",
          "cancelled",
          "authority_loss",
          "recording_evidence_unavailable",
          "provider_failure",
          "transport_disconnect_or_stall"
        ])
        assert.isAbove(acknowledged, 0)
      }))
  })
})
