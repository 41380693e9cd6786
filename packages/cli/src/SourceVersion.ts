import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The package, in the repository as where it is installed. */
const home = fileURLToPath(new URL("../", import.meta.url))

const git = (...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync("git", ["-C", home, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  return status === 0 ? stdout.trim() : undefined
}

/** Which sources run: the commit, with a word when they were changed since; outside a repository the version. */
export const sourceVersion = (): string => {
  // A copy inside another repository (node_modules of a project) is not that repository's commit.
  const own = git("rev-parse", "--show-prefix") === "packages/cli/"
  const commit = own ? git("rev-parse", "--short=12", "HEAD") : undefined
  if (commit === undefined) {
    const { version } = JSON.parse(readFileSync(`${home}package.json`, "utf8")) as { readonly version: string }
    return `version ${version}`
  }
  return git("status", "--porcelain", "--", ":/packages", ":/contracts") === "" ? commit : `${commit} with changes`
}
