// Builds each package as it is published and packs it: `make packages`.
//
//   dist/packages/NAME/          plain JavaScript with types and source maps, and the package.json of the published package
//   dist/tarballs/*.tgz          what `npm publish` would send, each byte the same whenever the same commit is built
//   dist/tarballs/index.json     [{ name, version, file, sha256 }], in the order in which they can be published
//
// node scripts/build-packages.ts [--out DIR] [--no-pack] [--publish-dry-run]
//
// Exit 0: built. 1: something does not compile, or is named and not there; the reason is said. 2: usage. 69: npm cannot run.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { bundle, bundledIn } from "./packages/bundled.ts"
import { packageFaults, unpackedFaults } from "./packages/check.ts"
import { compile } from "./packages/compile.ts"
import { publishedManifest } from "./packages/manifest.ts"
import type { SourceManifest } from "./packages/manifest.ts"
import { relocate } from "./packages/relocate.ts"
import { sourceState } from "./verify/Source.ts"

/** One line of `dist/tarballs/index.json`. */
export interface Tarball {
  readonly name: string
  readonly version: string
  readonly file: string
  readonly sha256: string
}

interface Built {
  readonly name: string
  readonly version: string
  /** The published package, unpacked. */
  readonly target: string
}

class NpmMissing extends Error {}

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

const readJson = <A>(file: string): A => JSON.parse(readFileSync(file, "utf8")) as A

const assemble = (
  { commit, emitted, root }: { readonly root: string; readonly emitted: string; readonly commit: string | undefined },
  directory: string,
  manifest: SourceManifest,
  target: string
): void => {
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
  const bundled = bundledIn[manifest.name] ?? []
  for (const part of bundled) bundle(root, target, part)
  const published = publishedManifest(manifest, {
    directory,
    root: readJson<{ readonly repository?: unknown }>(join(root, "package.json")),
    commit,
    bundled: bundled.map(({ name }) => name),
    has: (name) => existsSync(join(target, name))
  })
  writeFileSync(join(target, "package.json"), `${JSON.stringify(published, null, 2)}\n`)
}

/** The commit of the tree at `root`; none when files were changed since, or it is no repository. */
const commitOf = (root: string): string | undefined => {
  const { commit, dirty } = sourceState(root)
  return dirty ? undefined : commit
}

const refuse = (faults: ReadonlyArray<string>): void => {
  if (faults.length > 0) throw new Error(`what would be published is not whole:\n${faults.join("\n")}`)
}

/** Builds every package of the repository at `root` below `out/packages`, each after those that it depends on. */
const build = (root: string, out: string): ReadonlyArray<Built> => {
  const manifests = new Map(
    ["contracts/package.json", ...globSync("packages/*/package.json", { cwd: root })].map((path) =>
      [dirname(path), readJson<SourceManifest>(join(root, path))] as const
    )
  )
  const directories = inOrder(manifests)
  const emitted = join(out, "emitted")
  compile(root, directories, emitted)
  const commit = commitOf(root)
  rmSync(join(out, "packages"), { recursive: true, force: true })
  const built = directories.flatMap((directory): ReadonlyArray<Built> => {
    const manifest = manifests.get(directory)
    if (manifest === undefined) return []
    const { name, version } = manifest
    const target = join(out, "packages", name.slice(name.indexOf("/") + 1))
    assemble({ root, emitted, commit }, directory, manifest, target)
    return [{ name, version, target }]
  })
  rmSync(emitted, { recursive: true, force: true })
  refuse(built.flatMap(({ target }) => packageFaults(target)))
  return built
}

const npm = (args: ReadonlyArray<string>, cwd: string): string => {
  const { error, status, stderr, stdout } = spawnSync("npm", [...args], {
    cwd,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024
  })
  if (error !== undefined) throw new NpmMissing(`npm could not be run: ${error.message}`)
  if (status !== 0) throw new Error(`npm ${args[0] ?? ""} failed:\n${stderr.trim()}`)
  return stdout
}

interface Packed {
  readonly name: string
  readonly filename: string
  readonly files: ReadonlyArray<{ readonly path: string }>
}

/** Packs what was built into `out/tarballs`, and writes the index there. */
const pack = (built: ReadonlyArray<Built>, out: string): ReadonlyArray<Tarball> => {
  const tarballs = join(out, "tarballs")
  rmSync(tarballs, { recursive: true, force: true })
  mkdirSync(tarballs, { recursive: true })
  const targets = built.map(({ target }) => target)
  const answer: unknown = JSON.parse(
    npm(
      ["pack", "--json", "--ignore-scripts", "--loglevel=error", "--pack-destination", tarballs, ...targets],
      tarballs
    )
  )
  // A list, or (npm 11) an object by the package's name.
  const packed = Object.values(answer as Readonly<Record<string, Packed>>)
  const index = built.map(({ name, target, version }): Tarball => {
    const found = packed.find((candidate) => candidate.name === name)
    if (found === undefined) throw new Error(`npm pack made no tarball of ${name}`)
    refuse(unpackedFaults(target, name, found.files.map(({ path }) => path)))
    const file = found.filename
    const sha256 = createHash("sha256").update(readFileSync(join(tarballs, file))).digest("hex")
    return { name, version, file, sha256 }
  })
  writeFileSync(join(tarballs, "index.json"), `${JSON.stringify(index, null, 2)}\n`)
  return index
}

const usage = "usage: node scripts/build-packages.ts [--out DIR] [--no-pack] [--publish-dry-run]"

const main = (): number => {
  const root = dirname(import.meta.dirname)
  const { values } = parseArgs({
    options: { out: { type: "string" }, "no-pack": { type: "boolean" }, "publish-dry-run": { type: "boolean" } }
  })
  const out = resolve(values.out ?? join(root, "dist"))
  const built = build(root, out)
  if (commitOf(root) === undefined) {
    console.error(
      "build-packages: this is not a commit as it is, so the packages name none and `rspp release` refuses them"
    )
  }
  if (values["no-pack"] === true) return 0
  for (const { file, name, sha256, version } of pack(built, out)) {
    console.log(`${sha256}  ${join(out, "tarballs", file)}`)
    if (values["publish-dry-run"] === true) {
      npm(["publish", "--dry-run", "--loglevel=error", join(out, "tarballs", file)], out)
      console.log(`    npm publish --dry-run would publish ${name}@${version}`)
    }
  }
  return 0
}

if (import.meta.main) {
  try {
    process.exitCode = main()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const wrong = error instanceof TypeError && message.includes("option")
    console.error(`build-packages: ${message}${wrong ? `\n${usage}` : ""}`)
    process.exitCode = error instanceof NpmMissing ? 69 : wrong ? 2 : 1
  }
}
