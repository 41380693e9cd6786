// The manifest of a release: the same commit gives the same bytes, it is signed by its own hash, and npm gets what it lists.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { validate } from "@rspp/contracts/Artifact"
import { manifestText, verifyManifest } from "@rspp/cli/release/Manifest"
import { checkRelease } from "@rspp/cli/release/ReleaseCheck"
import { integrityOf } from "@rspp/cli/release/Hash"
import { textInTarball } from "@rspp/cli/release/TarEntry"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { spawnSync } from "node:child_process"
import { program } from "../support/Program.ts"
import { nowMs, ReleaseBox, tarball } from "./ReleaseBox.ts"

const boxes: Array<ReleaseBox> = []
const open = () => {
  const box = new ReleaseBox()
  boxes.push(box)
  return box
}
afterAll(() => {
  for (const box of boxes) box.remove()
})

const manifestOf = (box: ReleaseBox, at = nowMs) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(at)
    const { manifest, refusals } = yield* checkRelease(box.places)
    if (manifest === undefined) return assert.fail(JSON.stringify(refusals))
    return manifest
  }).pipe(Effect.provide(NodeServices.layer))

const written = (box: ReleaseBox, text: string) => {
  const file = join(box.places.artifacts, "../release.json")
  writeFileSync(file, text)
  return file
}

