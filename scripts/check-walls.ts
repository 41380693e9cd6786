// Checks the walls between packages, and what kernel code may use. `node scripts/check-walls.ts [--json]`
//
// Exit 0: none broken. Exit 1: each violation on a line `file:line:column  rule  what is wrong and what to do`.
// test/repository/walls.test.ts plants a violation of each rule and sees it named.
import { isBuiltin } from "node:module"
import { dirname } from "node:path"
import { bannedUses, isKernel } from "./banned-globals.ts"
import {
  isRelative,
  lineAndColumn,
  packageOf,
  type Reference,
  type SourceFile,
  sourceFiles,
  target,
  walk,
  type Workspace,
  workspaces
} from "./source-files.ts"

export interface Violation {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly rule: string
  readonly message: string
}

export interface Report {
  readonly files: number
  readonly violations: ReadonlyArray<Violation>
  /** Rules that could not be looked at, each with the reason. */
  readonly notRun: ReadonlyArray<string>
}

/** What each package may import: packages of ours, and (where it is closed) packages of others. */
const walls: Readonly<
  Record<string, { readonly ours: ReadonlyArray<string>; readonly others?: ReadonlyArray<string> }>
> = {
  contracts: { ours: [], others: ["effect"] },
  runtime: { ours: ["contracts"], others: ["effect", "@noble/hashes"] },
  sql: { ours: [], others: ["effect", "@effect/sql-pg"] },
  control: { ours: ["contracts", "sql"] },
  timeline: { ours: ["contracts", "runtime", "sql"] },
  providers: { ours: ["contracts", "runtime"] },
  transports: { ours: ["contracts", "runtime"] },
  simulation: { ours: ["contracts", "runtime", "control", "timeline"] },
  cli: { ours: ["contracts", "runtime", "sql", "control", "timeline", "providers", "transports", "simulation"] }
}

/** Packages that run anywhere: no Node API in their sources. */
const portable = ["contracts", "runtime"]

/** Names of vendors that the kernel must not know. */
const vendors =
  /livekit|twilio|sherpa|moonshine|silero|whisper|flite|piper|kokoro|openai|anthropic|deepgram|elevenlabs|cartesia/iu

/** Program entries; every source file must be reachable from one. The schema generator counts for contracts only. */
const programs = ["packages/cli/src/main.ts", "packages/cli/bin/rspp.js"]
/**
 * The documented examples of the library are programs too: the README sends its users there. What they reach (the
 * transport and the recorder in memory) is for suites on virtual time.
 */
const examples = /^(?:test|packages\/[^/]+)\/examples\/[^/]+\.ts$/u
const generator = "scripts/generate-schema.ts"

type Found = { readonly start: number; readonly rule: string; readonly message: string }

