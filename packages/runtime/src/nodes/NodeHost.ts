import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { CommandOf } from "@rspp/contracts/SessionCommand"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { named } from "../determinism/FiberName.ts"
import { NamedRandom } from "../determinism/NamedRandom.ts"
import { SentenceSegmenter } from "../ports/SentenceSegmenter.ts"
import type { BoundNode, BoundNodes, NodeError } from "./NodeBinding.ts"
import { bindNodes } from "./NodeBinding.ts"
import type { NodeContext, NodeItem, NodeRun } from "./NodeDefinition.ts"
import { broken } from "./NodeFailure.ts"
import type { NodeFailure } from "./NodeFailure.ts"
import { openInvocation } from "./NodeInvocation.ts"
import type { NodeInvocation, NodeIo, PushedItem } from "./NodeIo.ts"
import { NodeRegistry } from "./NodeRegistry.ts"
import { NodeStates } from "./NodeState.ts"
import { SecretScrubber } from "../ports/SecretScrubber.ts"
import { NodeTelemetry } from "./NodeTelemetry.ts"
import { segmenterNode } from "./SegmenterNode.ts"

/** What the host needs of its session. */
export interface NodeHostOptions {
  readonly session_id: string
  readonly seed: number
  readonly nowMs: () => number
  readonly nodes: BoundNodes
  readonly graceMs: number
  readonly readText: (handleId: string) => string | undefined
  readonly readVoice: (handleId: string) => Int16Array | undefined
}

/** The nodes of one session. */
export interface SessionNodes {
  /** Synchronous, and starts nothing: the work is the invocation's `run`. */
  readonly invoke: (command: CommandOf<"start_invocation">, io: NodeIo) => NodeInvocation
}

/**
 * Node host (RK-08): finds, checks and runs the nodes of a pipeline that are not the kernel's own.
 *
 * Guarantees: I-NODE-ISOLATED whatever a node does (throws, dies, fails, hangs) ends its own invocation and nothing
 * else; a node of the session that fails is closed, and starts anew with the next turn. See also {@link openInvocation}
 * and the runner of calls, which cuts off what does not end.
 */
export class NodeHost extends Context.Service<NodeHost, {
  /** Checks the nodes of a pipeline before a call starts. */
  readonly bind: (
    pipeline: Pick<NormalizedPipeline, "graph" | "provider_bindings">
  ) => Effect.Effect<BoundNodes, NodeError>
  /** Nodes of the session start here, in the background, and are closed with the scope. */
  readonly open: (options: NodeHostOptions) => Effect.Effect<SessionNodes, never, Scope.Scope>
}>()("rspp/NodeHost") {
  /** With the nodes of the {@link NodeRegistry} and the segmenter of the context. */
  static readonly layerNoDeps = Layer.effect(
    NodeHost,
    Effect.gen(function*() {
      const registered = yield* NodeRegistry
      const segmenter = segmenterNode(yield* SentenceSegmenter)
      const registry = {
        ids: [...new Set([...registered.ids, segmenter.id])].sort(),
        find: (id: string) => registered.find(id) ?? (id === segmenter.id ? segmenter : undefined)
      }
      return NodeHost.of({ bind: (pipeline) => bindNodes(pipeline, registry), open: openNodes })
    })
  )
}

/** A node of the session: on its way, or running. */
interface Shared {
  readonly run: Deferred.Deferred<NodeRun, NodeFailure>
  readonly scope: Scope.Closeable
  readonly fiber: Fiber.Fiber<void>
}

