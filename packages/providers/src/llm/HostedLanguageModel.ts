import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import type { Sse } from "effect/encoding"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { HostedSettings } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { hedged, hedgeSetting } from "../hosted/Hedge.ts"
import { maxWarmConnections, warmed } from "../hosted/HttpClient.ts"
import type { Meaning, ServerEventsOptions } from "../hosted/ServerEvents.ts"
import { serverEvents } from "../hosted/ServerEvents.ts"
import { byDefault, number, text } from "../hosted/Settings.ts"
import type { Conversation } from "./Conversation.ts"
import { conversationOf } from "./Conversation.ts"
import { RunningUsage } from "./RunningUsage.ts"

/** A whole number of at least `min`. */
export const count = (min: number, max = Number.MAX_SAFE_INTEGER) => number(min, max).check(Schema.isInt())

/**
 * The settings that every hosted language model has besides those of all hosted providers.
 *
 * - `system`: a prompt that is put before the system messages of the conversation.
 * - `max_tokens`: the longest reply, in tokens; a reply that is cut there ended regularly.
 * - `temperature`: how free the model is in its choice of words; the model's own where it is left out.
 * - `hedge_after_ms`: a request is sent a second time when nothing came for so long (ms), and the first that speaks wins; off
 *   by default.
 * - `warm_connections`: connections that are opened before the first call.
 */
export const languageModelSettings = {
  ...hedgeSetting,
  system: Schema.optionalKey(text),
  max_tokens: Schema.optionalKey(count(1)),
  temperature: Schema.optionalKey(number(0, 2)),
  warm_connections: byDefault(count(0, maxWarmConnections), 1)
}

/** What {@link languageModelSettings} give. */
export interface LanguageModelSettings extends HostedSettings {
  readonly hedge_after_ms?: number
  readonly system?: string
  readonly max_tokens?: number
  readonly temperature?: number
  readonly warm_connections: number
}

/** One vendor's protocol, as far as it differs from the others. */
export interface ReplyProtocol {
  readonly failures: Failures
  readonly request: (conversation: Conversation) => HttpClientRequest
  /** What the events of one reply mean; called anew for each request. */
  readonly meanings: (usage: RunningUsage) => (event: Sse.Event) => Effect.Effect<Meaning<string>, ProviderFailure>
  readonly refused?: NonNullable<ServerEventsOptions<string>["refused"]>
}

/**
 * A language model over HTTP and server-sent events: warms connections, asks, streams, hedges where that is set.
 *
 * It does not retry by itself: the session does. Interrupting closes the connection, whatever it waits for. The key
 * appears in no message and no error.
 */
export const hostedLanguageModel = (provider_id: string, settings: LanguageModelSettings, protocol: ReplyProtocol) =>
  Effect.gen(function*() {
    const { connect_ms, first_result_ms } = settings
    const client = HttpClient.withScope(yield* HttpClient.HttpClient)
    yield* warmed(settings.base_url, settings.warm_connections, connect_ms)
    const { failures, refused } = protocol
    return LanguageModel.of({
      descriptor: { provider_id, modality: "llm", firstResultCapMs: first_result_ms },
      reply: (messages) =>
        hedged(
          settings.hedge_after_ms,
          Stream.suspend(() =>
            serverEvents({
              client,
              connectMs: connect_ms,
              failures,
              headMs: first_result_ms,
              meaningOf: protocol.meanings(new RunningUsage()),
              request: protocol.request(conversationOf(messages, settings.system)),
              stallMs: settings.stall_ms,
              ...(refused === undefined ? {} : { refused })
            })
          )
        )
    })
  })
