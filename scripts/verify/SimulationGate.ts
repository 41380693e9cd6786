// The simulation gate: seeds of the simulated world, the first of them twice, every rule checked on each timeline.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { lastWords, rspp, runChild } from "./Child.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"

const Summary = Schema.fromJsonString(Schema.Struct({
  seeds: Schema.Int,
  compared: Schema.Int,
  simulated_ms: Schema.Finite,
  records: Schema.Int,
  interrupted: Schema.Boolean,
  failures: Schema.Array(Schema.Struct({
    seed: Schema.Int,
    violations: Schema.Array(Schema.Struct({ rule: Schema.String, message: Schema.String })),
    repeat: Schema.String
  })),
  other_failures: Schema.Array(Schema.Int),
  sometimes: Schema.Struct({ missing: Schema.Array(Schema.String) })
}))
const Differences = Schema.fromJsonString(Schema.Struct({
  differences: Schema.NonEmptyArray(Schema.Struct({ seed: Schema.Int, where: Schema.String }))
}))

/** How many seeds are run. */
export interface SeedPlan {
  /** So many; or as many as there is time for. */
  readonly seeds?: number
  readonly seconds?: number
  readonly first?: number
  /** Fewer than so many prove nothing. */
  readonly atLeast: number
  /** Everything that can happen must have happened. */
  readonly requireAll: boolean
  /** Seeds that are run twice here and once in another process, and compared byte for byte. */
  readonly compared: number
  readonly limitMs: number
}

/** As `make sim`, for as long as a push may wait. */
export const quickSeeds: SeedPlan = { seconds: 20, atLeast: 5, requireAll: false, compared: 5, limitMs: 120_000 }

/** As `make sim-long`. After so many seeds everything of the `sometimes` list has happened. */
export const fullSeeds: SeedPlan = { seeds: 4000, atLeast: 4000, requireAll: true, compared: 20, limitMs: 420_000 }

/** Runs seeds with the program of the repository at `root`. */
export const checkSimulation = async (
  { root, say, signal }: Pick<GateContext, "root" | "say" | "signal">,
  plan: SeedPlan
): Promise<GateResult> => {
  const flags = [
    ...(plan.seeds === undefined ? [] : ["--seeds", String(plan.seeds)]),
    ...(plan.seconds === undefined ? [] : ["--seconds", String(plan.seconds)]),
    ...(plan.first === undefined ? [] : ["--first", String(plan.first)]),
    ...(plan.requireAll ? ["--require-all"] : []),
    "--meta",
    String(plan.compared)
  ]
  const command = `npx rspp sim ${flags.join(" ")}`
  say(command)
  const ended = await runChild(rspp(root, "sim", ...flags, "--json"), { cwd: root, signal, limitMs: plan.limitMs })
  const last = ended.stdout.trim().split("\n").at(-1) ?? ""
  const differences = Option.getOrUndefined(Schema.decodeUnknownOption(Differences)(last))
  if (differences !== undefined) {
    return judged({
      command,
      counts: { seeds: 0 },
      failures: differences.differences.map(({ seed, where }) => `seed ${seed} is not the same run twice (${where})`),
      missing: []
    })
  }
  const summary = Option.getOrUndefined(Schema.decodeUnknownOption(Summary)(last))
  if (summary === undefined) return notRun(command, lastWords(ended))
  const { compared, failures, interrupted, other_failures, records, seeds, sometimes } = summary
  const broken = failures.map(({ repeat, seed, violations }) =>
    `seed ${seed}: ${violations.map(({ message, rule }) => `${rule}: ${message}`).join("; ")}; ${repeat}`
  )
  const never = plan.requireAll ? sometimes.missing : []
  const missing = [
    ...(interrupted ? ["it was interrupted"] : []),
    ...(seeds < plan.atLeast ? [`${seeds} seeds are too few, ${plan.atLeast} are wanted`] : []),
    ...(compared < plan.compared ? [`only ${compared} of ${plan.compared} seeds were run twice`] : [])
  ]
  const told = [
    ...broken,
    ...(other_failures.length > 0 ? [`these seeds break a rule too: ${other_failures.join(", ")}`] : []),
    ...(never.length > 0 ? [`these never happened: ${never.join(", ")}`] : [])
  ]
  return judged({
    command,
    counts: { seeds, records },
    failures: told.length === 0 && missing.length === 0 && ended.code !== 0 ? [lastWords(ended)] : told,
    missing,
    detail: { compared, simulated_ms: summary.simulated_ms, never_happened: sometimes.missing }
  })
}

export const simulationGate: Gate = {
  name: "simulation",
  about:
    `quick: ${quickSeeds.seconds} s of seeds; full: ${fullSeeds.seeds} seeds, and everything that can happen must have`,
  run: (context) => checkSimulation(context, context.mode === "full" ? fullSeeds : quickSeeds)
}
