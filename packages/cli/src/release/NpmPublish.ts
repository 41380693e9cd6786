import { Effect, FileSystem, Path } from "effect"
import { spawn } from "node:child_process"
import { CliFailure } from "../CliFailure.ts"
import { integrityOf } from "./Hash.ts"
import type { Packages } from "./Tarballs.ts"

export interface NpmOptions {
  /** Where the tarballs lie. */
  readonly directory: string
  /** `npm publish --dry-run`: npm looks at each as if it were to be published, and sends nothing. */
  readonly dryRun: boolean
  /** What npm calls this line of versions: `latest`, or `next` for a candidate. */
  readonly tag: string
  /** Says of each package what became of it. */
  readonly onPackage: (name: string, what: "published" | "would be published" | "was published before") => void
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const npm = (cwd: string, args: ReadonlyArray<string>) =>
  Effect.callback<Ended, CliFailure>((resume) => {
    const child = spawn("npm", args, { cwd, stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
    child.on("error", (error) =>
      resume(Effect.fail(
        new CliFailure({
          exit: "unavailable",
          message: `npm could not be run: ${error.message}`,
          hint: "Install npm, or publish the tarballs of the manifest by hand."
        })
      )))
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => void child.kill())
  })

/** The tag that npm keeps a version under. */
export const tagOf = (version: string): string => version.includes("-") ? "next" : "latest"

/**
 * Hands the tarballs to npm, one after the other, each after those that it needs. It stops at the first that npm refuses;
 * run again, it goes on there: a package that the registry has already with the same content is passed over, and one that it
 * has with other content ends it.
 */
export const publishToNpm = Effect.fn("release.publishToNpm")(function*(packages: Packages, options: NpmOptions) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { directory, dryRun, onPackage, tag } = options
  for (const { file, name, version } of packages) {
    const at = path.resolve(directory, file)
    const refuse = (message: string, hint: string) => new CliFailure({ exit: "violation", message, hint })
    if (!dryRun) {
      const known = yield* npm(directory, ["view", `${name}@${version}`, "dist.integrity"])
      const there = known.code === 0 ? known.stdout.trim() : ""
      if (there !== "") {
        if (there !== integrityOf(yield* fs.readFile(at))) {
          return yield* refuse(
            `${name}@${version} is in the registry with other content`,
            "A version is released once: give the packages a new one."
          )
        }
        onPackage(name, "was published before")
        continue
      }
    }
    const words = [
      "publish",
      at,
      "--tag",
      tag,
      "--access",
      "public",
      "--ignore-scripts",
      ...(dryRun ? ["--dry-run"] : [])
    ]
    const ended = yield* npm(directory, words)
    if (ended.code !== 0) {
      return yield* refuse(
        `npm publish refuses ${name}@${version}: ${ended.stderr.trim().split("\n").slice(-6).join("\n")}`,
        "Those before it in the manifest are published; mend this and run the same command again, it goes on here."
      )
    }
    onPackage(name, dryRun ? "would be published" : "published")
  }
  return undefined
})
