/**
 * The catalog entry of a provider: what the plan and the invocation need to know of it.
 *
 * `firstResultCapMs` bounds the time from the invocation's start to its first result; absent means the profile's
 * 1000 ms. The embedded recogniser declares 4000 ms (CONTRACT section 5).
 */
export interface ProviderDescriptor {
  readonly provider_id: string
  readonly modality: "stt" | "llm" | "tts"
  readonly firstResultCapMs?: number
}
