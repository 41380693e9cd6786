// What the compiler emitted moves to where it is published: `src/` becomes `dist/`, and what a file names by its place
// (a worker, a file of data) is named by its new one.
import { cpSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { isRelative, parse } from "../source-files.ts"
import { sortedUnions } from "./unions.ts"

export interface Place {
  /** Root of the repository. */
  readonly root: string
  /** Of the package, from the root of the repository. */
  readonly directory: string
  /** What {@link compile} wrote. */
  readonly emitted: string
  /** Root of the package as it is published. */
  readonly target: string
}

/** Where files of the repository outside of the package's sources are kept in the published package. */
const assetsDirectory = "assets"

const asSpecifier = (path: string): string => path.startsWith(".") ? path : `./${path}`

/**
 * `text` of the emitted file at `path` (in the package), as it is published, and the files that it names there by
 * `new URL(…, import.meta.url)`: path in the repository → path in the published package.
 */
export const renamed = (
  place: Pick<Place, "directory" | "root">,
  path: string,
  text: string
): { readonly text: string; readonly assets: ReadonlyMap<string, string> } => {
  const assets = new Map<string, string>()
  const home = join(place.root, place.directory)
  let result = ""
  let at = 0
  const replace = (start: number, from: string, to: string) => {
    const quoted = text.indexOf(from, start) - 1
    if (quoted < start) throw new Error(`${place.directory}/${path}: "${from}" is not where it was parsed`)
    result += text.slice(at, quoted + 1) + to
    at = quoted + 1 + from.length
  }
  const { parseError, references } = parse(path, text)
  if (parseError !== undefined) throw new Error(`${place.directory}/${path}: ${parseError}`)
  for (const { kind, specifier, start } of references) {
    if (kind !== "url") {
      if (!isRelative(specifier)) continue
      if (relative(home, resolve(home, dirname(path), specifier)).startsWith("..")) {
        throw new Error(`${place.directory}/${path}: "${specifier}" leaves the package`)
      }
      if (/(?<!\.d)\.ts$/u.test(specifier)) replace(start, specifier, specifier.replace(/\.ts$/u, ".js"))
      continue
    }
    const named = resolve(home, dirname(path), specifier)
    const inside = relative(home, named)
    if (inside.startsWith("src/") && inside.endsWith(".ts")) {
      replace(start, specifier, specifier.replace(/\.ts$/u, ".js"))
    } else if (inside.startsWith("src/")) {
      assets.set(relative(place.root, named), inside.replace(/^src/u, "dist"))
    } else if (inside.startsWith("..")) {
      const kept = `${assetsDirectory}/${basename(named)}`
      assets.set(relative(place.root, named), kept)
      const moved = asSpecifier(relative(dirname(path.replace(/^src/u, "dist")), kept))
      replace(start, specifier, specifier.endsWith("/") ? `${moved}/` : moved)
    }
  }
  return { text: result + text.slice(at), assets }
}

/** Moves a package's emitted files to `dist` of its published form, with every file that they name. */
export const relocate = (place: Place): void => {
  const from = join(place.emitted, place.directory)
  for (const path of globSync("src/**/*.{js,js.map,d.ts}", { cwd: from }).sort()) {
    const file = join(place.target, path.replace(/^src/u, "dist"))
    mkdirSync(dirname(file), { recursive: true })
    const text = readFileSync(join(from, path), "utf8")
    if (path.endsWith(".map")) {
      const map = JSON.parse(text) as Record<string, unknown>
      const source = path.replace(/\.js\.map$/u, ".ts")
      writeFileSync(
        file,
        JSON.stringify({
          ...map,
          sourceRoot: "",
          sources: [asSpecifier(relative(dirname(path.replace(/^src/u, "dist")), source))]
        })
      )
      continue
    }
    const published = renamed(place, path, text)
    writeFileSync(file, path.endsWith(".d.ts") ? sortedUnions(path, published.text) : published.text)
    for (const [asset, kept] of published.assets) {
      const source = join(place.root, asset)
      cpSync(source, join(place.target, kept), { recursive: statSync(source).isDirectory() })
    }
  }
  // Declarations that are written by hand are not emitted.
  for (const path of globSync("src/**/*.d.ts", { cwd: join(place.root, place.directory) })) {
    const file = join(place.target, path.replace(/^src/u, "dist"))
    mkdirSync(dirname(file), { recursive: true })
    cpSync(join(place.root, place.directory, path), file)
  }
}
