import * as Schema from "effect/Schema"
import { PayloadClass } from "./Event.ts"
import { Id, Sha256Hex } from "./Identity.ts"
import { Natural } from "./Quantity.ts"
import { Milliseconds } from "./Time.ts"

/**
 * What the kernel sees of a payload: never its bytes.
 *
 * `length` counts characters of text or samples of audio. `hash` is keyed, so that it cannot be guessed back into words.
 * `facts` are the few things about the content that decisions depend on; they are recorded at every level, which is why
 * a recording without the words replays identically.
 */
export const PayloadHandle = Schema.Struct({
  id: Id,
  payload_class: PayloadClass,
  length: Natural,
  hash: Schema.optionalKey(Sha256Hex),
  facts: Schema.optionalKey(Schema.Struct({
    words: Schema.optionalKey(Natural),
    complete: Schema.optionalKey(Schema.Boolean),
    /** Whether all of it are words of the session's `barge_in.backchannel`; absent where the session has none. */
    backchannel: Schema.optionalKey(Schema.Boolean),
    duration_ms: Schema.optionalKey(Milliseconds),
    /** Of speech: characters of its sentence that have been spoken by its end; absent where its voice does not know. */
    spoken_chars: Schema.optionalKey(Natural),
    /** What a node found out about it, for the conditions of edges. */
    label: Schema.optionalKey(Id)
  }))
}).annotate({ identifier: "PayloadHandle" })
export type PayloadHandle = typeof PayloadHandle.Type
