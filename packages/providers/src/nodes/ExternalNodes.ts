import type { AnyNode } from "@rspp/runtime/nodes/NodeDefinition"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { processNode } from "./ProcessNode.ts"

/** A nodes file cannot be used. `message` says where it is wrong, `hint` what to do. */
export class NodesFileError extends Schema.TaggedError<NodesFileError>()("NodesFileError", {
  message: Schema.String,
  hint: Schema.String
}) {}

const Kinds = Schema.Array(Schema.Literals(["interim_transcript", "transcript", "text", "segment", "voice"]))
const Name = Schema.String.check(Schema.isMinLength(1))
const Ms = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/**
 * The file that tells `rspp run --nodes` of nodes that are programs of their own: nothing need be compiled in.
 *
 * `command` is a program and its arguments, found by PATH or relative to the file. See `ProcessNode.ts` for the rest.
 */
export const NodesFile = Schema.Struct({
  nodes: Schema.Array(Schema.Struct({
    id: Name.annotate({ description: "The `provider_id` that pipelines name." }),
    command: Schema.NonEmptyArray(Name).annotate({
      description: "A program and its arguments, found by PATH or relative to the file."
    }),
    inputs: Kinds.annotate({ description: "The kinds that it takes." }),
    outputs: Kinds.annotate({ description: "The kinds that it gives." }),
    scope: Schema.optionalKey(
      Schema.Literals(["turn", "session"]).annotate({
        description: "Whether it has one process for each turn or for the session."
      })
    ),
    cancel: Schema.optionalKey(
      Schema.Literals(["interrupt", "finish_item"]).annotate({
        description: "What a cut does to an item that it works on: stops it, or lets it finish."
      })
    ),
    timeouts: Schema.optionalKey(Schema.Struct({
      start_ms: Schema.optionalKey(Ms.annotate({ description: "How long the program may take to start." })),
      item_ms: Schema.optionalKey(Ms.annotate({ description: "How long an item may take." })),
      stop_ms: Schema.optionalKey(Ms.annotate({ description: "How long it may take to stop." }))
    })),
    memory_mb: Schema.optionalKey(
      Schema.Int.check(Schema.isBetween({ minimum: 16, maximum: 65_536 })).annotate({
        description: "Memory that it may take; more ends it."
      })
    ),
    environment: Schema.optionalKey(
      Schema.Record(Schema.String, Schema.String).annotate({
        description: "Variables that it gets; of this process's it gets PATH only."
      })
    )
  })).check(Schema.isMaxLength(64))
})
export type NodesFile = typeof NodesFile.Type

/** How long a program may take to start, unless the file says otherwise: an interpreter takes its time, ms. */
const startMs = 5000

/**
 * External nodes (RK-09): the nodes of this runtime that run in processes of their own. None, unless a nodes file names
 * some.
 */
export class ExternalNodes extends Context.Service<ExternalNodes, {
  readonly definitions: ReadonlyArray<AnyNode>
}>()("rspp/ExternalNodes") {
  static readonly layerOf = (file: NodesFile, directory?: string) =>
    Layer.succeed(ExternalNodes, { definitions: file.nodes.map((node) => define(node, directory)) })
}

const define = (node: NodesFile["nodes"][number], directory: string | undefined): AnyNode =>
  processNode({
    id: node.id,
    command: [...node.command] as [string, ...Array<string>],
    inputs: node.inputs,
    outputs: node.outputs,
    timeouts: {
      startMs: node.timeouts?.start_ms ?? startMs,
      ...(node.timeouts?.item_ms === undefined ? {} : { itemMs: node.timeouts.item_ms }),
      ...(node.timeouts?.stop_ms === undefined ? {} : { stopMs: node.timeouts.stop_ms })
    },
    ...(node.scope === undefined ? {} : { scope: node.scope }),
    ...(node.cancel === undefined ? {} : { cancel: node.cancel }),
    ...(node.memory_mb === undefined ? {} : { memoryMb: node.memory_mb }),
    ...(node.environment === undefined ? {} : { environment: node.environment }),
    ...(directory === undefined ? {} : { directory })
  })

/** Reads the text of a nodes file. `taken`: ids that there are already. */
export const readNodesFile = Effect.fn("readNodesFile")(
  function*(text: string, file: string, taken: ReadonlyArray<string>): Effect.fn.Return<NodesFile, NodesFileError> {
    const nodes = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(NodesFile), { onExcessProperty: "error" })(
      text
    )
      .pipe(Effect.mapError((error) =>
        new NodesFileError({
          message: `${file}: ${error.message.split("\n").map((line) => line.trim()).join(" ")}`,
          hint: "docs/nodes.md shows what a nodes file holds."
        })
      ))
    const ids = [...taken, ...nodes.nodes.map(({ id }) => id)]
    const twice = ids.find((id, i) => ids.indexOf(id) !== i)
    if (twice !== undefined) {
      return yield* new NodesFileError({
        message: `${file}: there is a node ${twice} already`,
        hint: "Give the node a name of its own, such as acme/redact."
      })
    }
    return nodes
  }
)
