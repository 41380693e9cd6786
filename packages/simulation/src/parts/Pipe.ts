import type { World } from "../World.ts"
import type { WorldTimer } from "../TimerQueue.ts"

/**
 * Delivers in order, each after its delay: what is behind something late waits for it. Unlike timers of their own, two
 * deliveries that are due together cannot change places.
 */
export class Pipe {
  readonly #world: World
  readonly #waiting: Array<{ readonly atNs: number; readonly deliver: () => void }> = []
  #timer: WorldTimer | undefined
  #closed = false

  constructor(world: World) {
    this.#world = world
  }

  /** At once and synchronously when nothing is before it and there is no delay. */
  push(delayMs: number, deliver: () => void): void {
    if (this.#closed) return
    const last = this.#waiting.at(-1)
    const atNs = Math.max(this.#world.nowNs + delayMs * 1e6, last?.atNs ?? 0)
    if (last === undefined && delayMs <= 0) return deliver()
    this.#waiting.push({ atNs, deliver })
    this.#arm()
  }

  close(): void {
    this.#closed = true
    this.#waiting.length = 0
    if (this.#timer !== undefined) this.#world.callOff(this.#timer)
    this.#timer = undefined
  }

  #arm(): void {
    const [next] = this.#waiting
    if (this.#timer !== undefined || next === undefined) return
    this.#timer = this.#world.after(next.atNs - this.#world.nowNs, () => {
      this.#timer = undefined
      for (let due = this.#waiting[0]; due !== undefined && due.atNs <= this.#world.nowNs; due = this.#waiting[0]) {
        this.#waiting.shift()
        due.deliver()
      }
      this.#arm()
    })
  }
}
