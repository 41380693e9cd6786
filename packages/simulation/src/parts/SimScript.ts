import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { faultKinds } from "../Faults.ts"
import type { Faults } from "../Faults.ts"
import type { Cue, ScriptedAct, ScriptedCall, ScriptedEvent } from "../Script.ts"
import type { WorldTimer } from "../TimerQueue.ts"
import type { World } from "../World.ts"

/** What can be told to the caller's side of a call. */
export interface ScriptedCaller {
  readonly say: (words: ReadonlyArray<number>) => void
  readonly noise: (ms: number) => void
  readonly type: (words: number) => void
  readonly hangUp: () => void
  /** The transport fails, and the call is over. */
  readonly breaks: () => void
  /** An episode of a transport fault begins now. */
  readonly episode: (
    kind: "transport.stall" | "transport.reconnect" | "transport.half_open" | "transport.disconnect",
    forMs: number
  ) => void
}

/** A scripted call of a provider that has not begun. */
interface Awaited {
  readonly provider: string
  left: number
  readonly call: ScriptedCall
  readonly begun: () => void
}

const detailOf = (input: SessionInput): string | undefined => {
  switch (input.type) {
    case "voice_activity":
      return input.edge
    case "transcript":
      return input.finality
    case "lease":
      return input.status
    case "connection":
      return input.state
    case "timer":
      return input.timer.split(":")[0]
    case "evidence_appended":
      return input.result
    default:
      return undefined
  }
}

const cueOf = (output: KernelOutput): ReadonlyArray<Cue> => {
  if (output.record === "signal") {
    const { reason, signal } = output.signal
    return reason === undefined ? [`signal:${signal}`] : [`signal:${signal}`, `signal:${signal}:${reason}`]
  }
  if (output.record !== "command") return []
  const { command } = output
  const detail = command.type === "start_invocation"
    ? command.modality
    : command.type === "mark_utterance"
    ? command.mark
    : undefined
  return detail === undefined
    ? [`command:${command.type}`]
    : [`command:${command.type}`, `command:${command.type}:${detail}`]
}

/**
 * Carries out a scenario's script: each event once, at its moment, where it happens. An event whose moment never comes,
 * or that finds nobody any more (a caller who has hung up), does not happen.
 */
export class SimScript {
  /** When each event happened, in ms of the world, by its place in the script; a provider's when its call began. */
  readonly happened: Array<number | undefined>
  caller: ScriptedCaller | undefined
  lease: ((order: "revoke" | "rotate_home" | "rotate_away") => void) | undefined
  shutdown: (() => void) | undefined
  halt: ((forMs: number) => void) | undefined
  readonly #world: World
  readonly #faults: Faults
  readonly #events: ReadonlyArray<ScriptedEvent>
  readonly #timers = new Set<WorldTimer>()
  readonly #waiting = new Map<Cue, Array<{ left: number; readonly delayMs: number; readonly index: number }>>()
  readonly #calls: Array<Awaited> = []
  #over = false

  constructor(world: World, faults: Faults, events: ReadonlyArray<ScriptedEvent>) {
    this.#world = world
    this.#faults = faults
    this.#events = events
    this.happened = events.map(() => undefined)
  }

  /** The call begins. */
  begin(): void {
    this.#events.forEach(({ when }, index) => {
      if ("atMs" in when) return this.#at(Math.round(when.atMs * 1e6) - this.#world.nowNs, index)
      const waiting = this.#waiting.get(when.on) ?? []
      waiting.push({ left: when.nth ?? 1, delayMs: when.delayMs ?? 0, index })
      this.#waiting.set(when.on, waiting)
    })
  }

  /** The call is over: what has not happened does not happen. */
  end(): void {
    this.#over = true
    for (const timer of this.#timers) this.#world.callOff(timer)
    this.#timers.clear()
    this.#waiting.clear()
  }

  /** What is scripted for the call of a provider that begins now. */
  call(provider: string): ScriptedCall | undefined {
    const due = this.#calls.filter((one) => one.provider === provider && --one.left === 0)
    for (const one of due) {
      this.#calls.splice(this.#calls.indexOf(one), 1)
      one.begun()
    }
    return due.length === 0 ? undefined : Object.assign({}, ...due.map(({ call }) => call)) as ScriptedCall
  }

  readonly observer: SessionObserver = {
    input: ({ input }) => {
      if (this.#waiting.size === 0) return
      this.#cue(`input:${input.type}`)
      const detail = detailOf(input)
      if (detail !== undefined) this.#cue(`input:${input.type}:${detail}`)
    },
    outputs: (outputs) => {
      if (this.#waiting.size === 0) return
      for (const output of outputs) for (const cue of cueOf(output)) this.#cue(cue)
    }
  }

  #cue(cue: Cue): void {
    const waiting = this.#waiting.get(cue)
    if (waiting === undefined) return
    for (const one of waiting) {
      if (--one.left > 0) continue
      if (one.delayMs > 0) this.#at(one.delayMs * 1e6, one.index)
      else this.#world.soon(() => this.#begin(one.index))
    }
    const still = waiting.filter(({ left }) => left > 0)
    if (still.length === 0) this.#waiting.delete(cue)
    else this.#waiting.set(cue, still)
  }

  /** As a task of its own: what else happens in that instant may come before it. */
  #at(ns: number, index: number): void {
    const timer = this.#world.after(ns, () => {
      this.#timers.delete(timer)
      this.#begin(index)
    })
    this.#timers.add(timer)
  }

  #begin(index: number): void {
    const event = this.#events[index]
    if (event !== undefined && !this.#over) this.#act(event.act, index)
  }

  #act(act: ScriptedAct, index: number): void {
    const { nowMs } = this.#world
    if (act.does === "call") {
      const begun = () => {
        this.happened[index] = this.#world.nowMs
      }
      this.#calls.push({ provider: act.provider, left: act.nth ?? 1, call: act.with, begun })
      return
    }
    this.happened[index] = nowMs
    switch (act.does) {
      case "say":
        return this.caller?.say(act.words)
      case "noise":
        return this.caller?.noise(act.ms)
      case "type":
        for (let message = 0; message < (act.messages ?? 1); message++) this.caller?.type(act.words)
        return
      case "hang_up":
        return this.caller?.hangUp()
      case "shutdown":
        return this.shutdown?.()
      case "halt":
        return this.halt?.(act.forMs)
      case "lease":
        return this.lease?.(act.order)
      case "wall_clock":
        this.#world.wallOffsetMs += act.byMs
        return
      case "fault":
        return this.#fault(act.kind, act.forMs ?? 0)
    }
  }

  #fault(kind: keyof typeof faultKinds, forMs: number): void {
    if (kind !== "transport.break" && faultKinds[kind].comes === "chance") return this.#faults.takeNext(kind)
    this.#faults.beginNow(kind, forMs)
    switch (kind) {
      case "transport.stall":
      case "transport.reconnect":
      case "transport.half_open":
      case "transport.disconnect":
        return this.caller?.episode(kind, forMs)
      case "authority.partition":
        // What it holds back comes when it is over.
        this.#timers.add(this.#world.after(forMs * 1e6, () => this.healed?.()))
        return
      case "transport.break":
        return this.caller?.breaks()
      default:
        // The parts ask whether it is on.
        return
    }
  }

  /** Told when a scripted partition is over. */
  healed: (() => void) | undefined
}
