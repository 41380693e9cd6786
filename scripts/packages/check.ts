// What is wrong with a package as it would be published: found here, and not by whoever installs it.
import { existsSync, globSync, readFileSync, statSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join, resolve } from "node:path"
import { isRelative, packageOf, parse } from "../source-files.ts"

interface PublishedManifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
}

/** Packages that types come from and that bring no code: the user's own choice, which docs/packages.md tells. */
const typesOnly = ["@types/node"]

const isFile = (path: string) => existsSync(path) && statSync(path).isFile()

/**
 * The faults of the published package at `target`, each in a sentence: a file that is named and not there, a package that
 * is imported and not declared, TypeScript that Node would have to strip (it refuses that under `node_modules`).
 */
export const packageFaults = (target: string): ReadonlyArray<string> => {
  const { dependencies = {}, name } = JSON.parse(
    readFileSync(join(target, "package.json"), "utf8")
  ) as PublishedManifest
  const faults: Array<string> = []
  for (const path of globSync("{bin,dist}/**/*.{js,ts}", { cwd: target }).sort()) {
    const fault = (what: string) => faults.push(`${name}/${path}: ${what}`)
    const declares = path.endsWith(".d.ts")
    if (!declares && path.endsWith(".ts")) fault("is TypeScript, which Node does not run from node_modules")
    const file = join(target, path)
    const { parseError, references } = parse(path, readFileSync(file, "utf8"))
    if (parseError !== undefined) fault(parseError)
    for (const { kind, specifier } of references) {
      const named = resolve(dirname(file), specifier)
      if (isRelative(specifier)) {
        if (declares) {
          if (!isFile(named.replace(/\.js$/u, ".d.ts"))) fault(`names the types of "${specifier}", which are not there`)
        } else if (specifier.endsWith(".ts")) fault(`names "${specifier}", which is TypeScript`)
        else if (kind === "url" ? !existsSync(named) : !isFile(named)) fault(`names "${specifier}", which is not there`)
      } else if (kind === "url") {
        if (!existsSync(named)) fault(`names "${specifier}", which is not there`)
      } else if (!isBuiltin(specifier)) {
        const from = packageOf(specifier)
        if (from !== name && dependencies[from] === undefined && !(declares && typesOnly.includes(from))) {
          fault(`imports ${from}, which is not in its dependencies`)
        }
      }
    }
  }
  for (const path of globSync("dist/**/*.js", { cwd: target })) {
    if (!isFile(join(target, path.replace(/\.js$/u, ".d.ts")))) faults.push(`${name}/${path}: has no types`)
    if (!isFile(join(target, `${path}.map`))) faults.push(`${name}/${path}: has no source map`)
  }
  return faults
}

/** Files of the package at `target` that are not among those that were `packed`. */
export const unpackedFaults = (target: string, name: string, packed: ReadonlyArray<string>): ReadonlyArray<string> => {
  const there = new Set(packed)
  return globSync("**/*", { cwd: target })
    .filter((path) => statSync(join(target, path)).isFile() && !there.has(path))
    .map((path) => `${name}/${path}: is not in the tarball`)
}
