// Kills a process that records a live call, again and again, and reads what is left. `make crash`
//
//   node test/crash/run.ts [--runs N] [--seed S] [--jobs N] [--json]
//
// Each run is a process of its own, killed with SIGKILL at a time that the seed says, up to two seconds into the call.
// Exit codes: 0; 1 when a promise was broken: the file is kept and named; 2 for a wrong option; 130 when interrupted.
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { examine, killRecording, latestMs } from "./Crash.ts"
import { optionsOf } from "../support/Options.ts"

const { given, whole } = optionsOf({
  runs: { type: "string", default: "1000" },
  seed: { type: "string", default: "1" },
  // Most of a run is waiting for the kill.
  jobs: { type: "string", default: String(2 * availableParallelism()) },
  json: { type: "boolean", default: false }
})
const runs = whole("runs")
const jobs = whole("jobs")
const stream = new RandomStreams(whole("seed")).of("crash")
const times = Array.from({ length: runs }, () => stream.between(0, latestMs))

const directory = mkdtempSync(join(tmpdir(), "rspp-crash-"))
const totals = { runs: 0, before: 0, between: 0, inside: 0, records: 0, evidence: 0, safe_evidence: 0 }
const broken: Array<{ readonly file: string; readonly afterMs: number; readonly problems: ReadonlyArray<string> }> = []
let interrupted = false
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void (interrupted = true))

let next = 0
const work = async (): Promise<void> => {
  for (let run = next++; run < runs && !interrupted; run = next++) {
    const path = join(directory, `${run}.timeline`)
    const killed = await killRecording(path, times[run] ?? 0)
    const left = await examine(killed)
    totals.runs++
    totals[left.tear]++
    totals.records += left.records
    totals.evidence += left.evidence
    totals.safe_evidence += killed.safe.evidence
    if (left.problems.length > 0) broken.push({ file: path, afterMs: killed.afterMs, problems: left.problems })
    else rmSync(path, { force: true })
    if (process.stderr.isTTY) process.stderr.write(`\r${totals.runs} of ${runs} killed, ${broken.length} broken`)
  }
}
await Promise.all(Array.from({ length: jobs }, work))
if (process.stderr.isTTY) process.stderr.write("\n")
if (broken.length === 0) rmSync(directory, { recursive: true, force: true })
if (given.json) console.log(JSON.stringify({ ...totals, broken }))
else {
  const { before, between, evidence, inside, records, safe_evidence } = totals
  console.log(
    `${totals.runs} recordings were killed: ${before} before there was a header, ${inside} in the middle of what`
  )
  console.log(
    `was being written, ${between} between two frames; ${records} records and the evidence of ${evidence} turns`
  )
  console.log(`were read back, ${safe_evidence} of which the disk had taken for good`)
  for (const { afterMs, file, problems } of broken) {
    console.log(`BROKEN  ${file}, killed ${afterMs} ms into the call`)
    for (const problem of problems) console.log(`  ${problem}`)
  }
  console.log(broken.length === 0 ? "every promise was kept" : `${broken.length} broke a promise`)
}
process.exitCode = interrupted ? 130 : broken.length === 0 ? 0 : 1
