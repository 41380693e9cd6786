import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"

const repository = fileURLToPath(new URL("../../../../", import.meta.url))

/** What is changed in a copy: a file, a text that it holds, and what takes its place. */
export interface Planted {
  readonly file: string
  readonly find: string
  readonly put: string
}

/**
 * Copies the sources of the program to `directory`, with a defect planted, and gives the path of its `rspp.js`. Packages
 * of others are linked; ours are those of the copy.
 */
export const plantedCopy = (directory: string, { file, find, put }: Planted): string => {
  for (const part of ["packages", "contracts", "package.json"]) {
    cpSync(join(repository, part), join(directory, part), {
      recursive: true,
      filter: (path) => !["node_modules", "test"].includes(basename(path))
    })
  }
  const text = readFileSync(join(directory, file), "utf8")
  if (!text.includes(find)) throw new Error(`${file} does not hold ${JSON.stringify(find)}: plant the defect anew`)
  writeFileSync(join(directory, file), text.replace(find, put))
  const modules = join(directory, "node_modules")
  mkdirSync(join(modules, "@rspp"), { recursive: true })
  for (const name of readdirSync(join(repository, "node_modules"))) {
    if (name !== "@rspp" && !name.startsWith(".")) {
      symlinkSync(join(repository, "node_modules", name), join(modules, name))
    }
  }
  for (const name of readdirSync(join(directory, "packages"))) {
    symlinkSync(join(directory, "packages", name), join(modules, "@rspp", name))
  }
  symlinkSync(join(directory, "contracts"), join(modules, "@rspp", "contracts"))
  return join(directory, "packages/cli/bin/rspp.js")
}
