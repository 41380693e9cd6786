// `rspp replay` as a user runs it: modes, many files, expectations, reports, places.
import { validate } from "@rspp/contracts/Artifact"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Ended } from "./support/Program.ts"
import { recording, rspp, runAll } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-replay-"))
const run = (...args: ReadonlyArray<string>) => () => rspp(args, { cwd })

const decode = (bytes: Uint8Array) => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const read = decoder.finish()
  if (read.is !== "timeline") throw new Error(read.is)
  return read.timeline
}

const page = readFileSync(new URL("../../../docs/replay.md", import.meta.url), "utf8")
const blocks = (language: string) =>
  [...page.matchAll(new RegExp("```" + language + "\n([^`]*)```", "gu"))].map(([, text = ""]) => text)
/** The commands that docs/replay.md shows, in its order. */
const shown = blocks("sh").flatMap((text) => text.trim().split("\n")).map((line) => line.replace(/ +#.*$/u, ""))

const runs = {
  directory: run("replay", "calls", "--report", "reported"),
  given: run("replay", "calls", "--mode", "replay_decisions"),
  recomputed: run("replay", "calls", "--mode", "recompute_decisions", "--json"),
  denied: run("replay", "calls/seed-2.timeline", "--mode", "re_simulate_nodes"),
  heard: run("replay", "heard.timeline", "--mode", "re_simulate_nodes", "--json"),
  empty: run("replay", "nothing"),
  mixed: run("replay", "mixed", "--report", "mixed-out"),
  expected: run("replay", "expected", "--json"),
  missing: run("replay", "calls/seed-2.timeline", "--expect", "expects.json"),
  broken: run("replay", "calls/seed-2.timeline", "--expect", "broken.json"),
  sooner: run("replay", "calls", "--set", "endpointing.min_ms=50", "--set", "barge_in.min_ms=50"),
  policy: run("replay", "heard.timeline", "--policy", "policy.json"),
  wrongPolicy: run("replay", "heard.timeline", "--policy", "broken.json"),
  sameSpec: run("replay", "heard.timeline", "--spec", "L2.yaml"),
  otherSpec: run("replay", "heard.timeline", "--spec", "slow.yaml", "--json"),
  both: run("replay", "heard.timeline", "--spec", "L2.yaml", "--mode", "replay_decisions"),
  to: run("replay", "heard.timeline", "--to", "turn=1", "--cursor", "cursor.json"),
  noPlace: run("replay", "heard.timeline", "--to", "signal=nothing"),
  noTurn: run("replay", "heard.timeline", "--to", "turn=99")
}
let ended: Record<keyof typeof runs, Ended>

const spec = (more: string) =>
  `schema_version: v1.0
pipeline_id: assistant
pipeline_version: assistant/2
providers: { stt: embedded/moonshine, llm: embedded/rules, tts: embedded/flite }
recording_policy:
  recording_level: L2
  allowed_replay_modes: [playback_recorded_provider_outputs, replay_decisions, recompute_decisions, re_simulate_nodes]
${more}`

/** The recording with one byte changed in the middle. */
const damage = (from: string, to: string) => {
  const bytes = readFileSync(join(cwd, from))
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  writeFileSync(join(cwd, to), bytes)
}

beforeAll(async () => {
  for (const name of ["calls/deep", "nothing", "mixed", "expected"]) mkdirSync(join(cwd, name), { recursive: true })
  writeFileSync(join(cwd, "L2.yaml"), spec(""))
  writeFileSync(join(cwd, "slow.yaml"), spec("session_config: { endpointing: { min_ms: 700 } }\n"))
  await runAll({
    two: run("sim", "--seed", "2", "--out", "calls/seed-2.timeline"),
    three: run("sim", "--seed", "3", "--out", "calls/deep/seed-3.timeline"),
    heard: run(
      ...["run", "--input", recording("goforward"), "--timeline", "heard.timeline", "--pipeline", "L2.yaml"],
      ...["--speed", "max"]
    )
  })
  copyFileSync(join(cwd, "calls/seed-2.timeline"), join(cwd, "mixed/good.timeline"))
  damage("calls/seed-2.timeline", "mixed/changed.timeline")
  writeFileSync(join(cwd, "mixed/other.timeline"), "RIFF, or something else")
  damage("calls/seed-2.timeline", "expected/changed.timeline")
  const expectation = (...expected: ReadonlyArray<object>) =>
    JSON.stringify({ schema_version: "v1.0", expected_divergences: expected, approved: false })
  const outcome = { divergence_class: "OUTCOME_DIVERGENCE", scope: "session" }
  writeFileSync(join(cwd, "expected/changed.expected.json"), expectation(outcome))
  writeFileSync(join(cwd, "expects.json"), expectation(outcome))
  writeFileSync(join(cwd, "broken.json"), "{ \"approved\": true }")
  writeFileSync(
    join(cwd, "policy.json"),
    JSON.stringify({
      allowed_adaptive_actions: [],
      max_recording_level: "L1",
      allowed_replay_modes: ["replay_decisions"]
    })
  )
  ended = await runAll(runs)
}, 200_000)

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("docs/replay.md", () => {
  it("shows commands that work, one after the other", async () => {
    expect(shown.length).toBeGreaterThan(10)
    copyFileSync(join(cwd, "heard.timeline"), join(cwd, "call.timeline"))
    copyFileSync(join(cwd, "slow.yaml"), join(cwd, "pipeline.yaml"))
    for (const command of shown) {
      const [program, ...args] = command.split(" ")
      expect(program).toBe("rspp")
      const { code, stderr } = await rspp(args, { cwd })
      const isWhatIf = /--(?:set|policy|spec) /u.test(command)
      expect([command, code, stderr]).toEqual([command, isWhatIf ? 1 : 0, ""])
    }
  }, 300_000)

  it("shows expectations that are valid", () => {
    const [json = ""] = blocks("json")
    expect(validate("replay_expectation", JSON.parse(json))).toMatchObject({ ok: true })
  })
})

describe("rspp replay of a directory", () => {
  it("replays every timeline in it, at any depth, and sums up", () => {
    expect(ended.directory).toMatchObject({ code: 0, stderr: "" })
    expect(ended.directory.stdout).toMatch(/^calls\/deep\/seed-3\.timeline: identical/u)
    expect(ended.directory.stdout).toMatch(/\n2 files: 2 identical; [0-9]+ turns, .* of session in .*\n$/u)
  })

  it("writes a report for machines and one for people", () => {
    const report = JSON.parse(readFileSync(join(cwd, "reported/report.json"), "utf8"))
    expect(report).toMatchObject({
      summary: { files: 2, identical: 2, bad: 0 },
      files: [{ file: "calls/deep/seed-3.timeline", verdict: "identical", gate: { passes: true } }, {}]
    })
    expect(readFileSync(join(cwd, "reported/report.md"), "utf8")).toMatch(
      /^# Replay\n\n- 2 files: 2 identical; .*\n\n<details>\n<summary>2 without a difference<\/summary>\n\n- calls\/deep\/seed-3\.timeline: \d+ turns, \d+ records\n- calls\/seed-2\.timeline: /u
    )
  })

  it("says which files are damaged or no timelines, and takes the gravest exit code", () => {
    expect(ended.mixed.code).toBe(3)
    expect(ended.mixed.stdout).toMatch(/3 files: 1 identical, 1 damaged, 1 bad; /u)
    expect(ended.mixed.stderr).toMatch(/mixed\/other\.timeline: not a timeline/u)
    const text = readFileSync(join(cwd, "mixed-out/report.md"), "utf8")
    expect(text).toMatch(
      /\| \[mixed\/changed\.timeline\]\(#mixedchangedtimeline\) \| damaged \|.*OUTCOME_DIVERGENCE: the file was changed at byte/u
    )
    expect(text).toMatch(/\| mixed\/other\.timeline \| bad \|/u)
    expect(text).toMatch(/\n## mixed\/changed\.timeline\n/u)
  })

  it("shows people both sides of a divergence, line by line, and what would change under which setting", async () => {
    const { header, records } = decode(readFileSync(join(cwd, "calls/seed-2.timeline")))
    const at = records.findIndex((record) => record.record === "command" && record.command.type === "arm_timer")
    const planted = records.map((record, index) =>
      index === at && record.record === "command" && record.command.type === "arm_timer"
        ? { ...record, command: { ...record.command, due_ms: record.command.due_ms + 7 } }
        : record
    )
    mkdirSync(join(cwd, "planted"))
    const bytes = encodeTimeline(header, planted.map((record) => [record]))
    writeFileSync(join(cwd, "planted/late.timeline"), bytes)
    copyFileSync(join(cwd, "calls/deep/seed-3.timeline"), join(cwd, "planted/good.timeline"))
    const diverged = await rspp(["replay", "planted", "--report", "planted-out"], { cwd })
    expect(diverged.code).toBe(1)
    const text = readFileSync(join(cwd, "planted-out/report.md"), "utf8")
    expect(text).toMatch(
      /\| \[planted\/late\.timeline\]\(#plantedlatetimeline\) \| diverged \| \d+ \| TIMING_DIVERGENCE: command arm_timer/u
    )
    const [, recorded, replayed] = /\n-     "due_ms": (\d+),\n\+     "due_ms": (\d+),\n/u.exec(text) ?? []
    expect(Number(recorded) - Number(replayed)).toBe(7)
    expect(text).toMatch(/<summary>1 without a difference<\/summary>\n\n- planted\/good\.timeline/u)
    const what = await rspp(["replay", "calls", "--set", "barge_in.min_ms=50", "--report", "what-out"], { cwd })
    expect(what.code).toBe(1)
    const outlook = readFileSync(join(cwd, "what-out/report.md"), "utf8")
    expect(outlook).toMatch(/^# Replay\n\n- what if `barge_in\.min_ms=50`\n- 2 files: /u)
    expect(outlook).toMatch(/\| differs \| \d+ \| .*cancels?/u)
  }, 60_000)

  it("that has no timelines is bad input", () => {
    expect(ended.empty).toMatchObject({ code: 3, stdout: "" })
    expect(ended.empty.stderr).toContain("nothing: there is no .timeline file in this directory")
  })
})

describe("rspp replay --mode", () => {
  it("does what the mode says, and says which it was", () => {
    expect(ended.given).toMatchObject({ code: 0, stderr: "" })
    expect(ended.given.stdout).toMatch(/identical, .*, replay_decisions\n/u)
    for (const line of ended.recomputed.stdout.trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ mode: "recompute_decisions", verdict: "identical" })
    }
  })

  it("hears the recorded caller again with the real voice activity, and finds the same edges", () => {
    expect(ended.heard).toMatchObject({ code: 0, stderr: "" })
    expect(JSON.parse(ended.heard.stdout)).toMatchObject({ mode: "re_simulate_nodes", identical: true, edges: 2 })
  })

  it("refuses a mode that the recording does not allow, by name", () => {
    expect(ended.denied.code).toBe(3)
    expect(ended.denied.stderr).toMatch(
      /does not allow re_simulate_nodes; it allows playback_recorded_provider_outputs/u
    )
  })
})

describe("the expectations of a recording", () => {
  it("beside it let pass what they name", () => {
    expect(ended.expected.code).toBe(0)
    expect(JSON.parse(ended.expected.stdout)).toMatchObject({
      verdict: "as_expected",
      identical: false,
      gate: { passes: true, accepted: 1 }
    })
  })

  it("that are not met fail", () => {
    expect(ended.missing.code).toBe(1)
    expect(ended.missing.stdout).toMatch(
      /fails its gate.*\n {2}gate: expected_did_not_appear: OUTCOME_DIVERGENCE of session was expected and did not appear/u
    )
  })

  it("that break their schema are bad input", () => {
    expect(ended.broken.code).toBe(3)
    expect(ended.broken.stderr).toMatch(/broken\.json: .*expected_divergences.*required/u)
  })
})

describe("what if", () => {
  it("says over several files what would differ, and of how many the end is not known", () => {
    expect(ended.sooner.code).toBe(1)
    expect(ended.sooner.stdout).toMatch(/\nwhat if: .*cancel.*, in [12] of 2 sessions\n/u)
  })

  it("takes another policy", () => {
    expect(ended.policy.code).toBe(1)
    expect(ended.policy.stdout).toMatch(/PLAN_DIVERGENCE \(turn:turn_1\)/u)
    expect(ended.wrongPolicy.code).toBe(3)
    expect(ended.wrongPolicy.stderr).toMatch(/broken\.json: /u)
  })

  it("takes another pipeline, and finds no difference under its own", () => {
    expect(ended.sameSpec).toMatchObject({ code: 0, stderr: "" })
    expect(ended.sameSpec.stdout).toMatch(/identical/u)
    expect(ended.otherSpec.code).toBe(1)
    const { divergence, whatIf } = JSON.parse(ended.otherSpec.stdout)
    expect(whatIf.changed).toEqual(["endpointing.min_ms"])
    expect(divergence.message).toMatch(/command arm_timer endpoint: due_ms|endpoint/u)
  })

  it("is no replay in another mode", () => {
    expect(ended.both.code).toBe(2)
  })
})

describe("rspp replay --to", () => {
  it("stops where it is told, shows the step, and puts the place down", async () => {
    expect(ended.to).toMatchObject({ code: 0, stderr: "" })
    expect(ended.to.stdout).toMatch(
      /stopped at .*\n {2}fed {2}input .*\n(?: {2}out .*\n)* {2}out {2}signal turn_open of turn_1\n/u
    )
    expect(existsSync(join(cwd, "cursor.json"))).toBe(true)
    const on = await rspp(["replay", "heard.timeline", "--to", "signal=commit", "--cursor", "cursor.json"], { cwd })
    expect(on.code).toBe(0)
    expect(on.stdout).toMatch(/ {2}out {2}signal commit of turn_1\n/u)
    const again = await rspp(["replay", "heard.timeline", "--to", "turn=1", "--cursor", "cursor.json"], { cwd })
    expect(again.code).toBe(3)
    const other = await rspp(["replay", "calls/seed-2.timeline", "--to", "turn=1", "--cursor", "cursor.json"], { cwd })
    expect(other.code).toBe(3)
    expect(other.stderr).toMatch(/another recording/u)
  })

  it("says when there is no such place", () => {
    expect(ended.noPlace.code).toBe(2)
    expect(ended.noTurn.code).toBe(3)
    expect(ended.noTurn.stdout).toMatch(/ended without turn=99/u)
  })
})
