import { spawnSync } from "node:child_process"
import { percentile } from "../Figure.ts"
import type { Measure } from "../Figure.ts"

const runs = 7

const timed = (args: ReadonlyArray<string>): number => {
  const samples = Array.from({ length: runs }, () => {
    const began = performance.now()
    const { status, stderr } = spawnSync(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] })
    if (status !== 0) throw new Error(String(stderr))
    return performance.now() - began
  })
  return percentile(samples, 0.5)
}

const measure: Measure = {
  about:
    `A process that imports, and ends: the median of ${runs}, started from source (Node strips the types, there is no build step). Bare is a Node that runs nothing.`,
  run: (tell) => {
    const bare = timed(["-e", ""])
    tell("runtime")
    const runtime = timed(["-e", "await import('@rspp/runtime/session/Session')"])
    const effect = timed(["-e", "await import('effect/Effect'); await import('effect/Schema')"])
    tell("rspp --help")
    const help = timed(["packages/cli/bin/rspp.js", "--help"])
    return Promise.resolve([
      {
        name: "import of the runtime",
        value: runtime,
        unit: "ms",
        bare,
        note: `${(runtime - bare).toFixed(0)} ms over bare Node, of which Effect and its Schema ${
          (effect - bare).toFixed(0)
        } ms`
      },
      { name: "rspp --help", value: help, unit: "ms", bare, bound: { atMost: 300 } }
    ])
  }
}
export default measure
