// Builds each package as it is published and packs it: `make packages`.
//
//   dist/packages/NAME/          plain JavaScript with types and source maps, and the package.json of the published package
//   dist/tarballs/*.tgz          what `npm publish` would send, each byte the same whenever the same commit is built
//   dist/tarballs/index.json     [{ name, version, file, sha256 }], in the order in which they can be published
//
// Exit 0: built. 1: something does not compile, or is named and not there; the reason is said. 69: npm cannot be run.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { bundle, bundledIn } from "./packages/bundled.ts"
import { compile } from "./packages/compile.ts"
import { publishedManifest } from "./packages/manifest.ts"
import type { SourceManifest } from "./packages/manifest.ts"
import { relocate } from "./packages/relocate.ts"

/** One line of `dist/tarballs/index.json`. */
export interface Tarball {
  readonly name: string
  readonly version: string
  readonly file: string
  readonly sha256: string
}

/** The packages, each after those that it depends on. */
const inOrder = (manifests: ReadonlyMap<string, SourceManifest>): ReadonlyArray<string> => {
  const byName = new Map([...manifests].map(([directory, { name }]) => [name, directory]))
  const done = new Set<string>()
  const add = (directory: string): void => {
    if (done.has(directory)) return
    for (const name of Object.keys(manifests.get(directory)?.dependencies ?? {})) {
      const other = byName.get(name)
      if (other !== undefined) add(other)
    }
    done.add(directory)
  }
  for (const directory of [...manifests.keys()].sort()) add(directory)
  return [...done]
}

const readManifest = (file: string): SourceManifest => JSON.parse(readFileSync(file, "utf8")) as SourceManifest

const assemble = (root: string, directory: string, manifest: SourceManifest, emitted: string, target: string): void => {
  const source = join(root, directory)
  mkdirSync(target, { recursive: true })
  relocate({ root, directory, emitted, target })
  for (const name of ["bin", "examples", "schema", "pipelines", "README.md"]) {
    if (existsSync(join(source, name))) cpSync(join(source, name), join(target, name), { recursive: true })
  }
  for (const name of ["LICENSE", "NOTICE"]) cpSync(join(root, name), join(target, name))
  for (const path of globSync("bin/*.js", { cwd: target })) {
    const file = join(target, path)
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(/"\.\.\/src\/(\w+)\.ts"/gu, `"../dist/$1.js"`))
  }
  const rootManifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly repository?: unknown }
  const bundled = bundledIn[manifest.name] ?? []
  for (const part of bundled) bundle(root, target, part)
  const published = publishedManifest(
    manifest,
    rootManifest,
    directory,
    bundled.map(({ name }) => name),
    (name) => existsSync(join(target, name))
  )
  writeFileSync(join(target, "package.json"), `${JSON.stringify(published, null, 2)}\n`)
}

/** Packs the packages in `directories` with npm into `out`; the names of the files, in the same order. */
const pack = (directories: ReadonlyArray<string>, out: string): ReadonlyArray<string> => {
  const { error, status, stderr, stdout } = spawnSync(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--loglevel=error", "--pack-destination", out, ...directories],
    { cwd: out, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 }
  )
  if (error !== undefined) throw new NpmMissing(`npm could not be run: ${error.message}`)
  if (status !== 0) throw new Error(`npm pack failed:\n${stderr.trim()}`)
  const packed = JSON.parse(stdout) as
    | ReadonlyArray<{ readonly filename: string }>
    | Readonly<Record<string, { readonly filename: string }>>
  return (Array.isArray(packed) ? packed : Object.values(packed)).map(({ filename }) => filename)
}

class NpmMissing extends Error {}

/** Builds and packs every package of the repository at `root` below `out`. */
export const buildPackages = (root: string, out: string): ReadonlyArray<Tarball> => {
  const manifests = new Map(
    ["contracts/package.json", ...globSync("packages/*/package.json", { cwd: root })].map((path) =>
      [dirname(path), readManifest(join(root, path))] as const
    )
  )
  const directories = inOrder(manifests)
  const emitted = join(out, "emitted")
  compile(root, directories, emitted)
  rmSync(join(out, "packages"), { recursive: true, force: true })
  const built = directories.map((directory) => {
    const manifest = manifests.get(directory)
    if (manifest === undefined) throw new Error(`${directory} has no package.json`)
    const target = join(out, "packages", manifest.name.slice(manifest.name.indexOf("/") + 1))
    assemble(root, directory, manifest, emitted, target)
    return { manifest, target }
  })
  rmSync(emitted, { recursive: true, force: true })
  const tarballs = join(out, "tarballs")
  rmSync(tarballs, { recursive: true, force: true })
  mkdirSync(tarballs, { recursive: true })
  const files = pack(built.map(({ target }) => target), tarballs)
  const index = built.map(({ manifest: { name, version } }): Tarball => {
    const file = files.find((candidate) => candidate === `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)
    if (file === undefined) throw new Error(`npm pack made no tarball of ${name}: ${files.join(", ")}`)
    const sha256 = createHash("sha256").update(readFileSync(join(tarballs, file))).digest("hex")
    return { name, version, file, sha256 }
  })
  writeFileSync(join(tarballs, "index.json"), `${JSON.stringify(index, null, 2)}\n`)
  return index
}

if (import.meta.main) {
  const root = dirname(import.meta.dirname)
  try {
    for (const { file, sha256 } of buildPackages(root, join(root, "dist"))) {
      console.log(`${sha256}  dist/tarballs/${file}`)
    }
  } catch (error) {
    console.error(`build-packages: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = error instanceof NpmMissing ? 69 : 1
  }
}
