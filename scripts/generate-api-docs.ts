// Writes the reference of every public module, from the declarations that the packages are published with: `make api-docs`.
//
// dist/api/README.md lists the packages, dist/api/PACKAGE/README.md the modules of one, dist/api/PACKAGE/MODULE.md what a
// module exports: its docstring and its type. `node scripts/generate-api-docs.ts [DIR]`: of the packages built in DIR
// (dist/packages) into DIR/../api. TypeDoc is no choice: it needs a compiler that can be called, which TypeScript 7 is not.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { parse } from "./source-files.ts"
import type { Node } from "./source-files.ts"

/** Something that a module exports. */
export interface Exported {
  readonly name: string
  /** Its docstring, without the marks of a comment; empty if it has none. */
  readonly text: string
  /** The declaration as it is published; empty for what comes from another module. */
  readonly declaration: string
}

/** A declaration that is longer is cut: past that it is inferred, and nobody reads it. */
const maxDeclarationLines = 60

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

const nameOf = (node: unknown): ReadonlyArray<string> => {
  if (!isNode(node)) return []
  const name = node["name"] ?? node["value"]
  return typeof name === "string" ? [name] : []
}

const namesOf = (statement: Node): ReadonlyArray<string> => {
  const declaration = statement["declaration"]
  if (statement.type === "ExportDefaultDeclaration") return ["default"]
  if (isNode(declaration)) {
    const declared = declaration["declarations"]
    return Array.isArray(declared)
      ? declared.flatMap((one: unknown) => (isNode(one) ? nameOf(one["id"]) : []))
      : nameOf(declaration["id"])
  }
  const specifiers = statement["specifiers"]
  return Array.isArray(specifiers)
    ? specifiers.flatMap((one: unknown) => (isNode(one) ? nameOf(one["exported"]) : []))
    : []
}

/** The last docstring of `between`, as text. */
const docstring = (between: string): string => {
  const [, body = ""] = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*$/u.exec(between) ?? []
  return body.replaceAll(/^[ \t]*\*? ?/gmu, "").replaceAll(/\{@link ([^}]+)\}/gu, "`$1`").trim()
}

/** Everything that the declarations `text` of a module export; types and values of one name are one entry. */
export const exportsOf = (path: string, text: string): ReadonlyArray<Exported> => {
  const found = new Map<string, Exported>()
  let before = 0
  for (const statement of parse(path, text).program["body"] as ReadonlyArray<Node>) {
    const end = Number(statement["end"])
    if (statement.type.startsWith("Export")) {
      const doc = docstring(text.slice(before, statement.start))
      const lines = text.slice(statement.start, end).replace(/^export (?:declare )?(?=\w)/u, "").split("\n")
      const cut = lines.length > maxDeclarationLines ? [...lines.slice(0, maxDeclarationLines), "// …"] : lines
      for (const name of namesOf(statement)) {
        const known = found.get(name)
        found.set(name, {
          name,
          text: known === undefined || known.text === "" ? doc : known.text,
          declaration: [...(known === undefined ? [] : [known.declaration]), cut.join("\n")].join("\n\n")
        })
      }
    }
    before = end
  }
  return [...found.values()]
}

/** The public modules of the built package at `directory`: what its `exports` let others import. */
export const publicModules = (directory: string): ReadonlyArray<string> =>
  globSync("dist/**/*.d.ts", { cwd: directory })
    .map((path) => relative("dist", path).replace(/\.d\.ts$/u, ""))
    .filter((path) => !path.startsWith("internal/") && !path.endsWith(".worker"))
    .toSorted()

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
}

const page = (specifier: string, exported: ReadonlyArray<Exported>): string =>
  [
    `# ${specifier}`,
    "",
    ...exported.flatMap(({ declaration, name, text }) => [
      `## ${name}`,
      "",
      ...(text === "" ? [] : [text, ""]),
      "```ts",
      declaration,
      "```",
      ""
    ])
  ].join("\n")

/** Writes the reference of the packages built in `packages` to `out`; how many modules and exports it has. */
export const writeApiDocs = (packages: string, out: string): { readonly modules: number; readonly exports: number } => {
  rmSync(out, { recursive: true, force: true })
  const counts = { modules: 0, exports: 0 }
  const index: Array<string> = ["# The packages of RSPP", ""]
  for (const directory of globSync("*/package.json", { cwd: packages }).map(dirname).toSorted()) {
    const home = join(packages, directory)
    const { description, name, version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Manifest
    const lines = [`# ${name} ${version}`, "", description, ""]
    for (const module of publicModules(home)) {
      const exported = exportsOf(`${module}.d.ts`, readFileSync(join(home, "dist", `${module}.d.ts`), "utf8"))
      if (exported.length === 0) continue
      const file = join(out, directory, `${module}.md`)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, page(`${name}/${module}`, exported))
      lines.push(`- [${module}](${module}.md): ${exported.map((one) => one.name).join(", ")}`)
      counts.modules++
      counts.exports += exported.length
    }
    mkdirSync(join(out, directory), { recursive: true })
    writeFileSync(join(out, directory, "README.md"), `${lines.join("\n")}\n`)
    index.push(`- [${name}](${directory}/README.md): ${description}`)
  }
  writeFileSync(join(out, "README.md"), `${index.join("\n")}\n`)
  return counts
}

if (import.meta.main) {
  const packages = resolve(process.argv[2] ?? join(dirname(import.meta.dirname), "dist/packages"))
  const out = join(dirname(packages), "api")
  const { exports, modules } = writeApiDocs(packages, out)
  console.log(`${relative(process.cwd(), out)}: ${modules} modules, ${exports} exports`)
  if (modules === 0) {
    console.error(`generate-api-docs: nothing is built in ${packages}; run make packages`)
    process.exitCode = 1
  }
}