describe("A release's manifest", () => {
  it.effect("has the same bytes whenever it is made, and is valid by the contract", () =>
    Effect.gen(function*() {
      const box = open()
      const first = manifestText(yield* manifestOf(box))
      assert.strictEqual(manifestText(yield* manifestOf(box, nowMs + 3_600_000)), first)
      assert.isTrue(validate("release_manifest", JSON.parse(first)).ok)
      assert.notInclude(first, "2026-11-23T")
    }))

  it.effect("lists every file of the verification and every package, and is whole as it was written", () =>
    Effect.gen(function*() {
      const box = open()
      const manifest = yield* manifestOf(box)
      assert.strictEqual(manifest.commit_time_ms, 1_790_000_000_000)
      assert.lengthOf(manifest.verification, 8)
      assert.deepStrictEqual(manifest.packages.map(({ name }) => name), ["@x/contracts", "@x/cli"])
      const { findings } = yield* verifyManifest(written(box, manifestText(manifest)), box.places)
      assert.deepStrictEqual(findings, [])
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("is found to be changed: a word in it, its form, a file of the verification, a package", () =>
    Effect.gen(function*() {
      const box = open()
      const text = manifestText(yield* manifestOf(box))
      const none = { artifacts: undefined, tarballs: undefined }
      const found = Effect.fnUntraced(function*(changed: string, places: Parameters<typeof verifyManifest>[1] = none) {
        return (yield* verifyManifest(written(box, changed), places)).findings.join("\n")
      })
      assert.match(yield* found(text.replace("the engineer on call", "nobody")), /it was changed/u)
      assert.match(yield* found(JSON.stringify(JSON.parse(text), null, 2)), /canonical/u)
      writeFileSync(join(box.places.artifacts, "slo.json"), "{}")
      assert.match(yield* found(text, box.places), /slo\.json does not have the hash/u)
      writeFileSync(join(box.places.tarballs, "x-cli-1.4.0.tgz"), "x")
      assert.match(yield* found(text, { ...none, tarballs: box.places.tarballs }), /x-cli-1\.4\.0\.tgz does not/u)
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("rspp release", () => {
  /** An npm that writes down what it is asked, and knows what is in `registry`. */
  const fakeNpm = (box: ReleaseBox, refuses = "") => {
    const bin = join(box.places.artifacts, "../bin")
    mkdirSync(bin, { recursive: true })
    const log = join(bin, "log")
    const registry = join(bin, "registry")
    const script = `#!/bin/sh
echo "$@" >> "${log}"
case "$1" in
  view) grep -s "^$2 " "${registry}" | cut -d' ' -f2 ;;
  publish) case "$*" in *${
      refuses === "" ? "nothing-is-refused" : refuses
    }*) echo "npm error 403" >&2; exit 1 ;; esac ;;
esac
exit 0
`
    writeFileSync(join(bin, "npm"), script)
    chmodSync(join(bin, "npm"), 0o755)
    return { bin, registry, asked: () => existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] }
  }
  const rspp = (box: ReleaseBox, bin: string, ...args: ReadonlyArray<string>) => {
    const { artifacts, rollback, root, tarballs } = box.places
    const places = ["--repository", root, "--artifacts", artifacts, "--tarballs", tarballs, "--rollback", rollback]
    // However long ago 2026-11-23 is when this runs.
    const flags = [...places, "--max-age-hours", "1000000"]
    return spawnSync(process.execPath, [program, "release", ...args, ...flags], {
      encoding: "utf8",
      env: { HOME: process.env["HOME"], PATH: `${bin}${delimiter}${process.env["PATH"]}` }
    })
  }
  /** The verification of the box ends by the real clock, as the program looks at that. */
  const verified = (box: ReleaseBox) => box.verification((_, json) => ({ ...json, ended_at: new Date().toISOString() }))

  it("publishes in order, goes on where npm refused, and passes over what is there", () => {
    const box = open()
    verified(box)
    const out = join(box.places.artifacts, "../m.json")
    const first = fakeNpm(box, "x-cli")
    const refused = rspp(box, first.bin, "publish", "--npm", "--out", out)
    assert.strictEqual(refused.status, 1, refused.stderr)
    assert.include(refused.stderr, "npm publish refuses @x/cli@1.4.0")
    const { bin, registry } = fakeNpm(box)
    const contracts = readFileSync(join(box.places.tarballs, "x-contracts-1.4.0.tgz"))
    writeFileSync(registry, `@x/contracts@1.4.0 ${integrityOf(contracts)}\n`)
    const again = rspp(box, bin, "publish", "--npm", "--out", out, "--json")
    assert.strictEqual(again.status, 0, again.stderr)
    assert.deepStrictEqual(JSON.parse(again.stdout).published, [
      { name: "@x/contracts", what: "was published before" },
      { name: "@x/cli", what: "published" }
    ])
    writeFileSync(registry, "@x/contracts@1.4.0 sha512-other\n")
    const other = rspp(box, bin, "publish", "--npm", "--out", out)
    assert.strictEqual(other.status, 1)
    assert.include(other.stderr, "with other content")
  }, 60_000)

  it("sends nothing with --dry-run, and nothing at all of a release that is refused", () => {
    const box = open()
    verified(box)
    const { asked, bin } = fakeNpm(box)
    const dry = rspp(box, bin, "publish", "--npm", "--dry-run")
    assert.strictEqual(dry.status, 0, dry.stderr)
    assert.lengthOf(asked(), 2)
    for (const line of asked()) {
      assert.match(line, /^publish .*\.tgz --tag latest --access public --ignore-scripts --dry-run$/u)
    }
    const manifest = join(box.root, "dist/release/rspp-1.4.0.manifest.json")
    assert.isTrue(existsSync(manifest))
    const spoilt = rspp(box, bin, "publish", "--npm")
    assert.strictEqual(spoilt.status, 1, "the manifest in a tree that does not ignore dist/ is a change")
    assert.include(spoilt.stdout, "tree_dirty")
    assert.lengthOf(asked(), 2)
  }, 60_000)
})

describe("A file in a tarball", () => {
  it("is found by its path, and nothing is found in what is no archive", () => {
    const tgz = tarball("package/package.json", "{}")
    assert.strictEqual(textInTarball(tgz, "package/package.json"), "{}")
    assert.isUndefined(textInTarball(tgz, "package/other"))
    assert.isUndefined(textInTarball(Buffer.from("no archive"), "package/package.json"))
  })
})
