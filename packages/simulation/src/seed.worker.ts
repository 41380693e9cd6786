// The process that seeds run in: `SeedProcess.ts` starts it, asks it one job at a time, and ends it.
import { enableCompileCache } from "node:module"
import type { SeedJob } from "./SeedJob.ts"

enableCompileCache()

// Ctrl-C in a terminal reaches every process; the parent decides. When it is gone the channel closes.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {})
process.on("disconnect", () => process.exit(0))

const { doJob } = await import("./SeedJob.ts")

process.on("message", (job: SeedJob) => {
  try {
    process.send?.({ answer: doJob(job) })
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.stack ?? error.message : String(error) })
  }
})
process.send?.({ ready: process.versions.node })
