import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { named } from "../determinism/FiberName.ts"
import type { AnyNode, NodeContext, NodeFacts, NodeItem, NodeOutput, NodeRun, Work } from "./NodeDefinition.ts"
import { broken, NodeFailure } from "./NodeFailure.ts"
import type { GivenOutput, NodeInvocation, NodeIo, PushedItem } from "./NodeIo.ts"
import { makeTimeLimit } from "./TimeLimit.ts"

/** Notices that wait for a node's hooks; more are not told. */
const waitingNotices = 8

/** Characters of one text that a node gives. */
const textChars = 65_536

type Notice = Parameters<NodeInvocation["notify"]>[0]

/** What one invocation is made of. */
export interface InvocationParts {
  readonly definition: AnyNode
  readonly context: NodeContext
  /** The node's run: started for this invocation, in its scope, or the session's. */
  readonly start: Effect.Effect<NodeRun, NodeFailure, Scope.Scope>
  /** The content of an item, or undefined when the session does not remember it any more. */
  readonly read: (item: PushedItem) => NodeItem | undefined
  readonly io: NodeIo
  readonly limits: {
    readonly startMs: number
    readonly itemMs: number
    readonly stopMs: number
    readonly graceMs: number
  }
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly name: string
  /** Told what became of the item in work, in ms left; for `budget.remainingMs`. */
  readonly limitOf: (remaining: () => number | undefined) => void
}

const timedOut = (message: string) => new NodeFailure({ message, outcome_class: "timeout" })

/** Whether a cancel comes because time is up. */
const isBudget = (reason: string) => reason.includes("timeout") || reason.includes("budget")

/**
 * One invocation of a node (RK-08): start, items, end, in one fiber; hooks in another.
 *
 * Guarantees: I-NODE-ORDER items are worked on one at a time, in order, and an item is done only when everything that it
 * gave is out; I-NODE-LIMIT no phase takes longer than its limit, however the node behaves, without the time that its
 * outputs wait for room; I-NODE-SCOPE what the node opened is closed when the invocation ends, for whatever reason.
 */
export const openInvocation = (parts: InvocationParts): NodeInvocation => {
  const { context, definition, fork, limits } = parts
  const inbox: Array<PushedItem> = []
  const notices: Array<Notice> = []
  const bell = Latch.makeUnsafe(false)
  const hookBell = Latch.makeUnsafe(false)
  const limit = makeTimeLimit(context.nowMs, (watch) => fork(named(`${parts.name}, its limit`)(watch)))
  parts.limitOf(limit.remainingMs)
  let ended = false
  let working = false
  let cancelled: string | undefined
  let stoppedBy: string | undefined
  const io: NodeIo = {
    ...parts.io,
    stop: (failure) => {
      stoppedBy ??= failure.message
      parts.io.stop(failure)
    }
  }

  const arm = (ms: number, message: string) => limit.arm(ms, () => io.stop(timedOut(message)))

  const give = (
    output: NodeOutput,
    facts: NodeFacts,
    kind: string | undefined
  ): Effect.Effect<unknown, NodeFailure> => {
    const given = decided(definition, output, facts, kind)
    return given instanceof NodeFailure ? Effect.fail(given) : io.give(given)
  }

  /** Carries out a piece of work and gives what comes of it. */
  const carryOut = (
    work: () => Work,
    facts: NodeFacts = {},
    kind?: string,
    around: (effect: Effect.Effect<unknown, NodeFailure>) => Effect.Effect<unknown, NodeFailure> = (same) => same
  ): Effect.Effect<void, NodeFailure, Scope.Scope> => {
    const one = (output: NodeOutput) => around(give(output, facts, kind))
    return Effect.suspend(() => {
      const does = work()
      if (Stream.isStream(does)) return Stream.runForEach(does, one)
      const outputs: Effect.Effect<unknown, NodeFailure, Scope.Scope> = Effect.isEffect(does)
        ? does
        : Effect.succeed(does)
      return Effect.flatMap(outputs, (some) => Effect.forEach(listed(some), one, { discard: true }))
    })
  }

  /** While outputs wait for room the node's time does not run. */
  const unlimited = (effect: Effect.Effect<unknown, NodeFailure>) =>
    Effect.suspend(() => {
      limit.pause()
      return Effect.onExit(effect, () => Effect.sync(limit.resume))
    })

  const wait = (latch: Latch.Latch) =>
    Effect.suspend(() => {
      latch.closeUnsafe()
      return latch.await
    })

  const items = Effect.fnUntraced(function*(run: NodeRun) {
    for (;;) {
      if (cancelled !== undefined) return yield* Effect.interrupt
      const next = inbox.shift()
      if (next === undefined) {
        if (ended) return undefined
        yield* wait(bell)
        continue
      }
      const item = parts.read(next)
      if (item === undefined) return yield* Effect.fail(broken("what it was to work on is gone"))
      working = true
      arm(limits.itemMs, "item_timeout")
      yield* carryOut(() => run.onItem(item, context), item.facts, item.kind, unlimited)
      limit.pause()
      working = false
      yield* io.done
    }
  })

  const hooks = Effect.fnUntraced(
    function*(run: NodeRun) {
      for (;;) {
        const notice = notices.shift()
        if (notice === undefined) {
          yield* wait(hookBell)
          continue
        }
        const hook =
          { barge_in: run.onBargeIn, false_alarm: run.onFalseAlarm, budget_warning: run.onBudgetWarning }[notice]
        if (hook !== undefined) yield* carryOut(() => hook(context))
      }
    },
    Effect.catchCause((cause: Cause.Cause<NodeFailure>) =>
      Effect.sync(() => {
        if (Cause.hasInterruptsOnly(cause)) return
        const failure = Cause.findErrorOption(cause)
        io.stop(failure._tag === "Some" ? failure.value : broken("node_defect"))
      })
    )
  )

  /** The last hooks, in a fiber of their own: this one is interrupted. */
  const stopped = (run: NodeRun) =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const reason = cancelled ?? stoppedBy ?? "session_ended"
      const { onBudgetExhausted, onCancel } = run
      const last = Effect.gen(function*() {
        if (isBudget(reason) && onBudgetExhausted !== undefined) yield* carryOut(() => onBudgetExhausted(context))
        if (onCancel !== undefined) yield* carryOut(() => onCancel(reason, context))
      })
      if (onBudgetExhausted === undefined && onCancel === undefined) return
      const fiber = fork(
        named(`${parts.name}, its last hooks`)(
          Effect.ignoreCause(Effect.provideService(last, Scope.Scope, scope))
        )
      )
      // Longer than the grace: the runner has cut the node off by then.
      yield* Effect.timeoutOption(Fiber.await(fiber), limits.graceMs * 2)
      fiber.interruptUnsafe()
    })

  const work = Effect.gen(function*() {
    arm(limits.startMs, "start_timeout")
    const run = yield* parts.start
    limit.pause()
    if (run.onBargeIn !== undefined || run.onFalseAlarm !== undefined || run.onBudgetWarning !== undefined) {
      yield* Effect.forkScoped(hooks(run))
    }
    yield* Effect.gen(function*() {
      yield* items(run)
      const { onEnd } = run
      arm(limits.stopMs, "stop_timeout")
      if (onEnd !== undefined) yield* carryOut(() => onEnd(context), undefined, undefined, unlimited)
    }).pipe(Effect.onInterrupt(() => stopped(run)))
  })

  const run = Effect.scoped(Effect.onExit(work, (exit) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) return
      // What it opened is closed within its limit, or it is cut off; the failure remains what it was.
      const failure = Exit.findErrorOption(exit)
      limit.arm(limits.stopMs, () => io.stop(failure._tag === "Some" ? failure.value : broken("node_defect")))
    }))).pipe(
      Effect.tapCause((cause) =>
        Cause.hasInterruptsOnly(cause) || Cause.findErrorOption(cause)._tag === "Some"
          ? Effect.void
          : context.log(`died: ${Cause.pretty(cause)}`)
      ),
      Effect.onExit(() => Effect.sync(limit.close))
    )

  return {
    run,
    push: (item) => {
      if (inbox.length > 0) return io.stop(broken("it was given an item before it was done with the last"))
      inbox.push(item)
      bell.openUnsafe()
    },
    endItems: () => {
      ended = true
      bell.openUnsafe()
    },
    notify: (notice) => {
      if (notices.length >= waitingNotices) return
      notices.push(notice)
      hookBell.openUnsafe()
    },
    cancel: (reason) => {
      cancelled ??= reason
      if (definition.cancel === "interrupt" || !working) return true
      return false
    }
  }
}

