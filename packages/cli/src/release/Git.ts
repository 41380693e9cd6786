import { spawnSync } from "node:child_process"

/** What `git` says in the repository at `root`, without the last line's end; nothing when it fails or is not there. It changes nothing. */
export const git = (root: string, ...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync("git", ["--no-optional-locks", "-C", root, ...args], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", "pipe", "ignore"]
  })
  return status === 0 ? stdout.trim() : undefined
}
