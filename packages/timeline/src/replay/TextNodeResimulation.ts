import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { NamedRandom } from "@rspp/runtime/determinism/NamedRandom"
import type { AnyNode, NodeContext, NodeItem, NodeOutput, TextKind, Work } from "@rspp/runtime/nodes/NodeDefinition"
import type { NodeFailure } from "@rspp/runtime/nodes/NodeFailure"
import type { NodeRegistryService } from "@rspp/runtime/nodes/NodeRegistry"
import { NodeStates } from "@rspp/runtime/nodes/NodeState"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { divergenceOf } from "./DivergenceClassifier.ts"

/** Nodes of this family give the same for the same items, whatever the time and the chance. */
const deterministic = "builtin/"

interface Given {
  readonly handle: string
  readonly label: string | undefined
  readonly record: TimelineRecord
}

/** One recorded call of a node: what it was given and what it gave. */
interface Call {
  readonly id: string
  readonly nodeId: string
  readonly implementation: string
  readonly turnId: string | undefined
  readonly items: Array<{ readonly handle: string; readonly kind: TextKind; readonly edgeId: string }>
  readonly outputs: Array<Given>
  ended: boolean
  /** It did all of its work; else it may have given less. */
  whole: boolean
}

/** What came of running text filters and segmenters of a recording again. */
export interface TextNodesRun {
  /** Calls that were run again. */
  readonly calls: number
  /** The nodes of those. */
  readonly ran: ReadonlySet<string>
  /** Texts that are the same. */
  readonly same: number
  readonly divergences: ReadonlyArray<ReplayDivergence>
  /** Nodes of which a call could not be run again, and why. */
  readonly notRun: ReadonlyMap<string, string>
}

const isText = (kind: string): kind is TextKind => kind !== "voice" && kind !== "caller_audio" && kind !== "voice_edge"

const callsOf = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<Call> => {
  const calls = new Map<string, Call>()
  for (const record of records) {
    if (record.record === "command") {
      const { command } = record
      if (command.type === "start_invocation" && command.provider_id.startsWith(deterministic)) {
        const { node_id, provider_id, provider_invocation_id: id, turn_id } = command
        const started: Call = {
          id,
          nodeId: node_id,
          implementation: provider_id,
          turnId: turn_id,
          items: [],
          outputs: [],
          ended: false,
          whole: false
        }
        calls.set(id, started)
      } else if (command.type === "push_item" && isText(command.payload_kind)) {
        const { edge_id, handle, payload_kind, provider_invocation_id } = command
        calls.get(provider_invocation_id)?.items.push({ handle: handle.id, kind: payload_kind, edgeId: edge_id })
      } else if (command.type === "end_items") {
        const call = calls.get(command.provider_invocation_id)
        if (call !== undefined) call.ended = true
      }
    } else if (record.record === "input" && record.input.type === "node_item") {
      const { handle, provider_invocation_id } = record.input
      calls.get(provider_invocation_id)?.outputs.push({ handle: handle.id, label: handle.facts?.label, record })
    } else if (record.record === "invocation" && record.invocation.outcome_class === "success") {
      const call = calls.get(record.invocation.provider_invocation_id)
      if (call !== undefined) call.whole = true
    }
  }
  return [...calls.values()]
}

/**
 * Runs the text filters and segmenters of a recording again, on the texts that they were given, and compares the texts that
 * they give with those that they gave. Texts themselves are in no message.
 */
