import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** Audio is 16 kHz in frames of 20 ms (CONTRACT section 2). */
const frameDurationMs = 20
const samplesPerMillisecond = 16

export const cutEarned: Checker = {
  id: "C27",
  holds: ["I-BARGE-ORDER"],
  sentence:
    "Speech cuts the agent only when it has lasted barge_in.min_ms, from its first to its last sample, or by a key that is pressed to talk.",
  check: (header, records) => {
    const findings = new Findings("C27", records)
    const { backchannel = [], min_ms, min_words = 0 } = header.session_config.barge_in
    const wordsCount = backchannel.length > 0 || min_words > 0
    const byKey = header.session_config.turn_detection === "push_to_talk"
    // The newest frame, its last sample and when it came: it maps samples to the session's time.
    let newestSample = 0
    let newestMs = 0
    let onsetMs: number | undefined
    /** How long the speech is known to have lasted in this step. */
    let lastedMs: number | undefined
    /** It has lasted long enough before: where words count, they may come after that. */
    let earned = false
    /** What the session took in last, other than audio. */
    let cause = ""
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "audio") {
        lastedMs = undefined
        const { count, first_sample_index, first_timestamp_ms, jitter } = record
        newestSample = first_sample_index + count * frameDurationMs * samplesPerMillisecond
        newestMs = (jitter ?? []).reduce((sum, ms) => sum + ms, first_timestamp_ms + (count - 1) * frameDurationMs)
      } else if (record.record === "input") {
        const { input, runtime_timestamp_ms: now } = record
        lastedMs = undefined
        cause = input.type
        if (input.type === "voice_activity") {
          const at = newestMs - (newestSample - input.sample_index) / samplesPerMillisecond
          const ms = Math.min(now, Math.max(0, Math.round(at)))
          if (input.edge === "speech_started") {
            onsetMs = ms
            earned = false
          } else if (onsetMs !== undefined) lastedMs = ms - onsetMs
        } else if (input.type === "timer" && onsetMs !== undefined) lastedMs = now - onsetMs
        earned ||= lastedMs !== undefined && lastedMs >= min_ms
      } else if (record.record === "signal") {
        const { reason, signal, turn_id } = record.signal
        if (signal !== "cancel" || reason !== "barge_in") continue
        if (byKey && cause === "push_to_talk") continue
        if (wordsCount && earned) continue
        if (lastedMs === undefined || lastedMs < min_ms) {
          findings.broken(`${turn_id} is cut by ${lastedMs ?? 0} ms of speech; ${min_ms} are wanted`, index, turn_id)
        }
      }
    }
    return findings.violations
  }
}
