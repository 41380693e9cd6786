import { ReleasedPackage } from "@rspp/contracts/Release"
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { sha256 } from "./Hash.ts"
import type { Checked, Refusal } from "./Refusal.ts"
import { refusal, refused } from "./Refusal.ts"
import { textInTarball } from "./TarEntry.ts"
import type { SourcePackage } from "./Versions.ts"

/** What the tarballs must be for a release. */
export interface WantedTarballs {
  readonly commit: string | undefined
  /** The packages of the repository; each must have its tarball. */
  readonly packages: ReadonlyArray<SourcePackage>
}

export type Packages = ReadonlyArray<typeof ReleasedPackage.Type>

const build = "Build them from this commit: make packages."

const decodeIndex = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(ReleasedPackage)))
const Manifest = Schema.fromJsonString(
  Schema.Struct({ name: Schema.String, version: Schema.String, gitHead: Schema.optionalKey(Schema.String) })
)

/**
 * The tarballs in `directory` as its `index.json` lists them: each package of the repository has one, with the hash of the
 * index, and inside it a package.json of that name and version, built from this commit (`gitHead`).
 */
export const releasedTarballs = Effect.fn("release.tarballs")(function*(directory: string, wanted: WantedTarballs) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const indexFile = path.join(directory, "index.json")
  const index = Option.getOrUndefined(
    Option.flatMap(yield* Effect.option(fs.readFileString(indexFile)), decodeIndex)
  )
  if (index === undefined) {
    const missing = refusal("tarballs_missing", `${indexFile} is not there, or is no list of tarballs`, build)
    return refused(missing) satisfies Checked<Packages>
  }
  const refusals: Array<Refusal> = wanted.packages.filter(({ name }) => !index.some((one) => one.name === name))
    .map(({ name }) => refusal("tarball_missing", `there is no tarball of ${name} in ${indexFile}`, build))
  for (const { file, name, sha256: hash, version } of index) {
    const at = path.join(directory, file)
    const source = wanted.packages.find((one) => one.name === name)
    if (source !== undefined && source.version !== version) {
      const message = `the tarball of ${name} is version ${version}, the repository has ${source.version}`
      refusals.push(refusal("tarball_other_version", message, build))
    }
    const bytes = yield* Effect.option(fs.readFile(at))
    if (Option.isNone(bytes)) {
      refusals.push(refusal("tarball_missing", `${at} is not there`, build))
      continue
    }
    if (sha256(bytes.value) !== hash.toLowerCase()) {
      refusals.push(refusal("tarball_altered", `${at} does not have the hash that ${indexFile} says`, build))
      continue
    }
    const text = textInTarball(bytes.value, "package/package.json")
    const manifest = text === undefined ? undefined : Option.getOrUndefined(Schema.decodeUnknownOption(Manifest)(text))
    if (manifest === undefined || manifest.name !== name || manifest.version !== version) {
      refusals.push(refusal("tarball_altered", `${at} is not the package ${name}@${version}`, build))
    } else if (wanted.commit !== undefined && manifest.gitHead !== wanted.commit) {
      const from = manifest.gitHead === undefined
        ? "does not say from which commit it is"
        : `is built from ${manifest.gitHead.slice(0, 12)}`
      refusals.push(
        refusal("tarball_other_commit", `${at} ${from}, and this is ${wanted.commit.slice(0, 12)}`, build)
      )
    }
  }
  return refusals.length > 0 ? refused(...refusals) : { is: index }
})
