import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { RollbackPlan } from "@rspp/contracts/Release"
import { parseSpecText } from "@rspp/control/SpecFile"
import { Effect, FileSystem, Option, Result } from "effect"
import type { Checked } from "./Refusal.ts"
import { refusal, refused } from "./Refusal.ts"
import { taggedCommit } from "./Repository.ts"
import { compareVersions } from "./Versions.ts"

const page = "docs/release.md has an example; rspp contracts schema rollback_plan says what it may hold."

/**
 * The way back from `version`, as a file declares it (YAML or JSON): valid by the contract, about this very release, and back
 * to a release that is earlier and has a tag in the repository at `root`.
 */
export const rollbackPlan = Effect.fn("release.rollbackPlan")(
  function*(root: string, file: string, version: string | undefined) {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.option(fs.readFileString(file))
    if (Option.isNone(text)) {
      const message = `no way back is declared: ${file} is not there`
      return refused(
        refusal("rollback_missing", message, `Write it before the release goes out. ${page}`)
      ) satisfies Checked<
        RollbackPlan
      >
    }
    const invalid = (message: string) => refused(refusal("rollback_invalid", message, page))
    const parsed = yield* Effect.result(parseSpecText(text.value, file))
    if (Result.isFailure(parsed)) return invalid(parsed.failure.message)
    const verdict = validate("rollback_plan", parsed.success.value)
    if (!verdict.ok) return invalid(`${file}: ${verdict.issues.map(formatIssue).join("; ")}`)
    const plan = verdict.value
    if (plan.schema_version !== schemaVersion) {
      return invalid(`${file}: its schema_version is ${plan.schema_version}, and this program knows ${schemaVersion}`)
    }
    if (version !== undefined && plan.rollback_of !== version) {
      return refused(refusal(
        "rollback_other_release",
        `${file} is the way back from ${plan.rollback_of}, and this is ${version}`,
        "Think it through for this release, and say so in rollback_of."
      ))
    }
    if ("version" in plan.return_to) {
      const back = plan.return_to.version
      if (compareVersions(back, plan.rollback_of) >= 0) {
        return refused(refusal(
          "rollback_not_back",
          `${file} returns to ${back}, which is not before ${plan.rollback_of}`,
          "Name the release that ran before, or say with nothing_before why there is none."
        ))
      }
      if (taggedCommit(root, `v${back}`) === undefined) {
        return refused(refusal(
          "rollback_not_back",
          `${file} returns to ${back}, and there is no tag v${back} in this repository`,
          "Name a release that was tagged, or fetch the tags (git fetch --tags)."
        ))
      }
    }
    return { is: plan }
  }
)
