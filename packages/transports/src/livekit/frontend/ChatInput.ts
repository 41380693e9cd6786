import { RoomEvent } from "@livekit/rtc-node"
import type { RemoteParticipant, TextStreamReader } from "@livekit/rtc-node"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { RoomExtension } from "../RoomExtension.ts"
import { IncomingStreams, readBounded } from "./IncomingStreams.ts"

/** Topic of chat as text streams, and of the data packets that clients of before 2025 send. */
export const chatTopic = "lk.chat"
export const legacyChatTopic = "lk-chat-topic"

/** Length of one message, bytes of UTF-8: some 2,500 words. */
export const defaultMaxChatBytes = 16_384

/** How long a message may take to come in, ms. */
export const chatTimeoutMs = 10_000

const LegacyMessage = Schema.fromJsonString(Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  message: Schema.String,
  /** The same message comes as a text stream too. */
  ignoreLegacy: Schema.optionalKey(Schema.Boolean)
}))
const decodeLegacy = Schema.decodeUnknownOption(LegacyMessage)

/**
 * What the caller types, from text streams on topic `lk.chat`, as typed text of the session: the agent answers aloud, and
 * an answer that it is giving makes way.
 *
 * Only the caller's own messages count. A stream's id is the message's idempotency key, so that one that is sent again is
 * taken once. Messages that are empty, longer than `maxBytes` or not complete within 10 s are not taken; that is logged.
 * Attached files are ignored. Messages of clients without text streams (data packets on `lk-chat-topic`) are taken too,
 * unless they say that they come twice.
 *
 * source: livekit/components-js packages/core/src/components/chat.ts, packages/core/src/observables/dataChannel.ts;
 * livekit/agents-js agents/src/voice/room_io/room_io.ts
 */
export const chatInput = (options?: { readonly maxBytes?: number }): RoomExtension => {
  const maxSize = options?.maxBytes ?? defaultMaxChatBytes
  const streams = new IncomingStreams<TextStreamReader>("a chat message")
  return {
    beforeConnect: (room) => room.registerTextStreamHandler(chatTopic, streams.take),
    linked: streams.linked,
    joined: ({ caller, ingress, room }) => {
      const say = (text: string, id: string | undefined) => {
        if (text.trim() !== "") ingress.text(text, id)
      }
      const legacy = (
        payload: Uint8Array,
        participant: RemoteParticipant | undefined,
        _: unknown,
        topic: string | undefined
      ) => {
        if (topic !== legacyChatTopic || participant === undefined || payload.length > 2 * maxSize) return
        if (participant.identity !== caller()?.identity) return
        const { ignoreLegacy, id, message } = Option.getOrElse(
          decodeLegacy(new TextDecoder().decode(payload)),
          () => ({ ignoreLegacy: true, id: undefined, message: "" })
        )
        if (ignoreLegacy !== true && Buffer.byteLength(message) <= maxSize) say(message, id)
      }
      return Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => room.on(RoomEvent.DataReceived, legacy)),
          () => Effect.sync(() => room.off(RoomEvent.DataReceived, legacy))
        )
        yield* streams.serve(
          (reader) =>
            readBounded(reader, { maxSize, timeoutMs: chatTimeoutMs, sizeOf: (chunk) => Buffer.byteLength(chunk) })
              .pipe(Effect.map((chunks) => say(chunks.join(""), reader.info.streamId))),
          () => room.unregisterTextStreamHandler(chatTopic)
        )
      })
    }
  }
}
