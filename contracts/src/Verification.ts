import * as Schema from "effect/Schema"
import { CommitId, Id, SchemaVersion, Sha256Hex } from "./Identity.ts"

/** The gates of a verification (`scripts/verify.sh`). A release needs each of them. */
export const verificationGates = ["contracts", "replay", "walls", "docs", "failures", "simulation", "slo"] as const

/** `not_run`: the gate could not look at what it is about; never a pass. */
export const VerificationVerdict = Schema.Literals(["pass", "fail", "not_run"])

const source = {
  schema_version: SchemaVersion,
  mode: Schema.Literals(["quick", "full"]),
  /** Absent: it was outside of a repository. */
  commit: Schema.optionalKey(CommitId),
  /** Whether anything differed from the commit. */
  dirty: Schema.Boolean,
  /** ISO 8601, UTC. */
  started_at: Id,
  ended_at: Id,
  verdict: VerificationVerdict
}

/** What a gate leaves behind, as far as others read it: `GATE.json`. It holds more, for people and for its own sake. */
export const VerificationArtifact = Schema.Struct({ ...source, gate: Schema.Literals(verificationGates) })
export type VerificationArtifact = typeof VerificationArtifact.Type

/** `summary.json`: which gates ran, and every file of the verification with its hash. */
export const VerificationSummary = Schema.Struct({
  ...source,
  gates: Schema.Array(
    Schema.Struct({ gate: Schema.Literals(verificationGates), verdict: VerificationVerdict, file: Id })
  ),
  files: Schema.Array(Schema.Struct({ file: Id, bytes: Schema.Int, sha256: Sha256Hex }))
})
export type VerificationSummary = typeof VerificationSummary.Type
