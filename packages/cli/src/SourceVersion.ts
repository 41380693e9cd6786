import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../", import.meta.url))

const git = (...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync("git", ["-C", root, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  return status === 0 ? stdout.trim() : undefined
}

/** Which sources run: the commit, with a word when they were changed since; outside a repository the version. */
export const sourceVersion = (): string => {
  // A copy of the sources inside another repository is not that repository's commit.
  const commit = git("rev-parse", "--show-prefix") === "" ? git("rev-parse", "--short=12", "HEAD") : undefined
  if (commit === undefined) {
    const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { readonly version: string }
    return `version ${version}`
  }
  return git("status", "--porcelain", "--", "packages", "contracts") === "" ? commit : `${commit} with changes`
}
