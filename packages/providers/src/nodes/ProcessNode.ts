import { NodeSettings } from "@rspp/contracts/GraphDefinition"
import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import type {
  AnyNode,
  NodeContext,
  NodeItem,
  NodeKind,
  NodeOutput,
  NodeTimeouts
} from "@rspp/runtime/nodes/NodeDefinition"
import { broken, NodeFailure } from "@rspp/runtime/nodes/NodeFailure"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ChildOptions } from "../internal/ChildNode.ts"
import { ChildNode } from "../internal/ChildNode.ts"
import type { FromNode, ToNode } from "./NodeProtocol.ts"
import { decodeAudio, encodeAudio, protocol } from "./NodeProtocol.ts"

/** A node that runs in a process of its own. */
export interface ProcessNodeOptions extends Omit<ChildOptions, "memoryMb"> {
  readonly id: string
  readonly inputs: ReadonlyArray<NodeKind>
  readonly outputs: ReadonlyArray<NodeKind>
  /** `session` (the default): one process for the call. `turn`: a new one for each turn, which takes its time. */
  readonly scope?: "turn" | "session"
  readonly cancel?: "interrupt" | "finish_item"
  readonly timeouts?: NodeTimeouts
  /** What it may take; 256 by default. */
  readonly memoryMb?: number
}

/** Outputs that wait before a process is held back. */
const waitingOutputs = 64

/** How long a process may take to let go of what is cancelled before it is told by SIGTERM, and then killed, ms. */
const cancelMs = { message: 25, term: 20 } as const

/** How long a process that is done with may take to end by itself, and by SIGTERM, ms. */
const endMs = { bye: 40, term: 20 } as const

type Output = Extract<FromNode, { readonly type: "output" }>
type Answer = Extract<FromNode, { readonly type: "done" | "cancelled" | "failed" }>

/** A request that has not been answered. */
interface Open {
  readonly outputs: Array<NodeOutput>
  answer: Exit.Exit<void, NodeFailure> | undefined
  wake: (() => void) | undefined
}

/** One process and the requests to it. */
class NodeProcess {
  readonly child: ChildNode
  readonly #open = new Map<number, Open>()
  readonly #context: NodeContext
  readonly #fork: (effect: Effect.Effect<void>) => unknown
  #nextId = 1
  #greeted: Exit.Exit<void, NodeFailure> | undefined
  readonly #whenGreeted = new Set<() => void>()

