/**
 * Something inside the world asked the real machine for time, chance or a turn of the event loop: the run cannot be
 * repeated. `culprit` is the first line of the stack that is not the world's own.
 */
export class AmbientUse extends Error {
  override readonly name = "AmbientUse"
  readonly what: string
  readonly culprit: string

  constructor(what: string, culprit: string) {
    super(`${what} was used inside the simulated world, by ${culprit}`)
    this.what = what
    this.culprit = culprit
  }
}

/** Lines of a stack that say nothing about who did it. */
const ownLines = /simulation\/(?:src|dist)\/Ambient\.[jt]s|node:internal|\/node_modules\/effect\//u

const culpritOf = (error: Error): string => {
  const lines = (error.stack ?? "").split("\n").slice(1).map((line) => line.trim().replace(/^at /u, ""))
  const foreign = lines.find((line) => !ownLines.test(line) && line.includes("/"))
  return foreign ?? lines.find((line) => !/Ambient\.[jt]s/u.test(line)) ?? "an unknown place"
}

/** Everything that would let the real machine in. `owner` is where the property is put for the time of the run. */
const doors = (): ReadonlyArray<{ readonly owner: object; readonly key: string; readonly what: string }> => [
  { owner: Date, key: "now", what: "Date.now" },
  { owner: performance, key: "now", what: "performance.now" },
  { owner: Math, key: "random", what: "Math.random" },
  { owner: globalThis, key: "setTimeout", what: "setTimeout" },
  { owner: globalThis, key: "setInterval", what: "setInterval" },
  { owner: globalThis, key: "setImmediate", what: "setImmediate" },
  { owner: globalThis, key: "queueMicrotask", what: "queueMicrotask" },
  { owner: process, key: "nextTick", what: "process.nextTick" },
  { owner: process.hrtime, key: "bigint", what: "process.hrtime.bigint" },
  { owner: crypto, key: "randomUUID", what: "crypto.randomUUID" },
  { owner: crypto, key: "getRandomValues", what: "crypto.getRandomValues" },
  { owner: Promise.prototype, key: "then", what: "a promise" }
]

/**
 * Closes the doors to the real machine for as long as a synchronous run lasts. Nothing else of the process runs in that
 * time, so nobody outside of the world notices.
 *
 * Whoever tries one gets an {@link AmbientUse} thrown, and the first is kept: a provider that catches it cannot hide it.
 */
export class AmbientGuard {
  first: AmbientUse | undefined
  #restore: Array<() => void> = []

  close(): void {
    for (const door of doors()) {
      const refuse = () => {
        throw this.#caught(door.what)
      }
      this.#put(door.owner, door.key, refuse)
    }
    const hrtime = () => {
      throw this.#caught("process.hrtime")
    }
    // Last, and with its method: what takes the place of the function has what was put there before.
    // oxlint-disable-next-line typescript/unbound-method
    this.#put(process, "hrtime", Object.assign(hrtime, { bigint: process.hrtime.bigint }))
    const RealDate = Date
    const caught = () => this.#caught("new Date()")
    // `new Date(0)` is arithmetic and stays; `new Date()` reads the clock.
    const SimulatedDate = function(...args: Array<unknown>) {
      if (args.length === 0) throw caught()
      return Reflect.construct(RealDate, args)
    }
    Object.setPrototypeOf(SimulatedDate, RealDate)
    SimulatedDate.prototype = RealDate.prototype
    this.#put(globalThis, "Date", SimulatedDate)
  }

  open(): void {
    for (const restore of this.#restore.splice(0).reverse()) restore()
  }

  #caught(what: string): AmbientUse {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 40
    const use = new AmbientUse(what, culpritOf(new Error("here")))
    Error.stackTraceLimit = limit
    this.first ??= use
    return use
  }

  #put(owner: object, key: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(owner, key)
    Object.defineProperty(owner, key, {
      value,
      configurable: true,
      writable: true,
      enumerable: before?.enumerable ?? false
    })
    this.#restore.push(() => {
      if (before === undefined) Reflect.deleteProperty(owner, key)
      else Object.defineProperty(owner, key, before)
    })
  }
}
