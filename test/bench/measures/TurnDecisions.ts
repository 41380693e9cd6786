import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { controlClient } from "@rspp/control/http/ControlClient"
import * as HttpSnapshotLog from "@rspp/control/http/HttpSnapshotLog"
import { PinnedPipelines } from "@rspp/control/http/PinnedPipelines"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { Effect, FiberSet, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ControlPlaneProcess } from "../../support/ControlPlaneProcess.ts"
import { Callers } from "../Callers.ts"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"
import { benchSessions, Exchange } from "../InstantPorts.ts"
import type { Line } from "../InstantPorts.ts"

const sessions = 500
const seconds = 20
/** Each caller types something so often, ms. */
const everyMs = 4000
/** The reply's speech, ms. */
const voiceMs = 1200
/** What the issue asks for, ms. */
const bound = 5

/** A caller who types: from when that is given to the session until its turn is open. */
class Typist {
  readonly line: Line
  readonly opened: Array<number> = []
  refused = 0
  #typedMs: number | undefined

  constructor(line: Line) {
    this.line = line
  }

  get waits(): boolean {
    return this.#typedMs !== undefined
  }

  type(): void {
    // the turn before never opened
    if (this.#typedMs !== undefined) this.refused++
    this.#typedMs = performance.now()
    this.line.ingress?.text("what time is it")
  }

  readonly observer: SessionObserver = {
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record !== "signal" || output.signal.signal !== "turn_open" || this.#typedMs === undefined) continue
        this.opened.push(performance.now() - this.#typedMs)
        this.#typedMs = undefined
      }
    }
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Typed {
  /** What each decision took, waiting for the session's own loop included, ms. */
  readonly took: ReadonlyArray<number>
  /** CPU of the one JavaScript thread ÷ time that passed. */
  readonly cpu: number
  /** Frames of the callers that the sessions had no room for. */
  readonly lost: number
}

const lostBy = (typists: ReadonlyArray<Typist>): number => typists.reduce((sum, { line }) => sum + line.refused, 0)

/** Everyone types every four seconds, each at a moment of its own, for so long. */
const typing = async (typists: ReadonlyArray<Typist>): Promise<Typed> => {
  const lostBefore = lostBy(typists)
  const cpuBefore = process.threadCpuUsage()
  for (const typist of typists) {
    typist.opened.length = 0
    typist.refused = 0
  }
  const began = performance.now()
  let due = 0
  while (performance.now() - began < seconds * 1000) {
    await wait(1)
    const now = Math.floor((performance.now() - began) * typists.length / everyMs)
    // not one after the other: in an order that is spread over all of them
    while (due < now) typists[(due++ * 311) % typists.length]?.type()
  }
  const { system, user } = process.threadCpuUsage(cpuBefore)
  const cpu = (system + user) / 1000 / (performance.now() - began)
  for (let i = 0; i < 100 && typists.some((typist) => typist.waits); i++) await wait(100)
  const refused = typists.reduce((sum, typist) => sum + typist.refused, 0)
  const took = typists.flatMap((typist) => typist.opened)
  if (refused > 0 || took.length < due) {
    throw new Error(`${due} texts opened ${took.length} turns, ${refused} of them late`)
  }
  return { took, cpu, lost: lostBy(typists) - lostBefore }
}

/** Until each session has opened a turn: it has its lease and its snapshots. */
const warmUp = async (typists: ReadonlyArray<Typist>): Promise<void> => {
  for (let second = 0; second < 60; second++) {
    const waiting = typists.filter(({ opened }) => opened.length === 0)
    if (waiting.length === 0) return wait(2 * voiceMs)
    for (const typist of waiting) typist.type()
    await wait(1000)
  }
  throw new Error("some sessions never opened a turn")
}

/** A control plane over SQLite with the sessions, each on the version that it is pinned to. */
const furnish = async (server: ControlPlaneProcess) => {
  const as = (key: string) =>
    Effect.runPromise(
      Effect.provide(controlClient({ url: server.url, apiKey: Redacted.make(key) }), FetchHttpClient.layer)
    )
  const platform = await as(server.platformKey)
  const made = await Effect.runPromise(platform.tenants.create({ payload: { tenant_id: "bench", name: "Bench" } }))
  const client = await as(made.owner.text)
  const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: "1" }
  await Effect.runPromise(client.pipelines.publish({ payload: { spec } }))
  const params = { pipeline_id: "assistant" }
  await Effect.runPromise(client.rollouts.put({ params, headers: {}, payload: { stable_version: "1" } }))
  // a runtime's key: it may ask as often as its sessions need
  const { text } = await Effect.runPromise(client.keys.create({ payload: { name: "bench", role: "runtime" } }))
  const runtime = await as(text)
  const ids: Array<string> = []
  for (let i = 0; i < sessions; i++) {
    const { session } = await Effect.runPromise(runtime.sessions.create({ payload: { pipeline_id: "assistant" } }))
    ids.push(session.session_id)
  }
  return { ids, apiKey: text }
}

const layers = (directory: string, url: string, apiKey: string) => {
  const place = { url, apiKey: Redacted.make(apiKey) }
  return Layer.mergeAll(
    PinnedPipelines.layer(place),
    SnapshotFollower.layerNoDeps({ openWithinMs: 10_000 }).pipe(Layer.provide(HttpSnapshotLog.layer(place)))
  ).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.merge(ControlPlane.layerMemory()),
    Layer.merge(
      LeaseAuthority.layerNoDeps({ ttlMs: 120_000 }).pipe(
        Layer.provide(SqlLeaseStore.layer({ name: "bench" })),
        Layer.provide(NodeSqlite.layer(join(directory, "control.sqlite"))),
        Layer.provide(LeaseTokens.layer)
      )
    )
  )
}

