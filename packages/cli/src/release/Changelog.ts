import type { Checked } from "./Refusal.ts"
import { refusal, refused } from "./Refusal.ts"

/**
 * The entry of a version in a changelog of the form of Keep a Changelog: `## [1.4.0] - 2026-11-23`, and what follows up to the
 * next such line. Headings alone say nothing, and an entry without its day is not finished.
 */
export const changelogEntry = (text: string | undefined, version: string): Checked<string> => {
  const lines = (text ?? "").split("\n")
  const start = lines.findIndex((line) => line.startsWith(`## [${version}]`))
  if (start < 0) {
    return refused(refusal(
      "changelog_missing",
      `CHANGELOG.md has no entry "## [${version}]"`,
      "Say there what changed for users of the code."
    ))
  }
  const next = lines.findIndex((line, index) => index > start && line.startsWith("## "))
  const entry = lines.slice(start, next < 0 ? undefined : next)
  const heading = entry[0] ?? ""
  const refusals = [
    ...(/^## \[[^\]]+\] - \d{4}-\d{2}-\d{2}$/u.test(heading.trim()) ? [] : [refusal(
      "changelog_unreleased",
      `the entry of CHANGELOG.md is "${heading.trim()}"`,
      `Put the day of the release into it: "## [${version}] - YYYY-MM-DD".`
    )]),
    ...(entry.slice(1).some((line) => line.trim() !== "" && !line.startsWith("#")) ? [] : [refusal(
      "changelog_empty",
      `the entry of ${version} in CHANGELOG.md says nothing`,
      "Say there what changed for users of the code."
    )])
  ]
  return refusals.length > 0 ? refused(...refusals) : { is: `${entry.join("\n").trim()}\n` }
}
