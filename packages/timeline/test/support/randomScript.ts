import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { Fault, Script, Speech } from "./Script.ts"
import { SeededStream } from "./SeededStream.ts"

const faultOutcomes = ["timeout", "overload", "blocked", "infrastructure_failure", "silent", "late"] as const

/** Something that may happen to a session at any time. */
const incident = (stream: SeededStream, epoch: number): SessionInput => {
  switch (stream.between(0, 9)) {
    case 0:
      return { type: "cancel_requested", scope: "turn", reason: "user" }
    case 1:
      return { type: "cancel_requested", scope: "session", reason: "user", idempotency_key: `k${stream.between(0, 2)}` }
    case 2:
      return {
        type: "cancel_requested",
        scope: "node",
        node_id: ["llm", "tts"][stream.between(0, 1)] ?? "llm",
        reason: "user"
      }
    case 3:
      return { type: "lease", authority_epoch: epoch + stream.between(0, 1), status: "rotated", ttl_ms: 10_000 }
    case 4:
      return {
        type: "lease",
        authority_epoch: epoch,
        status: stream.between(0, 1) === 0 ? "revoked" : "issued",
        ttl_ms: 10_000
      }
    case 5:
      return {
        type: "connection",
        state: (["reconnecting", "disconnected", "connected", "silence", "stall"] as const)[stream.between(0, 4)] ??
          "silence"
      }
    case 6:
      return { type: "media_loss", edge_id: "input.caller_audio.stt", count: 2, first: 0, last: 320 }
    case 7:
      return {
        type: "output_rejected",
        turn_id: `turn_${stream.between(1, 3)}`,
        authority_epoch: epoch,
        reason: (["fenced", "stale_epoch", "lease_expired"] as const)[stream.between(0, 2)] ?? "fenced",
        samples: 320
      }
    default:
      return {
        type: "typed_text",
        handle: { id: `typed_${stream.between(0, 3)}`, payload_class: "text_raw", length: 12, facts: { words: 2 } },
        ...(stream.between(0, 3) === 0 ? { authority_epoch: epoch + 1 } : {})
      }
  }
}

/** A session of a few turns in which nearly anything may happen at any time; another one for each seed. */
export const randomScript = (seed: number): Script => {
  const stream = new SeededStream(seed, "script")
  const speech: Array<Speech> = []
  let at = stream.between(50, 800)
  for (let turn = stream.between(1, 5); turn > 0; turn--) {
    const lastsMs = stream.between(0, 9) === 0 ? 22_000 : stream.between(80, 2000)
    speech.push({
      atMs: at,
      lastsMs,
      words: stream.between(0, 5),
      ...(stream.between(0, 2) === 0 ? {} : { complete: stream.between(0, 1) === 1 })
    })
    at += lastsMs + stream.between(100, 5000)
  }
  const lastsMs = at + stream.between(0, 4000)
  const faults: Array<Fault> = []
  for (let fault = stream.between(0, 2); fault > 0; fault--) {
    faults.push({
      modality: (["stt", "llm", "tts"] as const)[stream.between(0, 2)] ?? "llm",
      call: stream.between(1, 3),
      outcome: faultOutcomes[stream.between(0, faultOutcomes.length - 1)] ?? "silent",
      retryable: stream.between(0, 1) === 0,
      afterMs: stream.between(0, 300)
    })
  }
  const inputs = Array.from({ length: stream.between(0, 3) }, () => ({
    atMs: stream.between(0, lastsMs),
    input: incident(stream, 1)
  }))
  return {
    seed,
    lastsMs,
    speech,
    inputs,
    faults,
    shuffleTies: true,
    jitterMs: stream.between(0, 2) * 9,
    timerLatenessMs: stream.between(0, 2) * 2,
    ...(stream.between(0, 5) === 0 ? { refuseEvidence: [stream.between(1, 2)] } : {}),
    ...(stream.between(0, 9) === 0 ? { snapshots: { maxTurns: 1 } } : {}),
    ...(stream.between(0, 9) === 0 ? { abandon: true } : {})
  }
}
