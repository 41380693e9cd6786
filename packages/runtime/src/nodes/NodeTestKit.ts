import type { NodeSettings } from "@rspp/contracts/GraphDefinition"
import type { OutcomeClass } from "@rspp/contracts/Invocation"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { Timebase } from "../determinism/Timebase.ts"
import { InvocationRunner } from "../invocation/InvocationRunner.ts"
import { ProviderManager } from "../invocation/ProviderManager.ts"
import { AudioHistory } from "../listening/AudioHistory.ts"
import { SentenceSegmenter } from "../ports/SentenceSegmenter.ts"
import { PayloadStore } from "../session/PayloadStore.ts"
import type { NodeError } from "./NodeBinding.ts"
import { capOf } from "./NodeBinding.ts"
import type { AnyNode, NodeFacts, NodeKind, TextKind } from "./NodeDefinition.ts"
import { ExecutionPool } from "../limits/ExecutionPool.ts"
import { NodeHost } from "./NodeHost.ts"
import { layerOf } from "./NodeRegistry.ts"
import { NodeTelemetry } from "./NodeTelemetry.ts"

/** What happens to the node, so many ms after the turn's start. */
export type NodeEvent =
  & { readonly atMs: number }
  & (
    | { readonly does: "text"; readonly kind: TextKind; readonly text: string; readonly facts?: NodeFacts }
    | { readonly does: "voice"; readonly samples: Int16Array }
    | { readonly does: "notice"; readonly notice: "barge_in" | "false_alarm" | "budget_warning" }
    | { readonly does: "cancel"; readonly reason: string }
    | { readonly does: "end" | "hold" | "release" }
  )

/** A text for the node. It is given when it is done with the one before. */
export const text = (atMs: number, kind: TextKind, content: string, facts?: NodeFacts): NodeEvent => ({
  atMs,
  does: "text",
  kind,
  text: content,
  ...(facts === undefined ? {} : { facts })
})
export const voice = (atMs: number, samples: Int16Array): NodeEvent => ({ atMs, does: "voice", samples })
/** The caller speaks while the agent does. */
export const bargeIn = (atMs: number): NodeEvent => ({ atMs, does: "notice", notice: "barge_in" })
export const falseAlarm = (atMs: number): NodeEvent => ({ atMs, does: "notice", notice: "false_alarm" })
export const budgetWarning = (atMs: number): NodeEvent => ({ atMs, does: "notice", notice: "budget_warning" })
export const cancel = (atMs: number, reason = "barge_in"): NodeEvent => ({ atMs, does: "cancel", reason })
/** The time of the node is used up. */
export const budgetExhausted = (atMs: number): NodeEvent => cancel(atMs, "timeout")
/** No more items come. Needed only where it is not the last event: then it comes by itself. */
export const end = (atMs: number): NodeEvent => ({ atMs, does: "end" })
/** Nobody has room for what the node gives, until `release`. */
export const hold = (atMs: number): NodeEvent => ({ atMs, does: "hold" })
export const release = (atMs: number): NodeEvent => ({ atMs, does: "release" })

/** One output, with when it came. */
export interface SeenOutput {
  readonly atMs: number
  readonly kind: NodeKind
  /** The text; empty for voice. */
  readonly text: string
  readonly samples: number
  readonly facts: NodeFacts
  /** It came after the cancel: in a call nobody would have got it. */
  readonly late: boolean
}

/** What one turn of the node came to. */
export interface SeenTurn {
  readonly outputs: ReadonlyArray<SeenOutput>
  /** The texts of the outputs that were in time. */
  readonly texts: ReadonlyArray<string>
  /** When each item was done. */
  readonly doneMs: ReadonlyArray<number>
  readonly endedMs: number
  readonly outcome: OutcomeClass
  readonly reason: string | undefined
}

export interface SeenRun {
  readonly turns: ReadonlyArray<SeenTurn>
  readonly logs: ReadonlyArray<string>
  readonly counts: Readonly<Record<string, number>>
}