const importRules = (file: SourceFile, reference: Reference, all: ReadonlyArray<Workspace>): ReadonlyArray<Found> => {
  const { specifier, start } = reference
  const { workspace, zone } = file
  const found: Array<Found> = []
  const add = (rule: string, message: string) => found.push({ start, rule, message })
  const root = all.find(({ directory }) => directory === "")?.manifest
  const manifest = workspace.manifest
  const shipped = [manifest.dependencies, manifest.optionalDependencies]
  const tools = [manifest.devDependencies, root?.dependencies, root?.devDependencies]
  const allowed = zone === "src" ? shipped : [...shipped, ...tools]
  const declared = (dependency: string) => allowed.some((names) => Object.hasOwn(names ?? {}, dependency))

  if (isRelative(specifier)) {
    if (reference.kind === "url" && !/\.(?:ts|js|mjs)$/u.test(specifier)) return found
    const path = target(file.path, specifier, all) ?? ""
    const home = workspace.directory === "" ? /^(?:test|scripts)\// : undefined
    const leaves = home === undefined ? !path.startsWith(`${workspace.directory}/`) : !home.test(path)
    if (leaves) add("relative", `"${specifier}" leaves the package; import it as @rspp/<package>/<File>`)
    else if (zone === "src" && path.startsWith(`${workspace.directory}/test/`)) {
      add("relative", `"${specifier}": what ships may not import from test/`)
    }
    return found
  }
  if (reference.kind === "url") return found
  if (specifier.startsWith("/") || /^[a-z]+:\/\//u.test(specifier)) {
    add("relative", `"${specifier}" is an absolute address; import a package or a relative path`)
    return found
  }
  if (specifier.startsWith("node:") || isBuiltin(specifier)) {
    if (zone === "src" && portable.includes(workspace.name)) {
      add("node-api", `"${specifier}": ${workspace.name} touches no Node API; put it behind a port`)
    } else if (!specifier.startsWith("node:")) add("node-api", `write "node:${specifier}"`)
    return found
  }
  if (/^effect\/unstable(?:\/|$)/u.test(specifier)) {
    add(
      "unstable",
      `"${specifier}" does not exist in Effect 4.1; the module is effect/${specifier.split("/")[2] ?? "<module>"}`
    )
    return found
  }
  const name = packageOf(specifier)
  if (name.startsWith("@rspp/")) {
    const other = name.slice("@rspp/".length)
    if (specifier.startsWith(`${name}/internal/`)) {
      add("internal", `"${specifier}" is internal to ${other}`)
    }
    if (zone === "test") return found
    const wall = walls[workspace.name]
    if (other === workspace.name) add("wall", `"${specifier}" is this package; use a relative path`)
    else if (wall !== undefined && !wall.ours.includes(other)) {
      const may = wall.ours.length === 0 ? "nothing of ours" : `only ${wall.ours.join(", ")}`
      add("wall", `${workspace.name} imports ${other}; it may import ${may}`)
    } else if (!declared(name)) {
      add("undeclared", `${name} is not in dependencies of ${workspace.directory}/package.json`)
    }
    return found
  }
  const others = zone === "src" ? walls[workspace.name]?.others : undefined
  if (others !== undefined && !others.includes(name)) {
    add("wall", `${workspace.name} imports ${name}; of others' packages it may import only ${others.join(", ")}`)
  } else if (!declared(name)) {
    const where = workspace.directory === "" ? "package.json" : `${workspace.directory}/package.json`
    add(
      "undeclared",
      `${name} is not in ${zone === "src" ? "dependencies" : "dependencies or devDependencies"} of ${where}`
    )
  }
  return found
}

const reExports = (statement: { readonly type: string; readonly source?: unknown }) =>
  statement.type === "ImportDeclaration" || statement.type === "ExportAllDeclaration"
  || (statement.type === "ExportNamedDeclaration" && statement.source !== null && statement.source !== undefined)

const barrelRules = (file: SourceFile): ReadonlyArray<Found> => {
  const found: Array<Found> = []
  const body = file.program["body"] as ReadonlyArray<
    { readonly type: string; readonly start: number; readonly source?: unknown }
  >
  const add = (start: number, message: string) => found.push({ start, rule: "barrel", message })
  if (/\/index\.[a-z]+$/u.test(file.path)) add(0, "no index files; name the file after the concept in it")
  for (const statement of body) {
    if (statement.type === "ExportAllDeclaration") {
      add(statement.start, "no `export *`; import from the file that defines it")
    }
  }
  if (found.length === 0 && body.some(({ type }) => type.startsWith("Export")) && body.every(reExports)) {
    add(0, "only passes on what others export; import from the file that defines it")
  }
  return found
}

const vendorRules = (file: SourceFile): ReadonlyArray<Found> => {
  const found: Array<Found> = []
  walk(file.program, (node) => {
    const text = node.type === "Literal"
      ? node["value"]
      : node.type === "TemplateElement"
      ? (node["value"] as { readonly raw: string }).raw
      : node.type === "Identifier"
      ? node["name"]
      : undefined
    const vendor = typeof text === "string" ? vendors.exec(text)?.[0] : undefined
    if (vendor !== undefined) {
      found.push({
        start: node.start,
        rule: "vendor",
        message: `"${vendor}" is a vendor's name; the runtime knows ports only`
      })
    }
  })
  return found
}

