import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { ReleasedFile, ReleaseManifest } from "@rspp/contracts/Release"
import { Effect, FileSystem, Option, Path } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { sha256 } from "./Hash.ts"

/** The manifest with its own hash: of the canonical JSON of all the rest. */
export const signed = (parts: Omit<ReleaseManifest, "manifest_sha256">): ReleaseManifest => ({
  ...parts,
  manifest_sha256: sha256(canonicalJson(parts))
})

/** The text of a manifest's file: equal manifests give equal bytes. */
export const manifestText = (manifest: ReleaseManifest): string => `${canonicalJson(manifest)}\n`

/** What a manifest is held against besides itself. */
export interface ManifestPlaces {
  readonly artifacts: string | undefined
  readonly tarballs: string | undefined
}

const bad = (message: string) =>
  new CliFailure({ exit: "bad_input", message, hint: "Give the manifest that rspp release publish wrote." })

/**
 * Reads a manifest and says what is wrong with it: its own hash, its bytes, and the files that it lists as they lie in
 * `places`. Fails with bad input when it is no manifest.
 */
export const verifyManifest = Effect.fn("release.verifyManifest")(function*(file: string, places: ManifestPlaces) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = yield* Effect.mapError(fs.readFileString(file), () => bad(`${file}: cannot be read`))
  const value = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => bad(`${file}: is no JSON`)
  })
  const verdict = validate("release_manifest", value)
  if (!verdict.ok) return yield* bad(`${file}: ${verdict.issues.map(formatIssue).join("; ")}`)
  const manifest = verdict.value
  if (manifest.schema_version !== schemaVersion) {
    return yield* bad(
      `${file}: its schema_version is ${manifest.schema_version}, and this program knows ${schemaVersion}`
    )
  }
  const { manifest_sha256, ...parts } = manifest
  const compare = (directory: string | undefined, files: ReadonlyArray<typeof ReleasedFile.Type>) =>
    directory === undefined ? Effect.succeed([]) : Effect.map(
      Effect.forEach(files, (one) =>
        Effect.map(Effect.option(fs.readFile(path.join(directory, one.file))), (bytes) => {
          const at = path.join(directory, one.file)
          if (Option.isNone(bytes)) return [`${at} is not there`]
          return sha256(bytes.value) === one.sha256.toLowerCase()
            ? []
            : [`${at} does not have the hash of the manifest`]
        })),
      (found) => found.flat()
    )
  const findings = [
    ...(sha256(canonicalJson(parts)) === manifest_sha256
      ? []
      : [`${file}: its hash is not that of what it says: it was changed`]),
    ...(text === manifestText(manifest) ? [] : [`${file}: it is not written as canonical JSON`]),
    ...(yield* compare(places.artifacts, manifest.verification)),
    ...(yield* compare(places.tarballs, manifest.packages))
  ]
  return { manifest, findings }
})
