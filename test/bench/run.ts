import { execFileSync, spawnSync } from "node:child_process"
import { cpus } from "node:os"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Layer } from "effect"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { InstantSession } from "./InstantSession.ts"

/** One measured line. `ratio` compares with the bare loop of the same run, where there is one. */
interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly bare?: number
  readonly aim?: string
}

const percentile = (sorted: Float64Array, p: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0

const frames = 1_000_000
const turns = 10_000
const cancels = 5_000

/** The same frames through a plain queue with no guarantees. */
const bareFrames = (): number => {
  const queue: Array<{ readonly index: number }> = []
  let sum = 0
  const start = performance.now()
  for (let i = 0; i < frames; i++) {
    queue.push({ index: i * 320 })
    const frame = queue.shift()
    sum += frame === undefined ? 0 : frame.index
  }
  if (sum < 0) throw new Error("unreachable")
  return ((performance.now() - start) * 1000) / frames
}

const kernelFrames = (session: InstantSession): number => {
  const start = performance.now()
  for (let i = 0; i < frames; i++) session.kernel.audio(i * 320, 320, i * 20)
  return ((performance.now() - start) * 1000) / frames
}

const measure = Effect.gen(function*() {
  const normalizer = yield* SpecNormalizer
  const spec = yield* normalizer.normalize({
    schema_version: "v1.0",
    pipeline_id: "bench",
    pipeline_version: "bench-1"
  })
  const figures: Array<Figure> = []

  const warm = yield* InstantSession.open(spec)
  kernelFrames(warm)
  bareFrames()
  figures.push({
    name: "kernel CPU per audio frame",
    value: kernelFrames(yield* InstantSession.open(spec)),
    unit: "µs",
    bare: bareFrames(),
    aim: "≤ 2"
  })

  let started = 0
  let firstOutputAt = 0
  const session = yield* InstantSession.open(spec, (type) => {
    if (type === "enqueue_output" && firstOutputAt === 0) firstOutputAt = performance.now()
  })
  const samples = new Float64Array(turns)
  for (let turn = 0; turn < turns; turn++) {
    session.now += 20
    firstOutputAt = 0
    started = performance.now()
    session.feed({ type: "typed_text", handle: session.handle("text_raw", 20) })
    samples[turn] = firstOutputAt - started
  }
  const early = samples.slice(100, 600).sort()
  const late = samples.slice(turns - 500).sort()
  const all = samples.slice(100).sort()
  figures.push(
    {
      name: "end of turn → first chunk, instant providers, p50",
      value: percentile(all, 0.5),
      unit: "ms",
      aim: "≤ 0.3"
    },
    { name: "end of turn → first chunk, instant providers, p99", value: percentile(all, 0.99), unit: "ms", aim: "≤ 1" },
    {
      name: `the same at turn ${turns}, p50`,
      value: percentile(late, 0.5),
      unit: "ms",
      bare: percentile(early, 0.5),
      aim: "ratio ≤ 1.2 to turn 100"
    }
  )

  let fencedAt = 0
  const cut = yield* InstantSession.open(spec, (type) => {
    if (type === "fence_output") fencedAt = performance.now()
  })
  const fences = new Float64Array(cancels)
  for (let i = 0; i < cancels; i++) {
    cut.now += 20
    cut.feed({ type: "typed_text", handle: cut.handle("text_raw", 20) }, true)
    const accepted = performance.now()
    cut.feed({ type: "cancel_requested", scope: "turn", reason: "bench" })
    fences[i] = fencedAt - accepted
  }
  const sortedFences = fences.slice(100).sort()
  figures.push(
    { name: "cancel accepted → fence commanded, p50", value: percentile(sortedFences, 0.5), unit: "ms", aim: "≤ 0.1" },
    { name: "cancel accepted → fence commanded, p99", value: percentile(sortedFences, 0.99), unit: "ms", aim: "≤ 1" }
  )

  // 400 turns, one every 9 s: an hour of call.
  const hour = scriptedSession(yield* SessionKernel, conversation(400, 1, 9000))
  const replayer = yield* Replayer
  yield* replayer.replay(scriptedSession(yield* SessionKernel, conversation(20, 1, 9000)))
  const replayStart = performance.now()
  const report = yield* replayer.replay(hour)
  if (!report.identical) return yield* Effect.die("the hour did not replay identically: the figure would mean nothing")
  const replaySeconds = (performance.now() - replayStart) / 1000
  figures.push(
    { name: "replay of one hour of call", value: replaySeconds, unit: "s", aim: "≤ 1" },
    { name: "replay, times real time", value: report.sessionMs / 1000 / replaySeconds, unit: "×", aim: "≥ 100" }
  )

  const timed = (args: ReadonlyArray<string>) => {
    const runs = Array.from({ length: 5 }, () => {
      const start = performance.now()
      spawnSync(process.execPath, args, { stdio: "ignore" })
      return performance.now() - start
    }).sort((a, b) => a - b)
    return runs[2] ?? 0
  }
  const node = timed(["-e", ""])
  figures.push(
    { name: "rspp --help", value: timed(["packages/cli/bin/rspp.js", "--help"]), unit: "ms", bare: node, aim: "≤ 300" },
    {
      name: "import of the runtime",
      value: timed(["-e", "await import('@rspp/runtime/session/Session')"]),
      unit: "ms",
      bare: node,
      aim: "≤ 150 over bare node"
    }
  )
  return figures
}).pipe(
  Effect.provide(Layer.mergeAll(SpecNormalizer.layer, SessionKernel.layer, ControlPlane.layerMemory(), Replayer.layer))
)

const figures = await Effect.runPromise(measure)
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim()
if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ commit, node: process.version, cores: cpus().length, figures }, null, 2))
} else {
  console.log(
    `commit ${commit}, node ${process.version}, ${cpus().length} cores; "bare" is the same work without guarantees`
  )
  for (const { aim, bare, name, unit, value } of figures) {
    const ratio = bare === undefined ? "" : `  (${(value / bare).toFixed(1)} × ${bare.toFixed(3)} ${unit})`
    console.log(
      `${name.padEnd(52)} ${value.toFixed(3).padStart(9)} ${unit}${ratio}${aim === undefined ? "" : `  aim ${aim}`}`
    )
  }
}
