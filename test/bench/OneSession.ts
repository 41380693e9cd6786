import { Effect, Fiber } from "effect"
import { benchSessions, Exchange, spokenFrame } from "./InstantPorts.ts"
import type { Line, PortOptions } from "./InstantPorts.ts"

const soon = () => new Promise<void>((resolve) => setImmediate(resolve))

/** One live session on the real clock whose edges and recogniser are in the benchmark's hands. */
export class OneSession {
  readonly line: Line
  #endpoint: (() => void) | undefined
  #closed: (() => void) | undefined
  #final: (() => void) | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #started = false

  private constructor(line: Line) {
    this.line = line
    line.onRecord = (record) => {
      if (record.record === "signal" && record.signal.signal === "close") this.#closed?.()
      else if (record.record === "input") {
        if (record.input.type === "connection") this.#started = true
        else if (record.input.type === "timer" && record.input.timer === "endpoint") this.#endpoint?.()
      }
    }
  }

  /** `around` is what the whole session runs in: telemetry, for example. */
  static async open(
    options: Omit<PortOptions, "nowMs" | "beforeFinal">,
    around: <A, E>(session: Effect.Effect<A, E>) => Effect.Effect<A, unknown> = (session) => session
  ): Promise<OneSession> {
    const exchange = new Exchange()
    const session = new OneSession(exchange.line("ses_bench"))
    const ports: PortOptions = {
      ...options,
      nowMs: () => performance.now(),
      beforeFinal: () =>
        Effect.callback<void>((resume) => {
          session.#final = () => resume(Effect.void)
        })
    }
    const program = Effect.gen(function*() {
      const { layer, run } = yield* benchSessions(exchange, ports, session.line)
      yield* run("ses_bench").pipe(Effect.provide(layer))
    })
    session.#fiber = Effect.runFork(around(program))
    session.#fiber.addObserver((exit) => {
      if (exit._tag === "Failure") throw new Error(`the session of a benchmark failed: ${String(exit.cause)}`)
    })
    while (!session.#started) await soon()
    await session.closes(() => session.type())
    return session
  }

  type(): void {
    this.line.ingress?.text("what time is it")
  }

  /** Waits until a turn has closed, of those that `begin` brings about. */
  closes(begin: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = () => {
        this.#closed = undefined
        resolve()
      }
      begin()
    })
  }

  /**
   * The caller speaks for 200 ms and falls silent; returns when nothing is waited for but the recogniser's final text.
   * What is returned gives it.
   */
  async speak(): Promise<() => void> {
    const { line } = this
    line.edge({ edge: "speech_started", sampleIndex: line.nextSample })
    for (let i = 0; i < 10; i++) line.feed(spokenFrame)
    await soon()
    const endpoint = new Promise<void>((resolve) => {
      this.#endpoint = resolve
    })
    line.edge({ edge: "speech_ended", sampleIndex: line.nextSample })
    await endpoint
    while (this.#final === undefined) await soon()
    const final = this.#final
    this.#final = undefined
    return final
  }

  async end(): Promise<void> {
    this.line.hangUp()
    if (this.#fiber !== undefined) await Effect.runPromise(Fiber.await(this.#fiber))
  }
}
