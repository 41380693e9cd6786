import type { ExitName } from "./ExitCode.ts"

const order: ReadonlyArray<ExitName> = ["ok", "bad_input", "violation"]

const rank = (name: ExitName): number => order.includes(name) ? order.indexOf(name) : order.length

/** The graver of two verdicts on files: a violation outweighs a file that cannot be read. */
export const graver = (a: ExitName, b: ExitName): ExitName => rank(a) >= rank(b) ? a : b
