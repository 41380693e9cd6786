// Holds what a verification left against its list: node scripts/check-artifacts.ts quick|full [--commit SHA] [--dir DIR]
//
// Every gate has its artifact, each file is there with the hash that summary.json says, all of them are of the same commit and
// mode, and green. Exit codes: 0; 1 and a line for each thing that is not so; 2 usage.
import { verificationGates, VerificationArtifact, VerificationSummary } from "@rspp/contracts/Verification"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { artifactName, sha256Of, summaryName } from "./verify/Artifacts.ts"
import { type Mode, modes } from "./verify/Gate.ts"

const textOf = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

const hashOf = (file: string): string | undefined => {
  try {
    return sha256Of(file)
  } catch {
    return undefined
  }
}

/** What is wrong with the artifacts in `directory`; nothing when they are whole, green, and of `commit` if that is given. */
export const artifactFaults = (
  directory: string,
  wanted: { readonly mode: Mode; readonly commit?: string }
): ReadonlyArray<string> => {
  const text = textOf(join(directory, summaryName))
  if (text === undefined) return [`${join(directory, summaryName)} is not there: the verification did not end`]
  const summary = Option.getOrUndefined(Schema.decodeUnknownOption(Schema.fromJsonString(VerificationSummary))(text))
  if (summary === undefined) return [`${join(directory, summaryName)} is no summary of a verification`]
  const faults: Array<string> = []
  const about = (what: string, { commit, dirty, mode, verdict }: Omit<VerificationArtifact, "gate">) => {
    if (mode !== wanted.mode) faults.push(`${what} is ${mode}, not ${wanted.mode}`)
    if (wanted.commit !== undefined && commit !== wanted.commit) {
      faults.push(`${what} is of ${commit ?? "no commit"}, not ${wanted.commit}`)
    }
    if (wanted.commit !== undefined && dirty) faults.push(`${what} looked at a tree that was not its commit`)
    if (verdict !== "pass") faults.push(`${what} says ${verdict}`)
  }
  about(summaryName, summary)
  for (const { file, sha256 } of summary.files) {
    const found = hashOf(join(directory, file))
    if (found === undefined) faults.push(`${file} is not there`)
    else if (found !== sha256) faults.push(`${file} does not have the hash of ${summaryName}`)
  }
  for (const gate of verificationGates) {
    const name = artifactName(gate)
    if (!summary.gates.some((one) => one.gate === gate && one.file === name && one.verdict === "pass")) {
      faults.push(`${summaryName} does not say that the gate ${gate} passed`)
    }
    if (!summary.files.some(({ file }) => file === name)) faults.push(`${summaryName} does not list ${name}`)
    const artifact = Option.getOrUndefined(
      Schema.decodeUnknownOption(Schema.fromJsonString(VerificationArtifact))(textOf(join(directory, name)))
    )
    if (artifact === undefined || artifact.gate !== gate) faults.push(`${name} is not the artifact of the gate ${gate}`)
    else about(name, artifact)
  }
  return faults
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    options: { commit: { type: "string" }, dir: { type: "string" } },
    allowPositionals: true
  })
  const mode = modes.find((one) => one === positionals[0])
  if (mode === undefined || positionals.length !== 1) {
    console.error("usage: node scripts/check-artifacts.ts quick|full [--commit SHA] [--dir DIR]")
    process.exitCode = 2
  } else {
    const directory = values.dir ?? join(dirname(import.meta.dirname), ".rspp/verify", mode)
    const faults = artifactFaults(directory, {
      mode,
      ...(values.commit === undefined ? {} : { commit: values.commit })
    })
    for (const fault of faults) console.error(fault)
    console.log(`${directory}: ${verificationGates.length} gates, ${faults.length} faults`)
    if (faults.length > 0) process.exitCode = 1
  }
}
