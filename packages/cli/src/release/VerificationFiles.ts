import type { ReleasedFile } from "@rspp/contracts/Release"
import { VerificationArtifact, verificationGates, VerificationSummary } from "@rspp/contracts/Verification"
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { sha256 } from "./Hash.ts"
import type { Checked, Refusal } from "./Refusal.ts"
import { refusal, refused } from "./Refusal.ts"

/** What a verification must be for a release. */
export interface WantedVerification {
  /** The commit that is released; without it no commit is compared. */
  readonly commit: string | undefined
  /** The wall clock, ms since 1970. */
  readonly nowMs: number
  /** How old it may be, ms. */
  readonly maxAgeMs: number
}

const again = "Run make verify-full on this commit."
const summaryName = "summary.json"

/** Clocks of two machines may be apart by so much, ms. */
const maxSkewMs = 60_000

const decodeSummary = Schema.decodeUnknownOption(Schema.fromJsonString(VerificationSummary))
const decodeArtifact = Schema.decodeUnknownOption(Schema.fromJsonString(VerificationArtifact))

const hours = (ms: number): string => `${(ms / 3_600_000).toFixed(1)} h`

/**
 * The artifacts of a full verification in `directory`: of the wanted commit, fresh, each gate green, and each file with the
 * hash that the summary has of it. Every reason against them is told at once.
 */
export const verificationFiles = Effect.fn("release.verificationFiles")(
  function*(directory: string, wanted: WantedVerification) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const read = (name: string) => Effect.option(fs.readFile(path.join(directory, name)))
    const summaryBytes = yield* read(summaryName)
    if (Option.isNone(summaryBytes)) {
      const missing = refusal("verification_missing", `${path.join(directory, summaryName)} is not there`, again)
      return refused(missing) satisfies Checked<ReadonlyArray<typeof ReleasedFile.Type>>
    }
    const summary = Option.getOrUndefined(decodeSummary(Buffer.from(summaryBytes.value).toString("utf8")))
    if (summary === undefined) {
      return refused(refusal("verification_unreadable", `${path.join(directory, summaryName)} is no summary`, again))
    }
    const refusals: Array<Refusal> = [...judgeSource("the verification", summary, wanted)]
    const known = new Map(summary.files.map((one) => [one.file, one.sha256]))
    const files: Array<typeof ReleasedFile.Type> = [{ file: summaryName, sha256: sha256(summaryBytes.value) }]
    const texts = new Map<string, string>()
    for (const { file, sha256: hash } of summary.files) {
      const bytes = yield* read(file)
      if (Option.isNone(bytes)) {
        refusals.push(refusal("artifact_missing", `${path.join(directory, file)} is not there`, again))
        continue
      }
      if (sha256(bytes.value) !== hash) {
        const message = `${path.join(directory, file)} is not what the summary says: it was changed since`
        refusals.push(refusal("artifact_altered", message, again))
      }
      if (file.endsWith(".json")) texts.set(file, Buffer.from(bytes.value).toString("utf8"))
      files.push({ file, sha256: hash })
    }
    for (const gate of verificationGates) {
      const listed = summary.gates.find((one) => one.gate === gate)
      if (listed === undefined || !known.has(listed.file)) {
        refusals.push(refusal("gate_missing", `the verification has no gate ${gate}`, again))
        continue
      }
      const text = texts.get(listed.file)
      if (text === undefined) continue
      const artifact = Option.getOrUndefined(decodeArtifact(text))
      if (artifact === undefined || artifact.gate !== gate) {
        const message = `${path.join(directory, listed.file)} is not the artifact of the gate ${gate}`
        refusals.push(refusal("verification_unreadable", message, again))
        continue
      }
      refusals.push(...judgeSource(`the gate ${gate}`, artifact, wanted))
      if (artifact.verdict !== "pass" || listed.verdict !== "pass") {
        const words = { fail: "fails", not_run: "did not run", pass: "is not the same in the summary" }
        refusals.push(refusal(
          "gate_not_green",
          `the gate ${gate} ${words[artifact.verdict]}`,
          `Look at ${path.join(directory, listed.file)}, mend it, and verify again.`
        ))
      }
    }
    if (summary.verdict !== "pass" && !refusals.some(({ code }) => code.startsWith("gate_"))) {
      refusals.push(refusal("gate_not_green", `the verification as a whole says ${summary.verdict}`, again))
    }
    return refusals.length > 0
      ? refused(...refusals)
      : { is: files.toSorted((a, b) => a.file < b.file ? -1 : 1) }
  }
)

/** Whether it is about the commit that is released, full, and fresh. */
const judgeSource = (
  what: string,
  about: Pick<VerificationSummary, "mode" | "commit" | "dirty" | "ended_at">,
  { commit, maxAgeMs, nowMs }: WantedVerification
): ReadonlyArray<Refusal> => {
  const endedMs = Date.parse(about.ended_at)
  const ageMs = nowMs - endedMs
  const of = about.commit === undefined ? "of no commit" : `of ${about.commit.slice(0, 12)}`
  return [
    ...(about.mode === "full" ? [] : [refusal("verification_not_full", `${what} is a ${about.mode} one`, again)]),
    ...(commit === undefined || about.commit === commit
      ? []
      : [refusal("verification_other_commit", `${what} is ${of}, and this is ${commit.slice(0, 12)}`, again)]),
    ...(about.dirty
      ? [refusal("verification_dirty", `${what} looked at a tree that was not its commit`, again)]
      : []),
    ...(Number.isNaN(endedMs) || ageMs > maxAgeMs || ageMs < -maxSkewMs
      ? [refusal(
        "verification_stale",
        Number.isNaN(endedMs)
          ? `${what} does not say when it ended`
          : ageMs < 0
          ? `${what} ended ${hours(-ageMs)} from now: a clock is wrong`
          : `${what} is ${hours(ageMs)} old, and may be ${hours(maxAgeMs)}`,
        `${again} Or allow more with --max-age-hours.`
      )]
      : [])
  ]
}