export const resimulateTextNodes = Effect.fnUntraced(function*(
  registry: NodeRegistryService,
  { header, records }: { readonly header: TimelineHeader; readonly records: ReadonlyArray<TimelineRecord> }
) {
  const texts = new Map(
    records.flatMap((record) =>
      record.record === "payload" && record.action === "allow" && record.text !== undefined
        ? [[record.handle_id, record.text] as const]
        : []
    )
  )
  const notRun = new Map<string, string>()
  const divergences: Array<ReplayDivergence> = []
  const ran = new Set<string>()
  let calls = 0
  let same = 0
  for (const call of callsOf(records)) {
    const definition = registry.find(call.implementation)
    const lacking = [...call.items, ...call.outputs].find(({ handle }) => !texts.has(handle))
    if (definition === undefined || lacking !== undefined) {
      notRun.set(
        call.nodeId,
        lacking === undefined ? `there is no ${call.implementation} here` : `payload ${lacking.handle} was not kept`
      )
      continue
    }
    const given = yield* Effect.scoped(rerun(definition, call, header, texts))
    calls++
    ran.add(call.nodeId)
    for (let at = 0; at < Math.max(given.length, call.outputs.length); at++) {
      const was = call.outputs[at]
      const is = given[at]
      // Work that was cut off gave less than it would have.
      if (was === undefined && !call.whole) break
      const text = was === undefined ? undefined : texts.get(was.handle)
      if (is !== undefined && is.text === text && is.label === was?.label) {
        same++
        continue
      }
      const size = (content: string | undefined) => content === undefined ? "absent" : `${content.length} characters`
      const message =
        `node ${call.nodeId}, call ${call.id}: output ${at + 1} is another; ${size(text)} in the recording, ` +
        `${size(is?.text)} in the replay`
      const step = { sequence: 0, atMs: 0 }
      const divergence = divergenceOf("OUTCOME_DIVERGENCE", message, step, was?.record)
      divergences.push(
        call.turnId === undefined ? divergence : { ...divergence, scope: `turn:${call.turnId}` }
      )
      break
    }
  }
  const result: TextNodesRun = { calls, ran, same, divergences, notRun }
  return result
})

interface Text {
  readonly text: string
  readonly label: string | undefined
}

/** What the node gives for the items of a call; up to where it fails, if it does. */
const rerun = Effect.fnUntraced(function*(
  definition: AnyNode,
  call: Call,
  header: TimelineHeader,
  texts: ReadonlyMap<string, string>
) {
  const node = header.pipeline.graph.nodes.find(({ node_id }) => node_id === call.nodeId)
  const settings = yield* Effect.orDie(Schema.decodeUnknownEffect(definition.settings)(node?.settings ?? {}))
  const states = new NodeStates()
  const context: NodeContext = {
    sessionId: header.session_id,
    turnId: call.turnId,
    nodeId: call.nodeId,
    settings,
    nowMs: () => 0,
    budget: {
      itemMs: header.pipeline.provider_first_result_ms,
      remainingMs: () => header.pipeline.provider_first_result_ms
    },
    state: { turn: states.turn(call.nodeId, call.turnId ?? ""), session: states.session(call.nodeId) },
    random: (name) => new NamedRandom(header.seed, name),
    log: () => Effect.void,
    count: () => Effect.void
  }
  const given: Array<Text> = []
  const take = (work: Work) =>
    Effect.map(outputsOf(work), (outputs) => {
      for (const output of outputs) {
        if (typeof output === "string") given.push({ text: output, label: undefined })
        else if ("text" in output) given.push({ text: output.text, label: output.label })
      }
    })
  // A failure ends the node's work: what it gave before counts.
  const exit = yield* Effect.exit(Effect.gen(function*() {
    const run = yield* definition.start(context)
    for (const { edgeId, handle, kind } of call.items) {
      const item: NodeItem = { kind, edgeId, facts: {}, text: texts.get(handle) ?? "" }
      yield* take(run.onItem(item, context))
    }
    const { onEnd } = run
    if (call.ended && onEnd !== undefined) yield* take(onEnd(context))
  }))
  if (Exit.isFailure(exit) && Exit.hasInterrupts(exit)) return yield* Effect.interrupt
  return given
})

const outputsOf = (work: Work): Effect.Effect<ReadonlyArray<NodeOutput>, NodeFailure, Scope.Scope> => {
  if (Stream.isStream(work)) return Stream.runCollect(work)
  return Effect.map(
    Effect.isEffect(work) ? work : Effect.succeed(work),
    (some) => some === undefined ? [] : Array.isArray(some) ? some : [some]
  )
}
