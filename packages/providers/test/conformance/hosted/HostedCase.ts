import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { Effect, Stream } from "effect"
import type { HostedModality } from "@rspp/providers/Adapter"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import type { ProtocolServer } from "../../servers/ProtocolServer.ts"

/** One result of a call, whatever the modality: words or samples. */
export interface Output {
  /** The words of it, where it is words. */
  readonly text?: string
  /** The samples of it, where it is speech. */
  readonly samples?: Int16Array
  /** A recogniser's interim result. */
  readonly partial?: boolean
}

/** What a case drives: the port of one adapter, over a server of its protocol. */
export interface Driven {
  readonly server: ProtocolServer
  readonly modality: HostedModality
  /** Whether results come while the work goes on (the adapter's capability). */
  readonly streaming: boolean
  /** A call: cold, started when the stream is. */
  readonly call: (words?: string) => Stream.Stream<Output, ProviderFailure>
  /** What a well-served call without `words` says: the text, or nothing where the answer is speech. */
  readonly expected: string | undefined
  /** A second provider of the same adapter with other settings. */
  readonly withSettings: (changed: GivenSettings) => Effect.Effect<Driven>
  /** The words of a call as the server got them, where it got words: to see that they arrived as they are. */
  readonly wordsAtServer: (call: number) => string | undefined
}

/** One case of the conformance table. */
export interface HostedCase {
  /** Short, for the head of a table. */
  readonly name: string
  /** What is promised. */
  readonly promise: string
  /** Succeeds when the promise is kept; dies or fails with what was wrong otherwise. */
  readonly run: (driven: Driven) => Effect.Effect<void, unknown>
}
