// What a gate of `scripts/verify.sh` is: its name, what it looks at, and what came out.

/** How much is verified: `quick` for each push, `full` for what is released. */
export type Mode = "quick" | "full"

export const modes: ReadonlyArray<Mode> = ["quick", "full"]

/** The gates, in the order in which they run: the cheap ones first, so that a fault is known early. */
export const gateNames = ["contracts", "replay", "walls", "docs", "failures", "simulation", "slo"] as const

export type GateName = typeof gateNames[number]

/**
 * What came of a gate. `not_run`: it could not look at what it is about (a program is missing, there was nothing to look at,
 * a part of it never ran), which is never a pass.
 */
export type GateVerdict = "pass" | "fail" | "not_run"

export interface GateResult {
  readonly verdict: GateVerdict
  /** What repeats it by hand. */
  readonly command: string
  /** One line: what was looked at, or what is wrong. */
  readonly says: string
  /** What is wrong, each on a line of its own, with what to do; empty on a pass. */
  readonly findings: ReadonlyArray<string>
  /** What was counted and measured, for machines. */
  readonly detail: Readonly<Record<string, unknown>>
}

export interface GateContext {
  /** The repository. */
  readonly root: string
  readonly mode: Mode
  /** Where the gate may leave files of its own, beside its artifact. Made already, and empty. */
  readonly directory: string
  /** Aborted by Ctrl-C: what runs then has to end. */
  readonly signal: AbortSignal
  /** A line about how far it is. */
  readonly say: (line: string) => void
}

export interface Gate {
  readonly name: GateName
  /** What it holds, in a few words; for `--help`. */
  readonly about: string
  readonly run: (context: GateContext) => Promise<GateResult>
}

/** Findings that a gate shows and keeps; of more only the number is told. */
const maxFindings = 50

/** Counts of things, as words: `3 schemas, 1 pipeline`. */
export const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).map(([what, count]) => `${count} ${count === 1 ? what.replace(/s$/u, "") : what}`).join(", ")

/**
 * The result of a gate that looked at `counts` things: a pass without findings, a failure with them, and `not_run` when
 * something that there must be was not there or did not run (`missing`), unless something else failed already.
 */
export const judged = (parts: {
  readonly command: string
  readonly counts: Readonly<Record<string, number>>
  readonly failures: ReadonlyArray<string>
  readonly missing: ReadonlyArray<string>
  readonly detail?: Readonly<Record<string, unknown>>
}): GateResult => {
  const { command, counts, failures, missing } = parts
  const all = [...failures, ...missing.map((line) => `not run: ${line}`)]
  const [first] = all
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : ""
  return {
    verdict: failures.length > 0 ? "fail" : missing.length > 0 ? "not_run" : "pass",
    command,
    says: first === undefined ? counted(counts) : `${first.split("\n", 1)[0]}${more}`,
    findings: all.length <= maxFindings
      ? all
      : [...all.slice(0, maxFindings), `and ${all.length - maxFindings} more`],
    detail: { ...counts, ...parts.detail }
  }
}

/** The result of a gate that could not look at anything. */
export const notRun = (command: string, why: string, detail: Readonly<Record<string, unknown>> = {}): GateResult => ({
  ...judged({ command, counts: {}, failures: [], missing: [why] }),
  detail
})
