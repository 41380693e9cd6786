import type { Modality } from "@rspp/contracts/Invocation"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Bounds of one kind of work. */
export interface PoolLimit {
  /** Calls that may run at one time. */
  readonly running: number
  /** Calls that may wait for one that runs to end. */
  readonly waiting: number
  /** How long each may wait, ms. */
  readonly waitMs: number
}

const generous: PoolLimit = { running: 1024, waiting: 1024, waitMs: 1000 }

/** Limits that a process of its own does not reach. */
export const generousPool: Readonly<Record<Modality, PoolLimit>> = {
  stt: generous,
  llm: generous,
  tts: generous,
  external: generous
}

/** Limits of the process by kind of work; generous unless the process is told otherwise. */
export const PoolLimits = Context.Reference<Readonly<Record<Modality, PoolLimit>>>("rspp/PoolLimits", {
  defaultValue: () => generousPool
})

/** Why a call was shed before it began. */
export const shedReasons = { full: "pool_full", late: "pool_wait" } as const

/** What a kind of work has been through since the process began. Times in ms. */
export interface PoolStats {
  readonly running: number
  readonly waiting: number
  readonly started: number
  readonly shed: number
  /** Time before they began, of all that did; and the longest. */
  readonly queueMs: number
  readonly longestQueueMs: number
  /** Time from their beginning to their end, of all that have ended. */
  readonly runMs: number
  readonly ended: number
}

/** A call that wants to run. */
export interface PoolCall {
  readonly kind: Modality
  /** With whom it shares its turns: those of one key wait for one another, those of several go round. */
  readonly fairnessKey: string
  readonly nowMs: () => number
  /** It may begin: at once, or when it is its turn. */
  readonly start: () => void
}

/** A call's place in the pool. */
export type Place =
  | { readonly kind: "full" }
  | {
    readonly kind: "running" | "waiting"
    /** How long it may wait, ms. */
    readonly waitMs: number
    /** It has waited for too long. True: it is out and counted as shed; false: it had begun. */
    readonly expire: () => boolean
    /** It has ended, or nobody wants it any more. Heard once. */
    readonly leave: () => void
  }

/**
 * Execution pool (RK-26): how many provider calls and nodes run in this process at one time, over all sessions, by kind
 * of work. What finds no place waits, bounded in number and time; places go round by fairness key, and within a key in
 * order of arrival.
 *
 * Guarantees: I-POOL-BOUND neither those that run nor those that wait pass the kind's limit; I-POOL-FAIR between two
 * places for one key every other key that waits has had one.
 */
export class ExecutionPool extends Context.Service<ExecutionPool, {
  readonly enter: (call: PoolCall) => Place
  readonly stats: (kind: Modality) => PoolStats
}>()("rspp/ExecutionPool") {
  static readonly layer = Layer.effect(
    ExecutionPool,
    Effect.gen(function*() {
      const limits = yield* PoolLimits
      const lanes: Readonly<Record<Modality, PoolLane>> = {
        stt: new PoolLane(limits.stt),
        llm: new PoolLane(limits.llm),
        tts: new PoolLane(limits.tts),
        external: new PoolLane(limits.external)
      }
      return {
        enter: (call) => lanes[call.kind].enter(call),
        stats: (kind) => lanes[kind].stats()
      }
    })
  )
}

interface Entry {
  readonly call: PoolCall
  readonly enteredMs: number
  startedMs: number | undefined
  gone: boolean
}

class PoolLane {
  readonly #limit: PoolLimit
  /** Who waits, by key; the first key is the next to be served. */
  readonly #queues = new Map<string, Array<Entry>>()
  #running = 0
  #waiting = 0
  #started = 0
  #ended = 0
  #shed = 0
  #queueMs = 0
  #longestQueueMs = 0
  #runMs = 0

  constructor(limit: PoolLimit) {
    this.#limit = limit
  }

  enter(call: PoolCall): Place {
    const entry: Entry = { call, enteredMs: call.nowMs(), startedMs: undefined, gone: false }
    const place = {
      waitMs: this.#limit.waitMs,
      expire: () => this.#expire(entry),
      leave: () => this.#leave(entry)
    }
    if (this.#running < this.#limit.running) {
      this.#begin(entry)
      return { kind: "running", ...place }
    }
    if (this.#waiting >= this.#limit.waiting) {
      this.#shed += 1
      return { kind: "full" }
    }
    this.#waiting += 1
    const queue = this.#queues.get(call.fairnessKey)
    if (queue === undefined) this.#queues.set(call.fairnessKey, [entry])
    else queue.push(entry)
    return { kind: "waiting", ...place }
  }

  stats(): PoolStats {
    return {
      running: this.#running,
      waiting: this.#waiting,
      started: this.#started,
      shed: this.#shed,
      queueMs: this.#queueMs,
      longestQueueMs: this.#longestQueueMs,
      runMs: this.#runMs,
      ended: this.#ended
    }
  }

  #begin(entry: Entry): void {
    const { call, enteredMs } = entry
    entry.startedMs = call.nowMs()
    const waitedMs = Math.max(0, entry.startedMs - enteredMs)
    this.#running += 1
    this.#started += 1
    this.#queueMs += waitedMs
    this.#longestQueueMs = Math.max(this.#longestQueueMs, waitedMs)
    call.start()
  }

  #expire(entry: Entry): boolean {
    if (entry.gone || entry.startedMs !== undefined) return false
    this.#shed += 1
    this.#leave(entry)
    return true
  }

  #leave(entry: Entry): void {
    if (entry.gone) return
    entry.gone = true
    if (entry.startedMs === undefined) {
      this.#waiting -= 1
      this.#remove(entry)
      return
    }
    this.#running -= 1
    this.#ended += 1
    this.#runMs += Math.max(0, entry.call.nowMs() - entry.startedMs)
    this.#next()
  }

  #remove(entry: Entry): void {
    const { fairnessKey } = entry.call
    const queue = this.#queues.get(fairnessKey)?.filter((other) => other !== entry) ?? []
    if (queue.length === 0) this.#queues.delete(fairnessKey)
    else this.#queues.set(fairnessKey, queue)
  }

  #next(): void {
    if (this.#running >= this.#limit.running) return
    for (const [key, queue] of this.#queues) {
      const first = queue.shift()
      // Its key goes to the end of the round.
      this.#queues.delete(key)
      if (queue.length > 0) this.#queues.set(key, queue)
      if (first === undefined) continue
      this.#waiting -= 1
      this.#begin(first)
      return
    }
  }
}
