import * as Context from "effect/Context"
import type { Stream } from "effect"
import type { ProviderDescriptor } from "./ProviderDescriptor.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/** One line of the conversation; an assistant line holds what the caller heard of it. */
export interface Message {
  readonly role: "system" | "user" | "assistant"
  readonly text: string
}

/**
 * Language model (RK-10 port): one call of `reply` is one provider invocation.
 *
 * Streams the reply as text deltas, in order; concatenated they are the reply. Interrupting the stream cancels the
 * request. It fails with {@link ProviderFailure}.
 */
export class LanguageModel extends Context.Service<LanguageModel, {
  readonly descriptor: ProviderDescriptor
  readonly reply: (messages: ReadonlyArray<Message>) => Stream.Stream<string, ProviderFailure>
}>()("rspp/LanguageModel") {}