const figuresOf = (name: string, { cpu, lost, took }: Typed, bare?: Typed): ReadonlyArray<Figure> =>
  ([["p50", 0.5], ["p95", 0.95], ["p99", 0.99]] as const).map(([label, p]) => ({
    name: `${name}, ${label}`,
    value: percentile(took, p),
    unit: "ms",
    ...(bare === undefined ? {} : { bare: percentile(bare.took, p), against: "the control plane is there" }),
    ...(p === 0.95 ? { bound: { atMost: bound } } : {}),
    ...(p === 0.99
      ? {
        note: `${took.length} turns, max ${percentile(took, 1).toFixed(1)} ms; the JavaScript thread had ${
          Math.round(cpu * 100)
        } % of a core; ${lost} frames of the callers were lost`
      }
      : {})
  }))

const measure: Measure = {
  about:
    `From when a text is given to a session until its turn is open, in real time, over ${sessions} live sessions of one process for ${seconds} s: each is fed 50 frames a second, types every ${
      everyMs / 1000
    } s and is answered with ${
      voiceMs / 1000
    } s of speech, under a lease in SQLite and the snapshots of a real control plane over HTTP. Once while that is there, and once after it was killed.`,
  run: async (tell) => {
    const directory = mkdtempSync(join(tmpdir(), "rspp-bench-control-"))
    const server = await ControlPlaneProcess.start(directory)
    try {
      tell(`${sessions} sessions are made`)
      const { apiKey, ids } = await furnish(server)
      const exchange = new Exchange()
      const typists = ids.map((id) => new Typist(exchange.line(id)))
      const program = Effect.gen(function*() {
        const context = yield* Effect.context<Layer.Success<ReturnType<typeof layers>>>()
        const pipelines = yield* PinnedPipelines
        const [first = ""] = ids
        const { spec } = yield* pipelines.of(first)
        const feed = controlPlaneFeed(spec, { placementId: "bench", scope: (session_id) => session_id }).pipe(
          Layer.provide(Layer.succeedContext(context))
        )
        const { layer, run } = yield* benchSessions(exchange, {
          nowMs: () => performance.now(),
          output: "paced",
          voiceMs,
          spec,
          feed
        })
        return yield* Effect.gen(function*() {
          const fibers = yield* FiberSet.make<unknown, unknown>()
          let broken: string | undefined
          for (const { line, observer } of typists) {
            const call = run(line.sessionId).pipe(
              Effect.provideService(SessionObservers, [observer]),
              Effect.tapCause((cause) => Effect.sync(() => void (broken ??= String(cause))))
            )
            yield* FiberSet.run(fibers)(call)
            while (line.ingress === undefined) {
              if (broken !== undefined) throw new Error(broken)
              yield* Effect.sleep(1)
            }
          }
          const callers = new Callers(typists.map(({ line }) => ({ feed: (samples) => line.feed(samples.fill(0)) })))
          callers.start()
          yield* Effect.promise(() => warmUp(typists))
          tell("the control plane is there")
          const there = yield* Effect.promise(() => typing(typists))
          yield* Effect.promise(() => server.kill())
          yield* Effect.sleep(3000)
          tell("the control plane was killed")
          const killed = yield* Effect.promise(() => typing(typists))
          callers.stop()
          if (broken !== undefined) throw new Error(broken)
          return [
            ...figuresOf(`turn-open decision, ${sessions} sessions, control plane killed`, killed, there),
            ...figuresOf(`turn-open decision, ${sessions} sessions, control plane there`, there)
          ]
        }).pipe(Effect.scoped, Effect.provide(layer))
      })
      return await Effect.runPromise(Effect.scoped(Effect.provide(program, layers(directory, server.url, apiKey))))
    } finally {
      await server.kill()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
export default measure
