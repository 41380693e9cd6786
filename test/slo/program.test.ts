// `rspp slo report` as its users start it: what it prints, writes and ends with.
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { jsonLines } from "@rspp/timeline/export/JsonLines"
import { timelineBytes } from "@rspp/timeline/export/RegressionFixture"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { rspp } from "../support/Program.ts"
import type { Ended } from "../support/Program.ts"

const root = dirname(dirname(import.meta.dirname))
const real = join(root, "test/corpus/real")
const cwd = mkdtempSync(join(tmpdir(), "rspp-slo-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const read = (name: string) => {
  const decoder = new TimelineDecoder()
  decoder.push(readFileSync(join(real, name)))
  const result = decoder.finish()
  if (result.is !== "timeline") throw new Error(`${name} is no timeline`)
  return result.timeline
}

const ended: Record<string, Ended> = {}
const said = (name: string): Ended => {
  const run = ended[name]
  if (run === undefined) throw new Error(`${name} was not run`)
  return run
}

const report = (...args: ReadonlyArray<string>) => rspp(cwd, "slo", "report", ...args)

beforeAll(async () => {
  mkdirSync(join(cwd, "calls"))
  for (const name of ["barge-in", "two-turns", "livekit-conversation"]) {
    writeFileSync(join(cwd, `calls/${name}.timeline`), readFileSync(join(real, `${name}.timeline`)))
  }
  const typed = read("typed.timeline")
  const commit = typed.records.findIndex((record) => record.record === "signal" && record.signal.signal === "commit")
  const twice = typed.records.toSpliced(commit, 0, ...typed.records.slice(commit, commit + 1))
  const counted = twice.map((record): TimelineRecord =>
    record.record === "end" ? { ...record, records: record.records + 1 } : record
  )
  writeFileSync(join(cwd, "twice.timeline"), timelineBytes({ header: typed.header, records: counted }))
  const bytes = readFileSync(join(real, "two-turns.timeline"))
  writeFileSync(join(cwd, "torn.timeline"), bytes.subarray(0, bytes.length - 40))
  writeFileSync(join(cwd, "none.timeline"), "nothing")
  writeFileSync(join(cwd, "strict.json"), JSON.stringify({ response_ms: { p95_ms: 900 } }))
  const runs: Readonly<Record<string, ReadonlyArray<string>>> = {
    json: ["calls", "--json", "--markdown", "slo.md"],
    table: ["calls", "--require-all"],
    strict: ["calls", "--bounds", "strict.json", "--bound", "response_ms.p50=500"],
    wider: ["calls", "--bound", "response_ms.p95=2001"],
    twice: ["twice.timeline"],
    torn: ["torn.timeline", "none.timeline"],
    both: ["calls", "--json", "--markdown", "-"]
  }
  await Promise.all(
    Object.entries(runs).map(async ([name, args]) => {
      ended[name] = await report(...args)
    })
  )
}, 300_000)

describe("rspp slo report", () => {
  it("has the numbers that the independent script computes from what rspp timeline export writes", async () => {
    const { code, stdout } = said("json")
    expect(code).toBe(0)
    const files = ["barge-in", "livekit-conversation", "two-turns"]
    for (const name of files) {
      writeFileSync(join(cwd, `${name}.jsonl`), [...jsonLines(read(`${name}.timeline`))].join(""))
    }
    // That this is what the program exports, one of them shows.
    const exported = await rspp(cwd, "timeline", "export", "calls/barge-in.timeline", "--format", "jsonl")
    expect(exported.stdout).toBe(readFileSync(join(cwd, "barge-in.jsonl"), "utf8"))
    const script = join(root, "test/slo/independent.ts")
    const again = JSON.parse(
      execFileSync(process.execPath, [script, ...files.map((name) => `${name}.jsonl`)], { cwd, encoding: "utf8" })
    )
    const own = JSON.parse(stdout)
    expect({ ...own, gates: undefined }).toMatchObject({ ...again, gates: undefined })
    expect(own.gates).toMatchObject(again.gates)
    expect(own.gates).toHaveLength(7)
    expect(own.turns_detail.map(({ file, turn_id }: { file: string; turn_id: string }) => [file, turn_id])).toEqual([
      ["calls/barge-in.timeline", "turn_1"],
      ["calls/barge-in.timeline", "turn_2"],
      ["calls/livekit-conversation.timeline", "turn_1"],
      ["calls/livekit-conversation.timeline", "turn_2"],
      ["calls/livekit-conversation.timeline", "turn_3"],
      ["calls/two-turns.timeline", "turn_1"],
      ["calls/two-turns.timeline", "turn_2"]
    ])
  }, 120_000)

  it("prints the gates, the critical path and the slowest turns with their files, and writes the same as Markdown", () => {
    const { code, stdout } = said("table")
    expect(code).toBe(0)
    expect(stdout).toMatch(/^response_ms +pass +7 +p50 ≤ 1500 ms, p95 ≤ 2000 ms +p50 670, p95 1326, max 1326 ms$/mu)
    expect(stdout).toMatch(/^endpointing +[0-9]+ +[0-9]+ +1087 +[0-9.]+ % +7 +[0-9]+ % provider, [0-9]+ % by design/mu)
    expect(stdout).toMatch(/^ {2}1326 ms {2}turn_3 {2}calls\/livekit-conversation\.timeline$/mu)
    const page = readFileSync(join(cwd, "slo.md"), "utf8")
    expect(page).toMatch(
      /^\| `response_ms` \| pass \| 7 \| .* \| p50 670, p95 1326, max 1326 ms \| end of the caller/mu
    )
    expect(page).toMatch(/^- 1326 ms {2}turn_3 {2}calls\/livekit-conversation\.timeline$/mu)
  })

  it("ends with 1 for a bound that was made stricter, and refuses a wider one", () => {
    const strict = said("strict")
    expect(strict.code).toBe(1)
    expect(strict.stdout).toMatch(/^response_ms +FAIL +7 +p50 ≤ 500 ms, p95 ≤ 900 ms/mu)
    expect(said("wider")).toMatchObject({ code: 2, stdout: "" })
    expect(said("wider").stderr).toMatch(/response_ms p95: 2001 ms is wider than the contract's 2000 ms\n.*floor/u)
  })

  it("ends with 1 for a recording with a second terminal, and names the turn; what did not run is no pass", () => {
    const { code, stdout } = said("twice")
    expect(code).toBe(1)
    expect(stdout).toMatch(/^exactly_one_terminal +FAIL +2 +100 % +50 %, 1 not$/mu)
    expect(stdout).toMatch(/^ {2}turn_2 {2}twice\.timeline {2}it has terminal number 2 \(commit\)$/mu)
    expect(stdout).toMatch(/^response_ms +not run +0/mu)
  })

  it("ends with 3 for what cannot be read to its end, says which, and counts what could be read", () => {
    const { code, stderr, stdout } = said("torn")
    expect(code).toBe(3)
    expect(stderr).toMatch(/notice: not read: none\.timeline: not a timeline/u)
    expect(stderr).toMatch(/notice: torn\.timeline is cut off or was never closed/u)
    expect(stdout).toMatch(/^2 timelines; 1 accepted turn; clock/u)
  })

  it("refuses two reports on standard output", () => {
    expect(said("both")).toMatchObject({ code: 2, stdout: "" })
  })
})
