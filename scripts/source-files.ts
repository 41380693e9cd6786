// The sources of the repository as the checks see them: which files there are, whose they are, and what each refers to.
// Parsed with the Oxc parser that Vite brings (TypeScript 7 has no parser to call), never with regular expressions.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"
import { parseSync } from "rolldown/utils"

/** A node of the syntax tree, as a record, because the checks walk all nodes alike. */
export type Node = { readonly type: string; readonly start: number } & Readonly<Record<string, unknown>>

/** How a file names another: only `url` and `resolve` do not load it. */
export type ReferenceKind = "import" | "export" | "dynamic" | "require" | "resolve" | "url"

export interface Reference {
  readonly specifier: string
  readonly kind: ReferenceKind
  readonly typeOnly: boolean
  readonly start: number
}

export interface Manifest {
  readonly name: string
  readonly exports?: Readonly<Record<string, string | null>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export interface Workspace {
  /** The last part of the package's name: `runtime` for `@rspp/runtime`; `root` for the repository itself. */
  readonly name: string
  /** Path from the root of the repository, `/` as separator; empty for the root. */
  readonly directory: string
  readonly manifest: Manifest
}

export interface SourceFile {
  /** Path from the root of the repository, `/` as separator. */
  readonly path: string
  readonly workspace: Workspace
  /** `src` is what ships (a program in `bin` too), `test` everything else. */
  readonly zone: "src" | "test"
  readonly text: string
  readonly program: Node
  readonly references: ReadonlyArray<Reference>
  readonly parseError: string | undefined
}

const posix = (path: string) => path.split(sep).join("/")

const readManifest = (root: string, directory: string): Manifest | undefined => {
  const file = join(root, directory, "package.json")
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) as Manifest : undefined
}

/** The workspaces of the repository at `root`, the root itself last. */
export const workspaces = (root: string): ReadonlyArray<Workspace> => {
  const packages = join(root, "packages")
  const directories = [
    "contracts",
    ...(existsSync(packages) ? readdirSync(packages).sort() : []).map((name) => `packages/${name}`),
    ""
  ]
  return directories.flatMap((directory) => {
    const manifest = readManifest(root, directory)
    if (manifest === undefined) return []
    const name = directory === "" ? "root" : manifest.name.slice(manifest.name.indexOf("/") + 1)
    return [{ name, directory, manifest }]
  })
}

const isSource = (name: string) => /\.(?:ts|mts|js|mjs|cjs)$/u.test(name)

const walkFiles = (directory: string): ReadonlyArray<string> =>
  existsSync(directory)
    ? readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.name === "node_modules" || entry.name.startsWith(".")
        ? []
        : entry.isDirectory()
        ? walkFiles(join(directory, entry.name))
        : isSource(entry.name)
        ? [join(directory, entry.name)]
        : []
    )
    : []

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"

/** Calls `visit` for `node` and all below it, parents first; what `visit` answers with `false` is not entered. */
export const walk = (
  node: Node,
  visit: (node: Node, parent: Node | undefined, key: string) => boolean | void,
  parent?: Node,
  key = ""
): void => {
  if (visit(node, parent, key) === false) return
  for (const [name, value] of Object.entries(node)) {
    if (isNode(value)) walk(value, visit, node, name)
    else if (Array.isArray(value)) { for (const item of value) if (isNode(item)) walk(item, visit, node, name) }
  }
}

const literal = (value: unknown): string | undefined =>
  isNode(value) && value.type === "Literal" && typeof value["value"] === "string" ? value["value"] : undefined

/** `require`, or the `createRequire(…)` that makes one. */
const isRequire = (node: unknown): boolean =>
  isNode(node)
  && (node["name"] === "require"
    || (node.type === "CallExpression" && isNode(node["callee"]) && node["callee"]["name"] === "createRequire"))

