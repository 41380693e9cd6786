import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Edit } from "../../mutants/Mutant.ts"
import { planted } from "../../mutants/Mutant.ts"

/** The repository. */
export const root = dirname(dirname(dirname(import.meta.dirname)))

const files = ["package.json", "package-lock.json", "tsconfig.json", "vitest.workspace.ts"]
const folders = ["scripts", "test/simulation", "test/support", "test/mutants"]

/** A copy of the sources in a directory of its own, for violations. The packages of others are those of the repository. */
export class RepositoryCopy {
  readonly root = mkdtempSync(join(tmpdir(), "rspp-verify-copy-"))

  constructor() {
    for (const file of files) cpSync(join(root, file), join(this.root, file))
    for (const folder of folders) cpSync(join(root, folder), join(this.root, folder), { recursive: true })
    const modules = join(this.root, "node_modules")
    mkdirSync(join(modules, "@rspp"), { recursive: true })
    for (const name of readdirSync(join(root, "node_modules"))) {
      if (name !== "@rspp") symlinkSync(join(root, "node_modules", name), join(modules, name))
    }
    const packages = ["contracts", ...readdirSync(join(root, "packages")).map((name) => `packages/${name}`)]
    for (const directory of packages) {
      for (const part of ["package.json", "src", "bin", "examples", "assets"]) {
        const from = join(root, directory, part)
        if (existsSync(from)) cpSync(from, join(this.root, directory, part), { recursive: true })
      }
      const own = join(root, directory, "node_modules")
      if (existsSync(own)) symlinkSync(own, join(this.root, directory, "node_modules"))
      symlinkSync(join(this.root, directory), join(modules, "@rspp", directory.slice(directory.lastIndexOf("/") + 1)))
    }
  }

  /** Puts a defect in. It must fit in exactly one place. */
  plant(id: string, edit: Edit): void {
    const file = join(this.root, edit.file)
    writeFileSync(file, planted(id, edit, readFileSync(file, "utf8")))
  }

  write(path: string, text: string): void {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}