const openNodes = Effect.fnUntraced(function*(options: NodeHostOptions) {
  const services = yield* Effect.context<never>()
  const telemetry = yield* NodeTelemetry
  const scrub = yield* SecretScrubber
  const fork = Effect.runForkWith(services)
  const states = new NodeStates()
  const shared = new Map<BoundNode, Shared>()

  const contextOf = (
    bound: BoundNode,
    turnId: string | undefined,
    itemMs: number,
    remaining: () => number | undefined
  ) => {
    const origin = {
      session_id: options.session_id,
      node_id: bound.nodeId,
      implementation: bound.definition.id,
      ...(turnId === undefined ? {} : { turn_id: turnId })
    }
    const streams = new Map<string, NamedRandom>()
    const context: NodeContext = {
      sessionId: options.session_id,
      turnId,
      nodeId: bound.nodeId,
      settings: bound.settings,
      nowMs: options.nowMs,
      budget: { itemMs, remainingMs: () => remaining() ?? itemMs },
      state: {
        // A node of the session that starts has no turn yet: what it keeps is the session's.
        turn: turnId === undefined ? states.session(bound.nodeId) : states.turn(bound.nodeId, turnId),
        session: states.session(bound.nodeId)
      },
      random: (name) => {
        const known = streams.get(name)
        if (known !== undefined) return known
        const stream = new NamedRandom(options.seed, `node/${bound.nodeId}/${turnId ?? "session"}/${name}`)
        streams.set(name, stream)
        return stream
      },
      log: (message) => telemetry.log(origin, scrub(message)),
      count: (name, by = 1) => telemetry.count(origin, name, by)
    }
    return context
  }

  /** Effect's own randomness, inside of a node, is the node's. */
  const chance = (context: NodeContext) => {
    const stream = context.random("effect/Random")
    return {
      nextDoubleUnsafe: () => stream.next(),
      nextIntUnsafe: () => Math.floor(stream.next() * 2 ** 53)
    }
  }

  const startShared = (bound: BoundNode): Shared => {
    const known = shared.get(bound)
    if (known !== undefined) return known
    const context = contextOf(bound, undefined, itemMsOf(bound, undefined), () => undefined)
    const run = Deferred.makeUnsafe<NodeRun, NodeFailure>()
    const scope = Scope.makeUnsafe()
    const fiber = fork(
      Effect.suspend(() => bound.definition.start(context)).pipe(
        Scope.provide(scope),
        Effect.provideService(Random.Random, chance(context)),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            Deferred.doneUnsafe(run, exit)
            if (Exit.isFailure(exit) && shared.get(bound)?.run === run) forget(bound)
          })
        ),
        Effect.ignoreCause,
        named(`provider ${bound.definition.id}, for the session`)
      )
    )
    const started: Shared = { run, scope, fiber }
    shared.set(bound, started)
    return started
  }

  /** Closes a node of the session, and does not wait for it; it starts anew when it is asked for again. */
  const forget = (bound: BoundNode): Fiber.Fiber<void> | undefined => {
    const known = shared.get(bound)
    if (known === undefined) return undefined
    shared.delete(bound)
    known.fiber.interruptUnsafe()
    return fork(
      Scope.close(known.scope, Exit.void).pipe(
        Effect.ignoreCause,
        named(`provider ${bound.definition.id}, closing`)
      )
    )
  }

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      const closing = [...shared.keys()].flatMap((bound) => forget(bound) ?? [])
      return closing.length === 0
        ? Effect.void
        : Effect.asVoid(Effect.timeoutOption(Fiber.awaitAll(closing), options.graceMs))
    })
  )
  for (const bound of options.nodes.all) if (bound.definition.scope === "session") startShared(bound)

  const read = ({ edgeId, handle, kind }: PushedItem): NodeItem | undefined => {
    const facts = handle.facts ?? {}
    if (kind === "voice") {
      const samples = options.readVoice(handle.id)
      return samples === undefined ? undefined : { kind, edgeId, facts, samples }
    }
    const text = options.readText(handle.id)
    return text === undefined ? undefined : { kind, edgeId, facts, text }
  }

  const nodes: SessionNodes = {
    invoke: (command, io) => {
      const bound = options.nodes.find(command.node_id, command.provider_id)
      if (bound === undefined) return absent(command)
      const { definition } = bound
      const itemMs = itemMsOf(bound, command.cap_ms)
      let remaining: () => number | undefined = () => undefined
      const context = contextOf(bound, command.turn_id, itemMs, () => remaining())
      const isShared = definition.scope === "session"
      const invocation = openInvocation({
        definition,
        context,
        start: Effect.suspend(() => isShared ? Deferred.await(startShared(bound).run) : definition.start(context)),
        read,
        io: {
          ...io,
          stop: (failure) => {
            io.stop(failure)
            if (isShared) forget(bound)
          }
        },
        limits: {
          startMs: definition.timeouts.startMs ?? command.cap_ms,
          itemMs,
          stopMs: definition.timeouts.stopMs ?? command.cap_ms,
          graceMs: options.graceMs
        },
        fork: (effect) => fork(effect),
        name: `provider ${definition.id}, ${command.provider_invocation_id}`,
        limitOf: (of) => {
          remaining = of
        }
      })
      const run = invocation.run.pipe(
        Effect.provideService(Random.Random, chance(context)),
        Effect.onError((cause) =>
          Effect.sync(() => {
            if (isShared && !Cause.hasInterruptsOnly(cause)) forget(bound)
          })
        )
      )
      return { ...invocation, run }
    }
  }
  return nodes
})

/** The rest of what the kernel allows, see `capOf`. */
const itemMsOf = ({ definition: { timeouts } }: BoundNode, capMs: number | undefined): number => {
  const restMs = (capMs ?? 0) - (timeouts.startMs ?? 0)
  return timeouts.itemMs ?? (restMs > 0 ? restMs : capMs ?? 1000)
}

const absent = (command: CommandOf<"start_invocation">): NodeInvocation => ({
  run: Effect.fail(broken(`no node ${command.provider_id} for ${command.node_id} in this runtime`)),
  push: () => {},
  endItems: () => {},
  notify: () => {},
  cancel: () => true
})