const fileRules = (file: SourceFile, all: ReadonlyArray<Workspace>): ReadonlyArray<Found> => {
  if (file.parseError !== undefined) return [{ start: 0, rule: "parse", message: file.parseError }]
  return [
    ...file.references.flatMap((reference) => importRules(file, reference, all)),
    ...(file.zone === "src" && file.path.endsWith(".ts") ? barrelRules(file) : []),
    ...(file.zone === "src" && file.workspace.name === "runtime" ? vendorRules(file) : []),
    ...(isKernel(file.path)
      ? bannedUses(file.program).map(({ name, start, replacement }) => ({
        start,
        rule: "banned-global",
        message: `\`${name}\` in kernel code: ${replacement}`
      }))
      : [])
  ]
}

/** Paths of all files that can be reached from `entries`, the entries included. */
const reachable = (
  entries: ReadonlyArray<string>,
  files: ReadonlyMap<string, SourceFile>,
  all: ReadonlyArray<Workspace>
) => {
  const seen = new Set<string>()
  const queue = entries.filter((entry) => files.has(entry))
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    for (const { specifier } of files.get(path)?.references ?? []) {
      const next = target(path, specifier, all)
      if (next !== undefined && files.has(next)) queue.push(next)
    }
  }
  return seen
}

const manifestRules = (workspace: Workspace): ReadonlyArray<string> => {
  if (workspace.directory === "") return []
  const { exports } = workspace.manifest
  return [
    ...(walls[workspace.name] === undefined
      ? [`no wall is declared for ${workspace.name}: add it to scripts/check-walls.ts`]
      : []),
    ...(exports?.["./internal/*"] === null ? [] : [`exports must close "./internal/*" with null`]),
    ...(exports?.["."] === undefined ? [] : [`exports must not have ".": there is no barrel to point at`])
  ]
}

/** Checks the repository at `root`. Reads only; never fails on what it finds. */
export const check = (root: string): Report => {
  const all = workspaces(root)
  const files = sourceFiles(root)
  const byPath = new Map(files.map((file) => [file.path, file]))
  const violations: Array<Violation> = []
  const notRun: Array<string> = []

  for (const workspace of all) {
    for (const message of manifestRules(workspace)) {
      violations.push({ file: `${workspace.directory}/package.json`, line: 1, column: 1, rule: "exports", message })
    }
  }
  for (const file of files) {
    for (const { start, rule, message } of fileRules(file, all)) {
      violations.push({ file: file.path, ...lineAndColumn(file.text, start), rule, message })
    }
  }
  if (programs.some((program) => byPath.has(program) && program.endsWith(".ts"))) {
    const fromPrograms = reachable(
      [...programs, ...[...byPath.keys()].filter((path) => examples.test(path))],
      byPath,
      all
    )
    const fromGenerator = reachable([generator], byPath, all)
    for (const file of files) {
      if (file.zone !== "src" || file.path.endsWith(".d.ts") || fromPrograms.has(file.path)) continue
      if (file.workspace.name === "contracts" && fromGenerator.has(file.path)) continue
      const message =
        "no program and no documented example reaches this file; compose it into the rspp program or remove it"
      violations.push({ file: file.path, line: 1, column: 1, rule: "unreachable", message })
    }
  } else notRun.push(`unreachable: ${programs[0]} does not exist`)
  return { files: files.length, violations, notRun }
}

if (import.meta.main) {
  const report = check(dirname(import.meta.dirname))
  if (process.argv.includes("--json")) console.log(JSON.stringify(report, null, 2))
  else {
    for (const { file, line, column, rule, message } of report.violations) {
      console.log(`${file}:${line}:${column}  ${rule}  ${message}`)
    }
    for (const reason of report.notRun) console.log(`not run  ${reason}`)
    console.log(`${report.files} files, ${report.violations.length} violations`)
  }
  if (report.files === 0 || report.violations.length > 0) process.exitCode = 1
}
