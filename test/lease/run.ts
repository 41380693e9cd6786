// Lets processes contend for sessions on PostgreSQL while they are killed and stopped and the database is crashed, and
// checks afterwards what they wrote down. `make lease`
//
//   node test/lease/run.ts [--seconds N] [--processes N] [--sessions N] [--ttl MS] [--seed S] [--keep DIR] [--json]
//   node test/lease/run.ts --check DIR [--json]
//
// Exit codes: 0; 1 when a rule was broken: the files are kept and named; 2 for a wrong option; 69 when there is no
// PostgreSQL server; 130 when interrupted.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Verdict } from "./Checker.ts"
import { check, readLogs } from "./Checker.ts"
import { hammer } from "./Hammer.ts"
import { optionsOf } from "../support/Options.ts"

const { given, whole } = optionsOf({
  seconds: { type: "string", default: "600" },
  processes: { type: "string", default: "8" },
  sessions: { type: "string", default: "200" },
  ttl: { type: "string", default: "10000" },
  "turn-every": { type: "string", default: "1500" },
  seed: { type: "string", default: "1" },
  keep: { type: "string" },
  check: { type: "string" },
  json: { type: "boolean", default: false }
})

/** Violations that are shown; the rest are counted. */
const shown = 20

const show = (verdict: Verdict, about: Readonly<Record<string, unknown>>): void => {
  const { figures, violations } = verdict
  if (given.json) return console.log(JSON.stringify({ ...about, ...verdict }))
  console.log(
    `${figures.processes} processes, ${figures.sessions} sessions: ${figures.epochs} epochs, ${figures.renewals} renewals, ${figures.outputs} frames`
  )
  console.log(
    `${figures.kills} kills, ${figures.pauses} pauses, ${figures.database_crashes} crashes of the database; ${figures.in_flight} frames in flight at a pause`
  )
  const { resumed_ms, takeover_ms } = figures
  console.log(
    `${figures.orphans} orphans: a new epoch ${takeover_ms.p50} ms after the lease's end (p50; p99 ${takeover_ms.p99}, most ${takeover_ms.max}),`
  )
  console.log(`output after ${resumed_ms.p50} ms (p50; p99 ${resumed_ms.p99}, most ${resumed_ms.max})`)
  console.log(`the longest that a living process wrote nothing: ${figures.longest_silence_ms} ms`)
  for (const { message, rule, session } of violations.slice(0, shown)) {
    console.log(`BROKEN  ${rule}  ${session}: ${message}`)
  }
  console.log(violations.length === 0 ? "every rule was kept" : `${violations.length} violations`)
}

if (given.check !== undefined) {
  const verdict = check(readLogs(given.check))
  show(verdict, {})
  process.exit(verdict.violations.length === 0 ? 0 : 1)
}

const seed = whole("seed")
const directory = given.keep ?? mkdtempSync(join(tmpdir(), "rspp-lease-"))
mkdirSync(directory, { recursive: true })
let interrupted = false
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void (interrupted = true))
const about = {
  seed,
  seconds: whole("seconds"),
  processes: whole("processes"),
  sessions: whole("sessions"),
  ttl_ms: whole("ttl")
}
process.stderr.write(`seed ${seed}, files in ${directory}\n`)
const outcome = await hammer({
  directory,
  processes: about.processes,
  sessions: about.sessions,
  ttlMs: about.ttl_ms,
  seconds: about.seconds,
  turnEveryMs: whole("turn-every"),
  seed,
  progress: (text) => void process.stderr.write(`${text}\n`),
  interrupted: () => interrupted
})
if (typeof outcome === "object") {
  console.error(`not run: ${outcome.missing}`)
  process.exitCode = 69
} else {
  const verdict = check(readLogs(directory))
  show(verdict, about)
  const broken = verdict.violations.length > 0
  if (broken) process.stderr.write(`The files are in ${directory}; check them again with --check.\n`)
  else if (given.keep === undefined) rmSync(directory, { recursive: true })
  process.exitCode = outcome === "interrupted" ? 130 : broken ? 1 : 0
}
