import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../bin/rspp.js", import.meta.url))

/** The recordings that come with the repository. */
export const recording = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/recordings/${name}.wav`, import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** The `rspp.js` to run, instead of the repository's own. */
  readonly bin?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: Uint8Array
  readonly started?: (child: ChildProcess) => void
  /** Called with what was printed so far, each time that more was. */
  readonly watch?: (stdout: string, child: ChildProcess) => void
}

/** Runs the real program as a user would, without the settings of the machine that the tests run on. */
export const rspp = (args: ReadonlyArray<string>, options: RunOptions = {}): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const { PATH, HOME, TMPDIR } = process.env
    const child = spawn(process.execPath, [options.bin ?? bin, ...args], {
      cwd: options.cwd,
      env: { PATH, HOME, TMPDIR, ...options.env },
      stdio: ["pipe", "pipe", "pipe"]
    })
    options.started?.(child)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      options.watch?.(stdout, child)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.stdin.on("error", () => {})
    child.stdin.end(options.stdin)
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })

/** Runs each, a few at a time; the results by name. */
export const runAll = async <K extends string>(
  runs: Readonly<Record<K, () => Promise<Ended>>>
): Promise<Record<K, Ended>> => {
  const names = Object.keys(runs) as Array<K>
  const results = {} as Record<K, Ended>
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) results[name] = await runs[name]()
  }
  await Promise.all([worker(), worker(), worker()])
  return results
}