export interface TestOptions {
  readonly settings?: NodeSettings
  readonly seed?: number
  /** What the pipeline allows for the first result, ms. */
  readonly capMs?: number
  readonly graceMs?: number
  /** `virtual` time by default; `real` for a node that waits for something outside of this program, such as a process. */
  readonly clock?: "virtual" | "real"
}

/** Time after its last event in which a turn must have ended, in ms of the test's clock. */
const patienceMs = 600_000

/** The same in real time. */
const realPatienceMs = 30_000

const passing = (options: TestOptions) => options.clock === "real" ? Effect.sleep : TestClock.adjust

/** How a provider's limits are in the profile `simple/v1`. */
const defaults = { capMs: 1000, graceMs: 75, seed: 1 } as const

/**
 * Lets a node live through turns, one after the other, in the host and runner of a real session, on virtual time: what
 * would take minutes takes none. Fails when the settings are not the node's, as a session would.
 */
export const runTurns = (
  node: AnyNode,
  turns: ReadonlyArray<ReadonlyArray<NodeEvent>>,
  options: TestOptions = {}
): Effect.Effect<SeenRun, NodeError> =>
  Effect.gen(function*() {
    const logs: Array<string> = []
    const counts: Record<string, number> = {}
    const telemetry = Layer.succeed(NodeTelemetry, {
      log: (_origin, message) => Effect.sync(() => void logs.push(message)),
      count: (_origin, name, by) =>
        Effect.sync(() => {
          counts[name] = (counts[name] ?? 0) + by
        })
    })
    const scope = yield* Scope.make()
    const seen = yield* Effect.gen(function*() {
      const session = yield* openSession(node, options)
      const all: Array<SeenTurn> = []
      for (const [i, events] of turns.entries()) all.push(yield* session(`turn_${i + 1}`, events))
      return all
    }).pipe(
      Effect.provide([telemetry, layerOf([node])]),
      Scope.provide(scope),
      Effect.ensuring(Effect.gen(function*() {
        const graceMs = options.graceMs ?? defaults.graceMs
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        if (options.clock === "real") yield* Effect.timeoutOption(Fiber.await(closing), graceMs)
        else yield* TestClock.adjust(graceMs)
        closing.interruptUnsafe()
      }))
    )
    return { turns: seen, logs, counts }
  }).pipe(
    options.clock === "real"
      ? (effect) => effect
      : Effect.provide(TestClock.layer({ warningDelay: "1 hour" }), { local: true })
  )

/** One turn: see {@link runTurns}. */
export const runTurn = (
  node: AnyNode,
  events: ReadonlyArray<NodeEvent>,
  options: TestOptions = {}
): Effect.Effect<SeenTurn & Omit<SeenRun, "turns">, NodeError> =>
  Effect.flatMap(
    runTurns(node, [events], options),
    ({ turns: [turn], ...rest }) =>
      turn === undefined ? Effect.die("a turn was lost") : Effect.succeed({ ...turn, ...rest })
  )

