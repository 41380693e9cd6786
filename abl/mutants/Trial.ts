import { spawn } from "node:child_process"
import { join } from "node:path"
import { workerPath } from "./Workshop.ts"

/** What a worker is to do: the seeds `first` to `last`, until it has used so much of the processor. */
export interface Work {
  readonly first: number
  readonly last: number
  readonly cpuSeconds: number
  /** Whether the named scenarios are enacted. */
  readonly scenarios: boolean
  /** Whether seeds are run again and compared byte for byte. */
  readonly meta: boolean
  /** Whether the digest of each seed's records is told. */
  readonly digests: boolean
}

/** A rule broke: one of the world's, `META` where a seed was not the same twice, or the id of a named scenario. */
export interface Caught {
  readonly is: "caught"
  readonly seed: number
  readonly rule: string
  readonly message: string
  /** Seeds that were run up to it. */
  readonly seeds: number
  readonly cpuSeconds: number
}

/** What a worker says. */
export type Line =
  | { readonly is: "loaded" }
  | { readonly is: "at"; readonly seed: number }
  | { readonly is: "enacting"; readonly scenario: string }
  | { readonly is: "digest"; readonly seed: number; readonly digest: string }
  | Caught
  | { readonly is: "through"; readonly seeds: number; readonly cpuSeconds: number }

export type Outcome =
  | Caught
  | { readonly is: "survived"; readonly seeds: number; readonly cpuSeconds: number; readonly digests: Digests }
  /** It does not load: no verdict. */
  | { readonly is: "broken"; readonly message: string }
  | { readonly is: "stopped" }

export type Digests = ReadonlyMap<number, string>

/** A seed takes 25 ms, the longest scenario 3 s; what takes this long, in ms, hangs in a loop that no simulated clock can see. */
const hangsAfterMs = 120_000

/**
 * Runs the seeds of `work` on the tree in `directory`, in a process of its own.
 *
 * A seed that throws (rule `THROW`) or hangs (rule `HANG`) is caught; a tree that cannot be loaded is `broken`. Nothing is
 * left running, also when `signal` aborts it.
 */
export const runTrial = (
  directory: string,
  work: Work,
  options: { readonly signal: AbortSignal; readonly onSeed?: (seed: number) => void }
): Promise<Outcome> =>
  new Promise((resolve) => {
    if (options.signal.aborted) return resolve({ is: "stopped" })
    const began = performance.now()
    const child = spawn(process.execPath, [join(directory, workerPath), JSON.stringify(work)], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"]
    })
    const digests = new Map<number, string>()
    let loaded = false
    let seed = work.first
    let last: Line | undefined
    let rest = ""
    let errors = ""
    let hung = false
    const kill = () => void child.kill("SIGKILL")
    let watch = setTimeout(kill, hangsAfterMs)
    const alive = () => {
      clearTimeout(watch)
      watch = setTimeout(() => {
        hung = loaded
        kill()
      }, hangsAfterMs)
    }
    options.signal.addEventListener("abort", kill)
    child.stderr.on("data", (chunk: Buffer) => {
      if (errors.length < 10_000) errors += chunk.toString()
    })
    child.stdout.on("data", (chunk: Buffer) => {
      alive()
      const lines = (rest + chunk.toString()).split("\n")
      rest = lines.pop() ?? ""
      for (const text of lines) {
        const line = JSON.parse(text) as Line
        if (line.is === "loaded") loaded = true
        else if (line.is === "digest") digests.set(line.seed, line.digest)
        else if (line.is === "at") {
          seed = line.seed
          options.onSeed?.(seed)
        } else if (line.is !== "enacting") last = line
      }
    })
    const finish = (message: string) => {
      clearTimeout(watch)
      options.signal.removeEventListener("abort", kill)
      const spent = { seeds: seed - work.first + 1, cpuSeconds: (performance.now() - began) / 1000 }
      if (options.signal.aborted) resolve({ is: "stopped" })
      else if (last?.is === "caught") resolve(last)
      else if (last?.is === "through") {
        resolve({ is: "survived", seeds: last.seeds, cpuSeconds: last.cpuSeconds, digests })
      } else if (hung) {
        resolve({ is: "caught", seed, rule: "HANG", message: `no end after ${hangsAfterMs / 1000} s`, ...spent })
      } else if (loaded) resolve({ is: "caught", seed, rule: "THROW", message, ...spent })
      else resolve({ is: "broken", message })
    }
    child.on("error", (error) => finish(error.message))
    child.on("close", (code, signal) => finish(errors.trim() || `the worker ended with ${signal ?? code}`))
  })