const listed = (outputs: unknown): ReadonlyArray<NodeOutput> =>
  outputs === undefined || outputs === null
    ? []
    : Array.isArray(outputs)
    ? outputs as ReadonlyArray<NodeOutput>
    : [outputs as NodeOutput]

const words = (text: string): number => {
  const trimmed = text.trim()
  return trimmed === "" ? 0 : trimmed.split(/\s+/u).length
}

/** An output with its kind and facts, or what is wrong with it. */
const decided = (
  { outputs }: AnyNode,
  output: NodeOutput,
  from: NodeFacts,
  kindOfItem: string | undefined
): GivenOutput | NodeFailure => {
  const given: Record<string, unknown> = typeof output === "string" ? { text: output } : { ...output }
  const { complete, kind: said, label, samples, text } = given
  if (typeof text !== "string" && !(samples instanceof Int16Array)) return broken("it gave neither text nor voice")
  if (label !== undefined && (typeof label !== "string" || label === "")) return broken("it gave a label without words")
  const possible = (outputs as ReadonlyArray<GivenOutput["kind"]>).filter((kind) =>
    (kind === "voice") === (samples instanceof Int16Array)
  )
  const kind = said ?? possible.find((one) => one === kindOfItem) ?? (possible.length === 1 ? possible[0] : undefined)
  if (kind === undefined) {
    return broken(possible.length === 0 ? "it gave what it does not declare" : "it did not say which kind it gave")
  }
  const declared = possible.find((one) => one === kind)
  if (declared === undefined) {
    return broken(`it gave ${typeof kind === "string" ? kind : "a kind"}, which it does not declare`)
  }
  const facts = {
    ...(label !== undefined ? { label } : from.label !== undefined ? { label: from.label } : {})
  }
  if (declared === "voice") return { kind: declared, samples: samples as Int16Array, facts }
  if ((text as string).length > textChars) return broken(`it gave more than ${textChars} characters at once`)
  const known = typeof complete === "boolean" ? complete : from.complete
  return {
    kind: declared,
    text: text as string,
    facts: { words: words(text as string), ...(known === undefined ? {} : { complete: known }), ...facts }
  }
}
