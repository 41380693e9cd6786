// The walls gate: the checks of scripts/check.ts, of which the walls between packages are one.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { lastWords, runChild } from "./Child.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"

const Report = Schema.fromJsonString(Schema.Struct({
  checks: Schema.Array(Schema.Struct({
    name: Schema.String,
    verdict: Schema.Literals(["passed", "failed", "skipped"]),
    output: Schema.optionalKey(Schema.String),
    reason: Schema.optionalKey(Schema.String)
  }))
}))

/** All of them: the fast checks of `make verify`. */
export const everyCheck = ["dependencies", "format", "lint", "types", "effects", "walls", "schema"] as const

/** Those that a quick verification has time for; `make test` beside it runs them all. */
export const quickChecks = ["dependencies", "types", "walls"] as const

/** Runs these checks of the repository at `root`. A check that is skipped there did not run here. */
export const checkWalls = async (
  { root, signal }: Pick<GateContext, "root" | "signal">,
  checks: ReadonlyArray<string>
): Promise<GateResult> => {
  const only = checks.join(",")
  const command = `node scripts/check.ts --only ${only}`
  const ended = await runChild([process.execPath, join(root, "scripts/check.ts"), "--only", only, "--json"], {
    cwd: root,
    signal,
    limitMs: 300_000
  })
  const last = ended.stdout.trim().split("\n").at(-1) ?? ""
  const report = Option.getOrUndefined(Schema.decodeUnknownOption(Report)(last))
  if (report === undefined) return notRun(command, lastWords(ended))
  const failures: Array<string> = []
  const missing: Array<string> = []
  for (const name of checks) {
    const check = report.checks.find((one) => one.name === name)
    if (check === undefined) missing.push(`the check ${name}`)
    else if (check.verdict === "failed") failures.push(`${name}: ${(check.output ?? "").trim()}`)
    else if (check.verdict === "skipped") missing.push(`${name}: ${check.reason ?? "skipped"}`)
  }
  if (ended.code !== 0 && failures.length === 0 && missing.length === 0) missing.push(lastWords(ended))
  return judged({
    command,
    counts: { checks: report.checks.filter(({ verdict }) => verdict === "passed").length },
    failures,
    missing,
    detail: { passed: report.checks.filter(({ verdict }) => verdict === "passed").map(({ name }) => name) }
  })
}

export const wallsGate: Gate = {
  name: "walls",
  about: "quick: dependencies, types and the walls between packages; full: every check of scripts/check.ts",
  run: (context) => checkWalls(context, context.mode === "full" ? everyCheck : quickChecks)
}
