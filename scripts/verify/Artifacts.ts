// What a verification leaves behind: a JSON file for each gate, and a summary that lists every file with its hash.
import { createHash } from "node:crypto"
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { GateName, GateResult, GateVerdict, Mode } from "./Gate.ts"
import type { SourceState } from "./Source.ts"

export const artifactVersion = "v1.0"

/** The file of a gate. */
export interface GateArtifact {
  readonly schema_version: string
  readonly gate: GateName
  readonly mode: Mode
  /** The commit, 40 hex characters; absent outside of a repository. */
  readonly commit?: string
  readonly dirty: boolean
  /** ISO 8601, UTC. */
  readonly started_at: string
  readonly ended_at: string
  readonly verdict: GateVerdict
  readonly command: string
  readonly says: string
  readonly findings: ReadonlyArray<string>
  readonly detail: Readonly<Record<string, unknown>>
}

export const artifactName = (gate: GateName): string => `${gate}.json`
export const summaryName = "summary.json"

const writeJson = (file: string, value: unknown): void => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

/** Writes the artifact of one gate. */
export const writeArtifact = (
  directory: string,
  about: { readonly gate: GateName; readonly mode: Mode; readonly source: SourceState },
  times: { readonly startedAt: Date; readonly endedAt: Date },
  result: GateResult
): GateArtifact => {
  const { gate, mode, source } = about
  const artifact: GateArtifact = {
    schema_version: artifactVersion,
    gate,
    mode,
    ...source,
    started_at: times.startedAt.toISOString(),
    ended_at: times.endedAt.toISOString(),
    ...result
  }
  writeJson(join(directory, artifactName(gate)), artifact)
  return artifact
}

/** The verdict over several: a failure outweighs what did not run, and that outweighs any pass. None at all is `not_run`. */
export const overall = (verdicts: ReadonlyArray<GateVerdict>): GateVerdict =>
  verdicts.includes("fail") ? "fail" : verdicts.length === 0 || verdicts.includes("not_run") ? "not_run" : "pass"

export const sha256Of = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex")

/** Writes `summary.json`: the verdict of each gate, and every file below `directory` with its hash. */
export const writeSummary = (
  directory: string,
  about: { readonly mode: Mode; readonly source: SourceState; readonly startedAt: Date },
  artifacts: ReadonlyArray<GateArtifact>,
  /** What is wrong with the verification as a whole. */
  findings: ReadonlyArray<string>
): GateVerdict => {
  const verdict = overall([
    ...artifacts.map((one) => one.verdict),
    ...(findings.length > 0 ? (["not_run"] as const) : [])
  ])
  const files = globSync("**/*", { cwd: directory }).sort()
    .filter((file) => file !== summaryName && statSync(join(directory, file)).isFile())
  writeJson(join(directory, summaryName), {
    schema_version: artifactVersion,
    mode: about.mode,
    ...about.source,
    started_at: about.startedAt.toISOString(),
    ended_at: new Date().toISOString(),
    verdict,
    findings,
    environment: { node: process.versions.node, platform: process.platform, arch: process.arch },
    gates: artifacts.map(({ gate, verdict }) => ({ gate, verdict, file: artifactName(gate) })),
    files: files.map((file) => ({
      file: file.replaceAll("\\", "/"),
      bytes: statSync(join(directory, file)).size,
      sha256: sha256Of(join(directory, file))
    }))
  })
  return verdict
}