const openSession = Effect.fnUntraced(function*(node: AnyNode, options: TestOptions) {
  const { capMs, graceMs, seed } = { ...defaults, ...options }
  const pass = passing(options)
  const pipeline = {
    graph: {
      schema_version: "v1.0",
      graph_definition_ref: `sha256:${"0".repeat(64)}`,
      pipeline_id: "test",
      pipeline_version: "test-1",
      nodes: [{
        node_id: "node",
        node_type: "custom" as const,
        provider_id: node.id,
        ...(options.settings === undefined ? {} : { settings: options.settings })
      }],
      edges: []
    },
    provider_bindings: {}
  }
  const runtime = InvocationRunner.layerNoDeps.pipe(
    Layer.provideMerge(NodeHost.layerNoDeps),
    Layer.provide([
      ExecutionPool.layer,
      ProviderManager.layerOf({ stt: [], llm: [], tts: [] }),
      Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) })
    ])
  )
  const { host, service } = yield* Effect.provide(
    Effect.all({ host: NodeHost, service: InvocationRunner }),
    runtime,
    { local: true }
  )
  const bound = yield* host.bind(pipeline)
  const { nowMs } = yield* Effect.provide(Effect.flatMap(Timebase, (timebase) => timebase.start), Timebase.layer)
  const payloads = new PayloadStore("a key for tests")
  const contents = new Map<string, string | Int16Array>()
  let told: (input: SessionInput) => void = () => {}
  const runner = yield* service.open({
    payloads,
    history: new AudioHistory(),
    feedBounds: { items: 1, bytes: 640, ms: 20 },
    partialIntervalMs: 1000,
    graceMs,
    nodes: { session_id: "ses_test", seed, nowMs, bound },
    offer: (input) => Effect.sync(() => told(input)),
    onPayload: (handle, content) => void contents.set(handle.id, content)
  })

  return Effect.fnUntraced(function*(turnId: string, events: ReadonlyArray<NodeEvent>) {
    const id = `inv_${turnId}`
    const startedMs = nowMs()
    const outputs: Array<SeenOutput> = []
    const doneMs: Array<number> = []
    const waiting: Array<() => void> = []
    let busy = false
    let cancelled = false
    let over: Pick<SeenTurn, "endedMs" | "outcome" | "reason"> | undefined
    const atMs = () => nowMs() - startedMs
    const next = () => {
      if (busy || over !== undefined) return
      const push = waiting.shift()
      push?.()
    }
    told = (input) => {
      if (input.type === "node_item") {
        const content = contents.get(input.handle.id)
        outputs.push({
          atMs: atMs(),
          kind: input.payload_kind as NodeKind,
          text: typeof content === "string" ? content : "",
          samples: typeof content === "string" ? 0 : content?.length ?? 0,
          facts: input.handle.facts ?? {},
          late: cancelled
        })
        contents.delete(input.handle.id)
      } else if (input.type === "item_done") {
        doneMs.push(atMs())
        busy = false
        next()
      } else if (input.type === "invocation_ended") {
        over = { endedMs: atMs(), outcome: input.outcome_class, reason: input.reason }
      }
    }
    runner.start({
      type: "start_invocation",
      provider_invocation_id: id,
      node_id: "node",
      modality: "external",
      provider_id: node.id,
      turn_id: turnId,
      authority_epoch: 1,
      idempotency_key: id,
      cap_ms: capOf(node, capMs)
    })
    const item = (event: Extract<NodeEvent, { readonly does: "text" | "voice" }>) => () => {
      busy = true
      const kind = event.does === "voice" ? "voice" as const : event.kind
      const handle = event.does === "voice"
        ? payloads.audio(event.samples, turnId)
        : payloads.text(event.text, event.facts)
      runner.push({ type: "push_item", provider_invocation_id: id, edge_id: "in", payload_kind: kind, handle })
    }
    const endItems = () => {
      waiting.push(() => runner.endItems(id))
      next()
    }
    for (const event of [...events].sort((a, b) => a.atMs - b.atMs)) {
      yield* pass(Math.max(0, event.atMs - atMs()))
      switch (event.does) {
        case "text":
        case "voice":
          waiting.push(item(event))
          next()
          break
        case "notice":
          runner.notify({ type: "notify_node", provider_invocation_id: id, notice: event.notice })
          break
        case "cancel":
          cancelled = true
          runner.cancel(id, event.reason)
          break
        case "end":
          endItems()
          break
        case "hold":
          runner.pause(id)
          break
        case "release":
          runner.resume(id)
          break
      }
    }
    if (!events.some(({ does }) => does === "end" || does === "cancel")) endItems()
    // Small steps at first, so that what has ended is not waited for.
    const [longest, patience] = options.clock === "real" ? [10, realPatienceMs] : [patienceMs, patienceMs]
    const since = nowMs()
    for (let step = 1; over === undefined && nowMs() - since < patience; step *= 2) yield* pass(Math.min(step, longest))
    // What comes after the end would be a fault of the host: it is looked at too.
    yield* pass(options.clock === "real" ? 20 : graceMs * 2)
    if (over === undefined) return yield* Effect.die(`the turn did not end within ${patience} ms`)
    const turn: SeenTurn = {
      ...over,
      outputs,
      texts: outputs.flatMap(({ kind, late, text }) => late || kind === "voice" ? [] : [text]),
      doneMs
    }
    return turn
  })
})
