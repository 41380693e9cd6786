// Measures what RSPP costs. `node test/bench/run.ts [--only NAME] [--json] [--write-page]`
//
// Each benchmark runs in a process of its own, one after the other; the bare loop that a figure is compared with runs in
// the same process. --json prints the results as one JSON object; --write-page also writes docs/benchmarks.md from it.
// A benchmark that breaks does not take the others with it. With --only, --write-page renews one section of the page of the
// run before, which says so.
// Exit 0: measured, whatever the figures. Exit 1: a benchmark broke. Exit 2: a wrong flag, no benchmark of that name, or no
// page's results to renew a section of.
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import type { Figure, Measure } from "./Figure.ts"
import type { Result, Results } from "./Page.ts"
import { line, page, pagePath, percent, renewed } from "./Page.ts"

/** By name, in the order in which they run. */
const measures: Readonly<Record<string, () => Promise<{ readonly default: Measure }>>> = {
  frames: () => import("./measures/AudioFrames.ts"),
  turns: () => import("./measures/TurnOverhead.ts"),
  cancel: () => import("./measures/CancelToFence.ts"),
  disks: () => import("./measures/Disks.ts"),
  live: () => import("./measures/LiveSessions.ts"),
  soak: () => import("./measures/Soak.ts"),
  simulation: () => import("./measures/SimulationSpeed.ts"),
  telemetry: () => import("./measures/Telemetry.ts"),
  recording: () => import("./measures/RecordingCost.ts"),
  replay: () => import("./measures/ReplaySpeed.ts"),
  leases: () => import("./measures/LeaseThroughput.ts"),
  snapshots: () => import("./measures/SnapshotLatency.ts"),
  api: () => import("./measures/ApiThroughput.ts"),
  decisions: () => import("./measures/TurnDecisions.ts"),
  providers: () => import("./measures/ProviderOverhead.ts"),
  rooms: () => import("./measures/RoomLatency.ts"),
  import: () => import("./measures/ImportTime.ts")
}

/** The results that the page was written from, so that a section can be renewed. */
const keptPath = ".rspp/bench.json"

const script = fileURLToPath(import.meta.url)
const root = fileURLToPath(new URL("../..", import.meta.url))
const args = process.argv.slice(2)
const valueOf = (flag: string): string | undefined => {
  const at = args.indexOf(flag)
  return at < 0 ? undefined : args[at + 1] ?? ""
}

/** The share of a core that a busy loop gets: 1 on a machine that is free. */
const share = (): number => {
  const cpu = process.threadCpuUsage()
  const began = performance.now()
  while (performance.now() - began < 400);
  const { system, user } = process.threadCpuUsage(cpu)
  return (system + user) / 1000 / (performance.now() - began)
}

/** Runs one benchmark in this process, and prints its result as JSON. */
const work = async (name: string): Promise<void> => {
  const load = measures[name]
  if (load === undefined) throw new Error(`no benchmark is called ${name}`)
  const { about, run } = (await load()).default
  const before = share()
  const figures: ReadonlyArray<Figure> = await run((progress) => process.stderr.write(`  ${name}: ${progress}\n`))
  const free = Math.min(before, share())
  process.stdout.write(JSON.stringify({ name, about, free, figures } satisfies Result))
  process.exit(0)
}

const inOwnProcess = (name: string): Promise<Result> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--expose-gc", script, "--worker", name], {
      cwd: root,
      // LiveKit's native client writes its log to standard output otherwise.
      env: { ...process.env, NODE_ENV: "production" },
      stdio: ["ignore", "pipe", "inherit"]
    })
    let said = ""
    child.stdout.on("data", (chunk) => {
      said += chunk
    })
    child.on("error", reject)
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(said) as Result)
      else reject(new Error(`the benchmark ${name} broke (exit ${code})`))
    })
  })

const git = (...command: ReadonlyArray<string>): string =>
  execFileSync("git", command, { cwd: root, encoding: "utf8" }).trim()

const usage = `node test/bench/run.ts [--only NAME] [--json] [--write-page]

  --only NAME    one of ${Object.keys(measures).join(", ")}
  --json         the results as one JSON object
  --write-page   also write ${pagePath} from them; with --only: renew that section of it
`

const main = async (): Promise<number> => {
  const only = valueOf("--only")
  const names = Object.keys(measures)
  if (args.includes("--help")) {
    process.stdout.write(usage)
    return 0
  }
  const known = new Set(["--only", "--json", "--write-page"])
  const unknown = args.find((arg, i) => !known.has(arg) && args[i - 1] !== "--only")
  if (unknown !== undefined) {
    process.stderr.write(`There is no ${unknown}.\n${usage}`)
    return 2
  }
  if (only !== undefined && !names.includes(only)) {
    process.stderr.write(`No benchmark is called "${only}"; there are ${names.join(", ")}.\n`)
    return 2
  }
  const writes = args.includes("--write-page")
  const kept = existsSync(`${root}${keptPath}`)
    ? JSON.parse(readFileSync(`${root}${keptPath}`, "utf8")) as Results
    : undefined
  if (only !== undefined && writes && kept === undefined) {
    process.stderr.write("There is no run of all benchmarks here to renew a section of: leave out --only.\n")
    return 2
  }
  const json = args.includes("--json")
  const dirty = git("status", "--porcelain", "--", "packages", "contracts", "test/bench") !== ""
  const about: Omit<Results, "results"> = {
    commit: git("rev-parse", "--short", "HEAD") + (dirty ? " and uncommitted changes" : ""),
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    machine: `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, ${
      Math.round(totalmem() / 1024 ** 3)
    } GB, ${process.platform}`,
    load: loadavg().map((load) => Number(load.toFixed(2))),
    command: `node test/bench/run.ts${args.map((arg) => ` ${arg}`).join("")}`
  }
  if (!json) {
    console.log(`commit ${about.commit}, Node ${about.node}, ${about.machine}, load ${about.load.join(" ")}`)
    console.log("In brackets: the ratio to the bare loop of the same run, and its own figure.")
  }
  const results: Array<Result> = []
  for (const name of only === undefined ? names : [only]) {
    process.stderr.write(`${name} …\n`)
    const result = await inOwnProcess(name).catch((error: Error): Result => {
      process.stderr.write(`${error.message}\n`)
      return { name, about: "", free: 1, figures: [], broke: error.message }
    })
    results.push(result)
    if (json) continue
    for (const figure of result.figures) console.log(line(figure))
    if (result.free < 0.9) console.log(`  The machine was not free: a busy loop got ${percent(result.free)} of a core.`)
  }
  const all: Results = { ...about, results }
  if (json) console.log(JSON.stringify(all, null, 2))
  if (writes) {
    mkdirSync(`${root}docs`, { recursive: true })
    mkdirSync(`${root}.rspp`, { recursive: true })
    const whole = only === undefined || kept === undefined ? all : renewed(kept, all, names)
    writeFileSync(`${root}${keptPath}`, JSON.stringify(whole))
    writeFileSync(`${root}${pagePath}`, page(whole))
    process.stderr.write(`wrote ${pagePath}\n`)
  }
  return results.some(({ broke }) => broke !== undefined) ? 1 : 0
}

const worker = valueOf("--worker")
if (worker !== undefined) await work(worker)
else process.exitCode = await main()
