import { spawn } from "node:child_process"
import type { ChildProcessByStdio } from "node:child_process"
import type { Readable } from "node:stream"
import { program } from "../../../support/Program.ts"
import type { Ended } from "../../../support/Program.ts"

/**
 * The program as its users start it, in a process of its own, while it runs. With `await using` it never outlives a test.
 */
export class ProgramProcess {
  readonly ended: Promise<Ended>
  protected readonly child: ChildProcessByStdio<null, Readable, Readable>

  protected constructor(cwd: string, args: ReadonlyArray<string>, environment: Readonly<Record<string, string>>) {
    const { HOME, PATH, TMPDIR } = process.env
    this.child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { HOME, PATH, TMPDIR, ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let [stdout, stderr] = ["", ""]
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    this.ended = new Promise((resolve) => void this.child.on("close", (code) => resolve({ code, stdout, stderr })))
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL")
    await this.ended
  }
}
