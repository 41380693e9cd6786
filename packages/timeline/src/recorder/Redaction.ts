import type { PayloadClass } from "@rspp/contracts/Event"
import type { RedactionAction } from "@rspp/contracts/Evidence"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"

type Row = Readonly<Record<RecordingLevel, RedactionAction>>

const always = (action: RedactionAction): Row => ({ L0: action, L1: action, L2: action })

/**
 * What a timeline does with a payload of each class at each level: the timeline column of CONTRACT section 11, the
 * stricter choice where it leaves one.
 *
 * `hash` keeps what the handle already carries, its keyed hash; `drop` keeps nothing, nor the hash; neither writes a
 * payload record. Text is masked by
 * {@link maskText}; sound that is masked leaves its length and its times, and no payload record either (it has no hash).
 */
export const timelineRedaction: Readonly<Record<PayloadClass, Row>> = {
  audio_raw: { L0: "drop", L1: "mask", L2: "allow" },
  text_raw: { L0: "hash", L1: "mask", L2: "allow" },
  PII: always("hash"),
  PHI: { L0: "drop", L1: "hash", L2: "hash" },
  derived_summary: always("allow"),
  metadata: always("allow")
}

/** What of a recording's header the decision depends on. */
export type RedactionFacts = Pick<TimelineHeader, "behaviour_flags" | "payload_key_id">

/** True where evidence says what is really kept; recordings that were made before say `hash` of sound at L1. */
export const isTruthful = ({ behaviour_flags }: RedactionFacts): boolean =>
  behaviour_flags.includes(behaviourFlags.truthfulRedaction)

/** What a recording does with a payload. Where it has a key, PII is tokenized: a token is at least a hash. */
export const redactionFor = (
  payloadClass: PayloadClass,
  level: RecordingLevel,
  recording: RedactionFacts
): RedactionAction => {
  if (payloadClass === "audio_raw" && level === "L1" && !isTruthful(recording)) return "hash"
  if (payloadClass === "PII" && recording.payload_key_id !== undefined) return "tokenize"
  return timelineRedaction[payloadClass][level]
}

/** Every letter and digit as `*`: length, spaces and punctuation stay, so that the rhythm of a call can be read. */
export const maskText = (text: string): string => text.replace(/[\p{L}\p{N}\p{M}]/gu, "*")