const isMember = (node: unknown, object: "require" | "import.meta", property: string): boolean =>
  isNode(node) && node.type === "MemberExpression"
  && isNode(node["property"]) && node["property"]["name"] === property
  && isNode(node["object"])
  && (object === "require" ? isRequire(node["object"]) : node["object"].type === "MetaProperty")

/** What `node` refers to, if it is one of the ways to name another module or file with a literal. */
const referenceOf = (node: Node): Reference | undefined => {
  const make = (specifier: string | undefined, kind: ReferenceKind, typeOnly = false) =>
    specifier === undefined ? undefined : { specifier, kind, typeOnly, start: node.start }
  switch (node.type) {
    case "ImportDeclaration":
      return make(literal(node["source"]), "import", node["importKind"] === "type")
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return make(literal(node["source"]), "export", node["exportKind"] === "type")
    case "ImportExpression":
      return make(literal(node["source"]), "dynamic")
    case "TSImportType":
      return make(literal(node["argument"]) ?? literal(node["source"]), "import", true)
    case "NewExpression": {
      const [path, base] = node["arguments"] as ReadonlyArray<unknown>
      const isUrl = isNode(node["callee"]) && node["callee"]["name"] === "URL"
      return isUrl && isMember(base, "import.meta", "url") ? make(literal(path), "url") : undefined
    }
    case "CallExpression": {
      const callee = node["callee"]
      const [argument] = node["arguments"] as ReadonlyArray<unknown>
      if (isMember(callee, "import.meta", "resolve") || isMember(callee, "require", "resolve")) {
        return make(literal(argument), "resolve")
      }
      return isRequire(callee) ? make(literal(argument), "require") : undefined
    }
    default:
      return undefined
  }
}

/** Parses one file. A file that does not parse has an empty program and says why. */
export const parse = (path: string, text: string): Pick<SourceFile, "program" | "references" | "parseError"> => {
  const result = parseSync(path, text)
  const program = result.program as unknown as Node
  const references: Array<Reference> = []
  walk(program, (node) => {
    const reference = referenceOf(node)
    if (reference !== undefined) references.push(reference)
  })
  return { program, references, parseError: result.errors[0]?.message }
}

/** Every source file of the repository at `root`, in a fixed order. */
export const sourceFiles = (root: string): ReadonlyArray<SourceFile> =>
  workspaces(root).flatMap((workspace) => {
    const folders = workspace.directory === "" ? ["scripts", "test"] : [workspace.directory]
    const top = workspace.directory === "" ? readdirSync(root).filter(isSource).map((name) => join(root, name)) : []
    return [...top, ...folders.flatMap((folder) => walkFiles(join(root, folder)))].map((file): SourceFile => {
      const path = posix(relative(root, file))
      const text = readFileSync(file, "utf8")
      const inside = path.slice(workspace.directory.length + 1)
      const zone = workspace.directory !== "" && /^(?:src|bin)\//u.test(inside) ? "src" : "test"
      return { path, workspace, zone, text, ...parse(path, text) }
    })
  })

/** Line and column, counted from 1, of position `start` in `text`. */
export const lineAndColumn = (text: string, start: number): { readonly line: number; readonly column: number } => {
  const before = text.slice(0, start).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** The name of the package that a bare specifier names: `@x/y` of `@x/y/z`, `a` of `a/b`. */
export const packageOf = (specifier: string): string => {
  const parts = specifier.split("/")
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0] ?? specifier
}

export const isRelative = (specifier: string): boolean => specifier.startsWith("./") || specifier.startsWith("../")

/** Path from the root of what `specifier` names in the file at `path`; none for packages that are not ours. */
export const target = (path: string, specifier: string, all: ReadonlyArray<Workspace>): string | undefined => {
  if (isRelative(specifier)) return posix(relative("/", resolve("/", dirname(path), specifier)))
  const workspace = all.find(({ manifest }) => manifest.name === packageOf(specifier))
  if (workspace === undefined || !specifier.startsWith("@rspp/")) return undefined
  return `${workspace.directory}/src/${specifier.slice(workspace.manifest.name.length + 1)}.ts`
}
