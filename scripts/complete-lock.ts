// Completes package-lock.json after `npm install`, so that `npm ci` accepts it on every platform.
//
// When to use: after any `npm install` that changed the lock: `node scripts/complete-lock.ts`.
// scripts/check-dependencies.ts fails while the lock is incomplete.
//
// What it adds, and why:
// - An entry for each optional platform package that npm left out. npm forgets those that the registry at hand did not
//   offer on the day of the lock (a mirror with Linux only, for instance), and `npm ci` then refuses the whole lock, on
//   Linux too. Entries added here carry no integrity value: they are checked by npm against the registry's own.
// - The tarball's address where it is absent, so that an install asks the registry for tarballs only: without it npm
//   first reads about 50 MB of package descriptions.
//
// It never changes or removes an entry.
import { readFileSync, writeFileSync } from "node:fs"

export interface LockEntry {
  readonly name?: string
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

const registry = "https://registry.npmjs.org"

/** Words of a package name (`@x/binding-linux-arm64-gnu`) that say where it runs. */
const oses: Readonly<Record<string, string>> = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  openharmony: "openharmony",
  win: "win32",
  win32: "win32"
}
const cpus = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "x64"]
const libcs: Readonly<Record<string, string>> = {
  glibc: "glibc",
  gnu: "glibc",
  gnueabihf: "glibc",
  musl: "musl",
  musleabihf: "musl"
}

/** The lock's entry for platform package `name` at `version`, or none when the name says no operating system. */
const platformEntry = (name: string, version: string, dev: boolean): LockEntry | undefined => {
  const words = name.split(/[-/]/u)
  const os = words.flatMap((word) => oses[word] ?? [])
  if (os.length === 0) return undefined
  const cpu = words.filter((word) => cpus.includes(word))
  const libc = words.flatMap((word) => libcs[word] ?? [])
  return {
    version,
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(dev ? { dev } : {}),
    ...(libc.length > 0 ? { libc } : {}),
    optional: true,
    os
  }
}

/** The package's name: the part after the last `node_modules/`, or what an alias stands for. */
const nameOf = (path: string, entry: LockEntry) => entry.name ?? path.slice(path.lastIndexOf("node_modules/") + 13)

/** The lock with everything added, and one line per addition. The lock given is not changed. */
export const complete = (lock: Lock): { readonly lock: Lock; readonly added: ReadonlyArray<string> } => {
  const packages: Record<string, LockEntry> = { ...lock.packages }
  const added: Array<string> = []
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const path = `node_modules/${name}`
      if (packages[path] !== undefined) continue
      const missing = platformEntry(name, version, entry.dev === true)
      if (missing === undefined) continue
      packages[path] = missing
      added.push(`entry for ${name}@${version}`)
    }
  }
  for (const [path, entry] of Object.entries(packages)) {
    if (!path.includes("node_modules/") || entry.link === true || entry.resolved !== undefined) continue
    const name = nameOf(path, entry)
    const { name: alias, version, ...rest } = entry
    if (version === undefined) continue
    const file = name.slice(name.indexOf("/") + 1)
    packages[path] = {
      ...(alias === undefined ? {} : { name: alias }),
      version,
      resolved: `${registry}/${name}/-/${file}-${version}.tgz`,
      ...rest
    }
    added.push(`tarball address of ${name}@${version}`)
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en"))
  return { lock: { ...lock, packages: Object.fromEntries(sorted) }, added }
}

if (import.meta.main) {
  const file = new URL("../package-lock.json", import.meta.url)
  const result = complete(JSON.parse(readFileSync(file, "utf8")) as Lock)
  if (result.added.length > 0) writeFileSync(file, `${JSON.stringify(result.lock, null, 2)}\n`)
  console.log(
    result.added.length === 0
      ? "package-lock.json is complete"
      : `${result.added.length} additions to package-lock.json`
  )
}
