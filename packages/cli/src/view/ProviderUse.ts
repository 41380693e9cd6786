import { endedMsOf } from "@rspp/contracts/Invocation"
import type { Modality, OutcomeClass } from "@rspp/contracts/Invocation"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"

/** What the calls of one provider came to, as one recording tells it. */
export interface ProviderUse {
  readonly modality: Modality
  readonly provider_id: string
  /** Calls that were started, those that had no end in the recording included. */
  calls: number
  readonly outcomes: Partial<Record<OutcomeClass, number>>
  /** Attempts beyond the first of each call. */
  retries: number
  /** Results that came after a cancel and were dropped. */
  late_outputs: number
  /** From the start to the first result, ms, of each call that had one. */
  readonly first_result_ms: Array<number>
  /** Over all attempts, ms, of each call that ended. */
  readonly total_ms: Array<number>
  /** Characters that went in: the conversation of a model (without what its adapter adds), the sentences of a voice. */
  input_chars: number
  /** Characters that a model gave. */
  output_chars: number
  /** Caller audio that a recogniser was given, ms: from the start of its call to the end of its utterance. */
  input_audio_ms: number
  /** Speech that a voice gave, ms. */
  output_audio_ms: number
}

interface Listening {
  readonly fromSample: number
  readonly use: ProviderUse
}

const unused = (modality: Modality, provider_id: string): ProviderUse => ({
  modality,
  provider_id,
  calls: 0,
  outcomes: {},
  retries: 0,
  late_outputs: 0,
  first_result_ms: [],
  total_ms: [],
  input_chars: 0,
  output_chars: 0,
  input_audio_ms: 0,
  output_audio_ms: 0
})

/** Every provider that was called, in the order of its first call. A pure function of the records. */
export const providerUse = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<ProviderUse> => {
  const uses = new Map<string, ProviderUse>()
  const calls = new Map<string, ProviderUse>()
  const listening = new Map<string, Listening>()
  const attempts = new Map<string, number>()
  let sample = 0
  const useOf = (modality: Modality, provider: string): ProviderUse => {
    const key = `${modality} ${provider}`
    const known = uses.get(key) ?? unused(modality, provider)
    uses.set(key, known)
    return known
  }
  /** The recogniser has heard the utterance of this call. */
  const heard = (invocation: string): void => {
    const call = listening.get(invocation)
    if (call === undefined) return
    listening.delete(invocation)
    call.use.input_audio_ms += Math.max(0, sample - call.fromSample) / samplesPerMs
  }
  for (const record of records) {
    switch (record.record) {
      case "audio":
        sample = Math.max(sample, record.first_sample_index + record.count * frameMs * samplesPerMs)
        break
      case "command": {
        const { command } = record
        if (command.type === "start_invocation") {
          const use = useOf(command.modality, command.provider_id)
          use.calls++
          calls.set(command.provider_invocation_id, use)
          for (const { parts } of command.conversation ?? []) {
            for (const { chars } of parts) use.input_chars += chars
          }
          use.input_chars += command.text?.length ?? 0
          if (command.modality === "stt") {
            listening.set(command.provider_invocation_id, { fromSample: command.from_sample ?? sample, use })
          }
        }
        if (command.type === "mark_utterance" && command.mark === "end") heard(command.provider_invocation_id)
        if (command.type === "cancel_invocation") heard(command.provider_invocation_id)
        break
      }
      case "input": {
        const { input } = record
        if (input.type === "text_delta") {
          const use = calls.get(input.provider_invocation_id)
          if (use !== undefined) use.output_chars += input.handle.length
        }
        if (input.type === "voice_chunk") {
          const use = calls.get(input.provider_invocation_id)
          if (use !== undefined) use.output_audio_ms += input.handle.length / samplesPerMs
        }
        break
      }
      case "invocation": {
        const { invocation } = record
        const use = calls.get(invocation.provider_invocation_id) ?? useOf(invocation.modality, invocation.provider_id)
        heard(invocation.provider_invocation_id)
        use.outcomes[invocation.outcome_class] = (use.outcomes[invocation.outcome_class] ?? 0) + 1
        // Attempts are counted over all calls for the same work.
        const before = attempts.get(invocation.idempotency_key) ?? 1
        use.retries += Math.max(0, invocation.attempts - before)
        attempts.set(invocation.idempotency_key, Math.max(before, invocation.attempts))
        use.late_outputs += invocation.late_outputs_dropped
        use.total_ms.push(endedMsOf(invocation) - invocation.started_ms)
        if (invocation.first_result_ms !== undefined) {
          use.first_result_ms.push(invocation.first_result_ms - invocation.started_ms)
        }
        break
      }
      default:
    }
  }
  for (const invocation of [...listening.keys()]) heard(invocation)
  return [...uses.values()]
}

/** The calls of several recordings together, in the order in which the providers first came. */
export const addedUse = (all: ReadonlyArray<ReadonlyArray<ProviderUse>>): ReadonlyArray<ProviderUse> => {
  const uses = new Map<string, ProviderUse>()
  for (const use of all.flat()) {
    const key = `${use.modality} ${use.provider_id}`
    const sum = uses.get(key) ?? unused(use.modality, use.provider_id)
    uses.set(key, sum)
    sum.calls += use.calls
    sum.retries += use.retries
    sum.late_outputs += use.late_outputs
    sum.input_chars += use.input_chars
    sum.output_chars += use.output_chars
    sum.input_audio_ms += use.input_audio_ms
    sum.output_audio_ms += use.output_audio_ms
    for (const ms of use.first_result_ms) sum.first_result_ms.push(ms)
    for (const ms of use.total_ms) sum.total_ms.push(ms)
    for (const [outcome, count] of Object.entries(use.outcomes) as ReadonlyArray<[OutcomeClass, number]>) {
      sum.outcomes[outcome] = (sum.outcomes[outcome] ?? 0) + count
    }
  }
  return [...uses.values()]
}
