import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { verificationGates } from "@rspp/contracts/Verification"
import type { ReleasePlaces } from "@rspp/cli/release/ReleaseCheck"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { gzipSync } from "node:zlib"

export const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex")

/** The time of every check in these tests, ms since 1970. */
export const nowMs = Date.parse("2026-11-23T12:00:00Z")

/** When the verification ended: an hour before. */
const endedAt = "2026-11-23T11:00:00.000Z"

/** An archive of one file, as `npm pack` writes it. */
export const tarball = (name: string, text: string): Uint8Array => {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(Buffer.byteLength(text).toString(8).padStart(11, "0"), 124)
  header.write("ustar", 257)
  const body = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 512) * 512)
  body.write(text)
  return gzipSync(Buffer.concat([header, body, Buffer.alloc(1024)]))
}

export const plan = {
  schema_version: "v1.0",
  rollback_of: "1.4.0",
  return_to: { version: "1.3.2" },
  decided_by: "the engineer on call",
  decided_within_ms: 900_000,
  when: ["an alert"],
  steps: [{ do: "point latest back" }],
  data: { readable_after: true, note: "the formats are the same" }
}

const changelog = `# Changelog

## [1.4.0] - 2026-11-23

### Added

- Something that users of the code notice.

## [1.3.2] - 2026-10-01

- Before.
`

/** A small repository whose release is as it should be, with a verification, tarballs and a way back beside it. */
export class ReleaseBox {
  readonly #directory = mkdtempSync(join(tmpdir(), "rspp-release-"))
  readonly root = join(this.#directory, "repository")
  readonly places: ReleasePlaces = {
    root: this.root,
    artifacts: join(this.#directory, "full"),
    tarballs: join(this.#directory, "tarballs"),
    rollback: join(this.#directory, "rollback.json"),
    maxAgeMs: 24 * 3_600_000
  }
  readonly commit: string

  constructor() {
    mkdirSync(this.root)
    this.git("init", "--quiet", "--initial-branch=main")
    this.write("package.json", JSON.stringify({ name: "rspp", version: "1.3.2" }))
    this.commitAll()
    this.git("tag", "v1.3.2")
    this.write("package.json", JSON.stringify({ name: "rspp", version: "1.4.0" }))
    for (const [directory, name] of [["contracts", "@x/contracts"], ["packages/cli", "@x/cli"]] as const) {
      this.write(`${directory}/package.json`, JSON.stringify({ name, version: "1.4.0" }))
    }
    this.write("CHANGELOG.md", changelog)
    this.commit = this.commitAll()
    this.verification()
    this.tarballs()
    writeFileSync(this.places.rollback, JSON.stringify(plan))
  }

  git(...args: ReadonlyArray<string>): string {
    const { status, stderr, stdout } = spawnSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], {
      cwd: this.root,
      encoding: "utf8",
      env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_COMMITTER_DATE: "1790000000 +0200" }
    })
    if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`)
    return stdout.trim()
  }

  /** Writes a file of the repository. */
  write(path: string, text: string): void {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }

  commitAll(): string {
    this.git("add", "-A")
    this.git("commit", "--quiet", "-m", "for this test")
    return this.git("rev-parse", "HEAD")
  }

  /** The verification with other words in one of its files; the summary has the hashes of what is written. */
  verification(
    change: (file: string, json: Record<string, unknown>) => Record<string, unknown> = (_, json) => json
  ): void {
    const about = { schema_version: "v1.0", mode: "full", commit: this.commit, dirty: false, ended_at: endedAt }
    const each = verificationGates.map((gate) => {
      const json = { ...about, started_at: endedAt, verdict: "pass", gate, detail: { anything: 1 } }
      return { gate, file: `${gate}.json`, text: JSON.stringify(change(`${gate}.json`, json)) }
    })
    mkdirSync(this.places.artifacts, { recursive: true })
    for (const { file, text } of each) writeFileSync(join(this.places.artifacts, file), text)
    const summary = {
      ...about,
      started_at: endedAt,
      verdict: "pass",
      gates: each.map(({ file, gate }) => ({ gate, file, verdict: "pass" })),
      files: each.map(({ file, text }) => ({ file, bytes: text.length, sha256: sha256(text) }))
    }
    writeFileSync(join(this.places.artifacts, "summary.json"), JSON.stringify(change("summary.json", summary)))
  }

  /** The tarballs, with another package.json inside. */
  tarballs(change: (manifest: Record<string, unknown>) => Record<string, unknown> = (manifest) => manifest): void {
    mkdirSync(this.places.tarballs, { recursive: true })
    const index = ["@x/contracts", "@x/cli"].map((name) => {
      const manifest = change({ name, version: "1.4.0", gitHead: this.commit })
      const file = `${name.replace("@", "").replace("/", "-")}-1.4.0.tgz`
      const bytes = tarball("package/package.json", JSON.stringify(manifest))
      writeFileSync(join(this.places.tarballs, file), bytes)
      return { name, version: manifest["version"], file, sha256: sha256(bytes) }
    })
    writeFileSync(join(this.places.tarballs, "index.json"), canonicalJson(index))
  }

  /** Changes a text file that lies beside the repository. */
  edit(file: string, change: (text: string) => string): void {
    writeFileSync(file, change(readFileSync(file, "utf8")))
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
