import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Kind, LiveResult } from "./LiveProcess.ts"

const script = fileURLToPath(new URL("./LiveProcess.ts", import.meta.url))

/** One process with so many live sessions, for so many seconds; undefined when its sessions did not keep up. */
export const liveRunOf = (kind: Kind, sessions: number, seconds: number): Promise<LiveResult | undefined> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--expose-gc", script, kind, `${sessions}`, `${seconds}`], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let said = ""
    let complained = ""
    child.stdout.on("data", (chunk) => {
      said += chunk
    })
    child.stderr.on("data", (chunk) => {
      complained += chunk
    })
    child.on("error", reject)
    child.on("close", (code) => {
      // What a session logs comes before the result.
      if (code === 0) resolve(JSON.parse(said.trim().split("\n").at(-1) ?? "") as LiveResult)
      else if (complained.includes("did not keep up")) resolve(undefined)
      else reject(new Error(complained))
    })
  })