  constructor(options: ProcessNodeOptions, context: NodeContext, fork: (effect: Effect.Effect<void>) => unknown) {
    this.#context = context
    this.#fork = fork
    this.child = new ChildNode({ memoryMb: defaultMemoryMb, ...options }, {
      message: (message) => this.#heard(message),
      log: (line) => this.#log(line),
      gone: (failure) => {
        this.#greet(Exit.fail(failure))
        for (const id of [...this.#open.keys()]) this.#answer(id, Exit.fail(failure))
      }
    })
    this.child.tell({
      type: "hello",
      protocol,
      session_id: context.sessionId,
      node_id: context.nodeId,
      settings: context.settings as NodeSettings,
      seed: context.random("process").between(0, 0x7fff_ffff)
    })
  }

  /** It has said that it speaks the same protocol. */
  readonly ready: Effect.Effect<void, NodeFailure> = Effect.callback<void, NodeFailure>((resume) => {
    const done = () => resume(this.#greeted ?? Effect.void)
    if (this.#greeted !== undefined) return done()
    this.#whenGreeted.add(done)
    return Effect.sync(() => this.#whenGreeted.delete(done))
  })

  /** Asks, and gives what it answers. Interrupted, it cancels; a process that does not let go is ended. */
  ask(make: (id: number) => ToNode): Stream.Stream<NodeOutput, NodeFailure> {
    return Stream.suspend(() => {
      const id = this.#nextId++
      const open: Open = { outputs: [], answer: undefined, wake: undefined }
      this.#open.set(id, open)
      this.child.tell(make(id))
      const next = measured(Effect.callback<ReadonlyArray<NodeOutput> | undefined, NodeFailure>((resume) => {
        const look = () => {
          if (open.outputs.length > 0) {
            this.child.resume()
            return resume(Effect.succeed(open.outputs.splice(0)))
          }
          if (open.answer === undefined) {
            open.wake = look
            return
          }
          resume(Effect.as(open.answer, undefined))
        }
        // One that is gone does not answer any more.
        if (this.child.isGone && open.answer === undefined) open.answer = Exit.fail(broken("its process is gone", true))
        look()
        return Effect.sync(() => {
          open.wake = undefined
        })
      }))
      return Stream.flattenIterable(
        Stream.takeWhile(Stream.fromEffectRepeat(next), (some) => some !== undefined)
      ).pipe(
        Stream.onExit((exit) =>
          Effect.suspend(() => {
            const answered = open.answer !== undefined
            const letGo = answered || Exit.isSuccess(exit) ? Effect.void : measured(this.#cancel(id, open))
            return Effect.ensuring(letGo, Effect.sync(() => this.#open.delete(id)))
          })
        )
      )
    })
  }

  /** Tells it to let go, and sees to it. */
  #cancel(id: number, open: Open): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      open.outputs.length = 0
      this.child.resume()
      this.child.tell({ type: "cancel", id })
      const term = setTimeout(() => this.child.signal("SIGTERM"), cancelMs.message)
      const kill = setTimeout(
        () => this.child.kill("it did not let go of what was cancelled"),
        cancelMs.message + cancelMs.term
      )
      open.wake = () => {
        open.outputs.length = 0
        if (open.answer === undefined) return
        clearTimeout(term)
        clearTimeout(kill)
        resume(Effect.void)
      }
      open.wake()
    })
  }

  #heard(message: FromNode): void {
    switch (message.type) {
      case "hello": {
        if (message.protocol === protocol) return this.#greet(Exit.void)
        this.child.kill(`it speaks ${message.protocol.slice(0, 40)}; this runtime speaks ${protocol}`)
        return
      }
      case "log":
        return this.#log(message.message)
      case "count":
        this.#fork(this.#context.count(message.name, message.by))
        return
      case "output":
        return this.#gave(message)
      case "done":
      case "cancelled":
      case "failed":
        return this.#answer(message.id, exitOf(message))
    }
  }

  #gave(message: Output): void {
    const open = this.#open.get(message.id)
    // What was cancelled may still give something.
    if (open === undefined) return this.#expected(message.id)
    const { complete, kind, label } = message
    const about = { ...(kind === undefined ? {} : { kind }), ...(label === undefined ? {} : { label }) }
    open.outputs.push(
      (message.audio === undefined
        ? { text: message.text ?? "", ...about, ...(complete === undefined ? {} : { complete }) }
        : { samples: decodeAudio(message.audio), ...about }) as NodeOutput
    )
    if (open.outputs.length >= waitingOutputs) this.child.pause()
    open.wake?.()
  }

  #answer(id: number, exit: Exit.Exit<void, NodeFailure>): void {
    const open = this.#open.get(id)
    if (open === undefined) return this.#expected(id)
    open.answer ??= exit
    open.wake?.()
  }

  #expected(id: number): void {
    if (id >= this.#nextId) this.child.kill(`it answers request ${id}, which was never made`)
  }

  #greet(exit: Exit.Exit<void, NodeFailure>): void {
    if (this.#greeted !== undefined) return
    this.#greeted = exit
    for (const tell of this.#whenGreeted) tell()
    this.#whenGreeted.clear()
  }

  #log(line: string): void {
    this.#fork(this.#context.log(line))
  }
}

const defaultMemoryMb = 256

const exitOf = (answer: Answer): Exit.Exit<void, NodeFailure> =>
  answer.type !== "failed"
    ? Exit.void
    : Exit.fail(
      new NodeFailure({
        outcome_class: answer.outcome_class,
        message: answer.message.slice(0, 200),
        ...(answer.retryable === undefined ? {} : { retryable: answer.retryable })
      })
    )

const itemMessage = (id: number, item: NodeItem, context: NodeContext): ToNode => ({
  type: "item",
  id,
  ...(context.turnId === undefined ? {} : { turn_id: context.turnId }),
  kind: item.kind,
  ...(item.kind === "voice" ? { audio: encodeAudio(item.samples) } : { text: item.text }),
  facts: item.facts,
  budget_ms: context.budget.remainingMs()
})

/**
 * A node in a child process, behind the same interface as any other (RK-09); the process speaks `NodeProtocol.ts`.
 *
 * It is cancelled by message, then by SIGTERM, then killed, all within the cancellation grace. Its death, memory beyond
 * its limit and output that is no message are `infrastructure_failure`; silence is `timeout`. Its settings are handed to
 * it as they are in the pipeline. A process that was killed for a turn starts again for the next.
 */
export const processNode = (options: ProcessNodeOptions): AnyNode =>
  defineNode({
    id: options.id,
    inputs: options.inputs,
    outputs: options.outputs,
    scope: options.scope ?? "session",
    cancel: options.cancel ?? "interrupt",
    timeouts: options.timeouts ?? {},
    settings: NodeSettings as unknown as Schema.Decoder<NodeSettings>,
    start: (context) =>
      Effect.gen(function*() {
        const fork = Effect.runForkWith(yield* Effect.context<never>())
        let current: NodeProcess | undefined
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => (current === undefined ? Effect.void : measured(current.child.end(endMs))))
        )
        /** The process that runs, or a new one. */
        const live = Effect.suspend(() => {
          if (current === undefined || current.child.isGone) {
            if (current !== undefined) fork(context.count("restarts"))
            current = new NodeProcess(options, context, fork)
          }
          return Effect.as(measured(current.ready), current)
        })
        yield* live
        const ask = (make: (id: number) => ToNode) => Stream.unwrap(Effect.map(live, (running) => running.ask(make)))
        const notice = (what: Extract<ToNode, { readonly type: "notice" }>["notice"]) => ({ turnId }: NodeContext) =>
          current?.child.tell({ type: "notice", ...(turnId === undefined ? {} : { turn_id: turnId }), notice: what })
        return {
          onItem: (item: NodeItem, own: NodeContext) => ask((id) => itemMessage(id, item, own)),
          onEnd: ({ turnId }: NodeContext) =>
            ask((id) => ({ type: "end", id, ...(turnId === undefined ? {} : { turn_id: turnId }) })),
          onBargeIn: notice("barge_in"),
          onFalseAlarm: notice("false_alarm"),
          onBudgetWarning: notice("budget_warning")
        }
      })
  })
