import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Mutant } from "./Mutant.ts"
import { editsOf, planted } from "./Mutant.ts"

/** What the simulated world needs of the repository. */
const copied = ["contracts", "packages/runtime", "packages/control", "packages/timeline", "packages/simulation"]

/** Runs seeds in the copy; it lies there because what it imports is looked up from where it lies. */
export const workerPath = "test/mutants/worker.ts"

/** The named scenarios, which the worker enacts. */
const scenarios = "test/simulation"

/**
 * A copy of the kernel and its world in a directory of its own, in which defects are planted. The packages of others are
 * those of the repository; `@rspp/*` are the copy's.
 */
export class Workshop {
  readonly directory: string

  constructor(repository: string) {
    this.directory = mkdtempSync(join(tmpdir(), "rspp-mutants-"))
    try {
      for (const part of copied) {
        const into = join(this.directory, part)
        cpSync(join(repository, part, "package.json"), join(into, "package.json"))
        cpSync(join(repository, part, "src"), join(into, "src"), { recursive: true })
      }
      cpSync(join(repository, workerPath), join(this.directory, workerPath))
      cpSync(join(repository, scenarios), join(this.directory, scenarios), { recursive: true })
      writeFileSync(join(this.directory, "package.json"), `{ "private": true, "type": "module" }\n`)
      const modules = join(this.directory, "node_modules")
      mkdirSync(join(modules, "@rspp"), { recursive: true })
      for (const name of readdirSync(join(repository, "node_modules"))) {
        if (name === "@rspp" || name.startsWith(".")) continue
        symlinkSync(join(repository, "node_modules", name), join(modules, name))
      }
      for (const part of copied) {
        symlinkSync(join(this.directory, part), join(modules, "@rspp", part.slice(part.lastIndexOf("/") + 1)))
      }
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** Puts the defect in; the returned function takes it out again. Fails with `StaleMutant`, and then changes nothing. */
  plant(mutant: Mutant): () => void {
    const before = new Map<string, string>()
    const after = new Map<string, string>()
    for (const edit of editsOf(mutant)) {
      const path = join(this.directory, edit.file)
      const text = after.get(path) ?? readFileSync(path, "utf8")
      if (!before.has(path)) before.set(path, text)
      after.set(path, planted(mutant.id, edit, text))
    }
    for (const [path, text] of after) writeFileSync(path, text)
    return () => {
      for (const [path, text] of before) writeFileSync(path, text)
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
