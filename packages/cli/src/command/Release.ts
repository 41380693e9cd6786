import { Effect, FileSystem, Path } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { makeDirectories, notWritable } from "../OutputFiles.ts"
import { manifestText, verifyManifest } from "../release/Manifest.ts"
import { publishToNpm, tagOf } from "../release/NpmPublish.ts"
import type { CheckedRelease } from "../release/ReleaseCheck.ts"
import { checkRelease } from "../release/ReleaseCheck.ts"
import { Screen } from "../Screen.ts"

export interface ReleaseFlags {
  readonly repository: string
  readonly artifacts: string | undefined
  readonly tarballs: string | undefined
  readonly rollback: string | undefined
  readonly maxAgeHours: number
  readonly json: boolean
}

export interface PublishFlags extends ReleaseFlags {
  readonly out: string | undefined
  readonly npm: boolean
  readonly dryRun: boolean
}

export interface VerifyFlags {
  readonly file: string
  readonly artifacts: string | undefined
  readonly tarballs: string | undefined
  readonly json: boolean
}

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

const placesOf = Effect.fnUntraced(function*(flags: ReleaseFlags) {
  const path = yield* Path.Path
  const { artifacts, maxAgeHours, repository: root, rollback, tarballs } = flags
  if (!(maxAgeHours > 0)) return yield* usage(`--max-age-hours ${maxAgeHours} is no age`, "Give more than 0 hours.")
  return {
    root,
    artifacts: artifacts ?? path.join(root, ".rspp/verify/full"),
    tarballs: tarballs ?? path.join(root, "dist/tarballs"),
    rollback: rollback ?? path.join(root, "release/rollback.yaml"),
    maxAgeMs: maxAgeHours * 3_600_000
  }
})

const nameOf = ({ commit, version }: CheckedRelease): string =>
  `${version ?? "no version"}${commit === undefined ? "" : ` at ${commit.slice(0, 12)}`}`

const showRefusals = (screen: Screen["Service"], checked: CheckedRelease): void => {
  const { style } = screen
  const count = checked.refusals.length
  screen.line(`${style.red("refused")}  ${nameOf(checked)}: ${count} ${count === 1 ? "reason" : "reasons"}`)
  for (const { code, fix, message } of checked.refusals) {
    screen.line(`  ${code.padEnd(25)} ${message}`)
    screen.line(`  ${"".padEnd(25)} ${style.dim(fix)}`)
  }
}

/** `rspp release check`: every reason against the release at once; nothing is written. */
export const checkReleaseFiles = Effect.fn("rspp.release.check")(function*(flags: ReleaseFlags) {
  const screen = yield* Screen
  const checked = yield* checkRelease(yield* placesOf(flags))
  const { commit, manifest, refusals, version } = checked
  if (flags.json) screen.line(JSON.stringify({ release: version, commit, ok: refusals.length === 0, refusals }))
  else if (manifest === undefined) showRefusals(screen, checked)
  else {
    const { packages, verification } = manifest
    screen.line(
      `${screen.style.green("ok")}  ${
        nameOf(checked)
      }: ${packages.length} packages, ${verification.length} files of the verification`
    )
  }
  return manifest === undefined ? yield* told("violation") : undefined
})

/** `rspp release publish`: the manifest of a release that may go out, and with `--npm` its packages. */
export const publishRelease = Effect.fn("rspp.release.publish")(function*(flags: PublishFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { dryRun, json, npm } = flags
  if (dryRun && !npm) return yield* usage("--dry-run is about npm", "Add --npm, or leave --dry-run out.")
  const places = yield* placesOf(flags)
  const checked = yield* checkRelease(places)
  const { manifest } = checked
  if (manifest === undefined) {
    const { commit, refusals, version } = checked
    if (json) screen.line(JSON.stringify({ release: version, commit, ok: false, refusals }))
    else showRefusals(screen, checked)
    return yield* told("violation")
  }
  const out = flags.out ?? path.join(places.root, "dist/release", `rspp-${manifest.release}.manifest.json`)
  yield* makeDirectories(path.dirname(out))
  yield* Effect.mapError(fs.writeFileString(out, manifestText(manifest)), () => notWritable(out))
  // What was written is read again and held against the files: nothing changed meanwhile, and the disk kept it.
  const { findings } = yield* verifyManifest(out, places)
  if (findings.length > 0) {
    return yield* new CliFailure({
      exit: "violation",
      message: findings.join("\n"),
      hint: "Something changed while the release was made: run it again and leave the files alone meanwhile."
    })
  }
  if (!json) screen.line(`${out}  sha256 ${manifest.manifest_sha256}`)
  const published: Array<{ readonly name: string; readonly what: string }> = []
  if (npm) {
    yield* publishToNpm(manifest.packages, {
      directory: places.tarballs,
      dryRun,
      tag: tagOf(manifest.release),
      onPackage: (name, what) => {
        published.push({ name, what })
        if (!json) screen.line(`${name}@${manifest.release}  ${what}`)
      }
    })
  }
  if (json) {
    const { commit, manifest_sha256, release } = manifest
    screen.line(JSON.stringify({ release, commit, ok: true, manifest: out, manifest_sha256, published }))
  }
  return undefined
})

/** `rspp release verify`: a manifest against itself, and against the files that it lists where they are given. */
export const verifyRelease = Effect.fn("rspp.release.verify")(function*(flags: VerifyFlags) {
  const screen = yield* Screen
  const { findings, manifest } = yield* verifyManifest(flags.file, flags)
  const { commit, manifest_sha256, release } = manifest
  if (flags.json) screen.line(JSON.stringify({ release, commit, manifest_sha256, ok: findings.length === 0, findings }))
  else if (findings.length === 0) {
    screen.line(`${screen.style.green("ok")}  ${release} at ${commit.slice(0, 12)}, sha256 ${manifest_sha256}`)
  } else for (const finding of findings) screen.line(`${screen.style.red("wrong")}  ${finding}`)
  return findings.length > 0 ? yield* told("violation") : undefined
})
