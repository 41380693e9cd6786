import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A sink could not take a line. `message` is one sentence without the words of the line. */
export class TranscriptFailure extends Schema.TaggedError<TranscriptFailure>()("TranscriptFailure", {
  message: Schema.String
}) {}

/** One line of what was said, for whoever keeps it. */
export interface TranscriptLine {
  readonly session_id: string
  readonly turn_id: string
  /** The `transcript_sink` node that asks for it. */
  readonly node_id: string
  readonly role: "user" | "assistant"
  readonly text: string
}

/**
 * Where `transcript_sink` nodes write to; by default nowhere.
 *
 * Lines come one after the other, in order, in a fiber of their own: a sink that is slow or fails delays no call. The
 * text is what was said, unredacted; what is done with it is the sink's responsibility.
 */
export const TranscriptSink = Context.Reference<{
  readonly write: (line: TranscriptLine) => Effect.Effect<void, TranscriptFailure>
}>("rspp/TranscriptSink", { defaultValue: () => ({ write: () => Effect.void }) })
