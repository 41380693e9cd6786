import { Effect, FileSystem, Option, Path, Schema } from "effect"
import type { Refusal } from "./Refusal.ts"
import { refusal } from "./Refusal.ts"

/** A package of the repository that is published. */
export interface SourcePackage {
  readonly name: string
  readonly version: string
}

const Manifest = Schema.fromJsonString(Schema.Struct({ name: Schema.String, version: Schema.String }))

/** The version of the repository, the packages that are published with it, and what of them has another version. */
export const sourceVersions = Effect.fn("release.sourceVersions")(function*(root: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const manifestOf = (directory: string) =>
    fs.readFileString(path.join(root, directory, "package.json")).pipe(
      Effect.option,
      Effect.map(Option.flatMap(Schema.decodeUnknownOption(Manifest)))
    )
  const whole = yield* manifestOf("")
  const names = yield* Effect.orElseSucceed(fs.readDirectory(path.join(root, "packages")), () => [])
  const found = yield* Effect.forEach([
    "contracts",
    ...names.toSorted((a, b) => a < b ? -1 : 1).map((name) => `packages/${name}`)
  ], manifestOf)
  const packages: ReadonlyArray<SourcePackage> = found.flatMap((one) => Option.toArray(one))
  const version = Option.getOrUndefined(whole)?.version
  const different = packages.filter((one) => one.version !== version)
  const refusals: ReadonlyArray<Refusal> = version === undefined || packages.length === 0
    ? [refusal(
      "version_differs",
      `${root} has no package.json with a version, or no packages`,
      "Run this in the repository, or give its directory with --repository."
    )]
    : different.map((one) =>
      refusal(
        "version_differs",
        `${one.name} has version ${one.version}, the repository ${version}`,
        "Give all packages the version of the repository's package.json."
      )
    )
  return { version, packages, refusals }
})

const parts = (version: string) => {
  const [core = "", ...pre] = version.split("-")
  return { numbers: core.split(".").map(Number), pre: pre.join("-") }
}

const comparePre = (a: string, b: string): number => {
  if (a === b) return 0
  // A version without a suffix is later than its candidates.
  if (a === "") return 1
  if (b === "") return -1
  const left = a.split(".")
  const right = b.split(".")
  for (const [at, one] of left.entries()) {
    const other = right[at]
    if (other === undefined) return 1
    if (one === other) continue
    const numeric = [one, other].map((part) => /^\d+$/u.test(part))
    if (numeric[0] && numeric[1]) return Number(one) - Number(other)
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1
    return one < other ? -1 : 1
  }
  return left.length - right.length
}

/** Order of two versions by Semantic Versioning: negative when `a` is the earlier one. */
export const compareVersions = (a: string, b: string): number => {
  const left = parts(a)
  const right = parts(b)
  for (const [at, number] of left.numbers.entries()) {
    const difference = number - (right.numbers[at] ?? 0)
    if (difference !== 0) return difference
  }
  return comparePre(left.pre, right.pre)
}
