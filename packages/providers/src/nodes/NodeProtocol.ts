import { NodeSettings } from "@rspp/contracts/GraphDefinition"
import { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import { NodeFailureClass } from "@rspp/runtime/nodes/NodeFailure"
import * as Schema from "effect/Schema"

/** The version that both sides say first. Another number is another protocol. */
export const protocol = "rspp-node/1"

/** Characters of one line, either way; ten seconds of speech are 430 000. */
export const lineChars = 1_048_576

const message = <T extends string, F extends Schema.Struct.Fields>(type: T, fields: F) =>
  Schema.Struct({ type: Schema.Literal(type), ...fields })

const Id = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
const Kind = Schema.Literals(["interim_transcript", "transcript", "text", "segment", "voice"])

/**
 * What a node in a process of its own is told: one JSON object a line on its standard input.
 *
 * `hello` comes first. `item` and `end` are requests: outputs with their `id` may follow, and one of `done`, `failed` or
 * `cancelled` must. `text` or `audio` (base64 of 16 kHz mono signed 16-bit little-endian samples) is the content.
 */
export const ToNode = Schema.Union([
  message("hello", {
    protocol: Schema.Literal(protocol),
    session_id: Schema.String,
    node_id: Schema.String,
    settings: NodeSettings,
    /** For whatever the node would otherwise leave to chance. */
    seed: Schema.Int
  }),
  message("item", {
    id: Id,
    turn_id: Schema.optionalKey(Schema.String),
    kind: Kind,
    text: Schema.optionalKey(Schema.String),
    audio: Schema.optionalKey(Schema.String),
    facts: PayloadHandle.fields.facts.schema,
    budget_ms: Schema.Finite
  }),
  message("end", { id: Id, turn_id: Schema.optionalKey(Schema.String) }),
  message("notice", {
    turn_id: Schema.optionalKey(Schema.String),
    notice: Schema.Literals(["barge_in", "false_alarm", "budget_warning"])
  }),
  message("cancel", { id: Id }),
  /** The node is done with: it ends by itself, or is ended. */
  message("bye", {})
])
export type ToNode = typeof ToNode.Type

/** What it answers: one JSON object a line on its standard output, and nothing else there. */
export const FromNode = Schema.Union([
  message("hello", { protocol: Schema.String }),
  message("output", {
    id: Id,
    kind: Schema.optionalKey(Kind),
    text: Schema.optionalKey(Schema.String),
    audio: Schema.optionalKey(Schema.String),
    label: Schema.optionalKey(Schema.String),
    complete: Schema.optionalKey(Schema.Boolean)
  }),
  message("done", { id: Id }),
  message("cancelled", { id: Id }),
  message("failed", {
    id: Id,
    outcome_class: NodeFailureClass,
    message: Schema.String,
    retryable: Schema.optionalKey(Schema.Boolean)
  }),
  message("log", { message: Schema.String }),
  message("count", { name: Schema.String, by: Schema.optionalKey(Schema.Finite) })
])
export type FromNode = typeof FromNode.Type

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(FromNode))

/** A line of a node's output, or undefined when it is no message. */
export const readLine = (line: string): FromNode | undefined => {
  const exit = decode(line)
  return exit._tag === "Success" ? exit.value : undefined
}

export const writeLine = (message: ToNode): string => `${JSON.stringify(message)}\n`

export const encodeAudio = (samples: Int16Array): string => {
  const bytes = Buffer.alloc(samples.length * 2)
  for (let i = 0; i < samples.length; i++) bytes.writeInt16LE(samples[i] ?? 0, i * 2)
  return bytes.toString("base64")
}

export const decodeAudio = (base64: string): Int16Array => {
  const bytes = Buffer.from(base64, "base64")
  const samples = new Int16Array(bytes.length >> 1)
  for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(i * 2)
  return samples
}
