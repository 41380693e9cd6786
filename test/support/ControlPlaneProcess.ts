import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { dirname, join } from "node:path"

const bin = join(dirname(dirname(import.meta.dirname)), "packages/cli/bin/rspp.js")

type Environment = Readonly<Record<string, string>>

interface Said {
  readonly url: string
  readonly platform_key?: string
}

/** A real `rspp control-plane` over SQLite in a directory: a process that a test kills and starts again at the same port. */
export class ControlPlaneProcess {
  readonly url: string
  readonly platformKey: string
  readonly #directory: string
  readonly #more: ReadonlyArray<string>
  readonly #environment: Environment
  #child: ChildProcess

  private constructor(
    directory: string,
    more: ReadonlyArray<string>,
    environment: Environment,
    child: ChildProcess,
    said: Said
  ) {
    this.#directory = directory
    this.#more = more
    this.#environment = environment
    this.#child = child
    this.url = said.url
    this.platformKey = said.platform_key ?? ""
  }

  static async start(directory: string, ...more: ReadonlyArray<string>): Promise<ControlPlaneProcess> {
    return await ControlPlaneProcess.startWith({}, directory, ...more)
  }

  /** With more in its environment. */
  static async startWith(
    environment: Environment,
    directory: string,
    ...more: ReadonlyArray<string>
  ): Promise<ControlPlaneProcess> {
    const [child, said] = await serve(directory, "127.0.0.1:0", more, environment)
    return new ControlPlaneProcess(directory, more, environment, child, said)
  }

  /** Kills it with SIGKILL; it is gone when this returns. */
  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return
    const closed = once(this.#child, "close")
    this.#child.kill("SIGKILL")
    await closed
  }

  /** Starts it again, where it was. */
  async restart(): Promise<void> {
    const [child] = await serve(this.#directory, new URL(this.url).host, this.#more, this.#environment)
    this.#child = child
  }
}

const serve = async (
  cwd: string,
  listen: string,
  more: ReadonlyArray<string>,
  environment: Environment
): Promise<readonly [ChildProcess, Said]> => {
  const { HOME, PATH, TMPDIR } = process.env
  const args = [bin, "control-plane", "--database", "sqlite:control.sqlite", "--listen", listen, "--json", ...more]
  const child = spawn(process.execPath, args, {
    cwd,
    env: { HOME, PATH, TMPDIR, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const said = await new Promise<Said>((resolve, reject) => {
    let out = ""
    let errors = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text
      if (out.includes("\n")) resolve(JSON.parse(out) as Said)
    })
    child.on("error", reject)
    child.on("close", (code) => reject(new Error(`the control plane ended with ${code}: ${errors}`)))
  })
  return [child, said]
}
