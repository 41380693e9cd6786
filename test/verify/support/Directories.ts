import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

const made: Array<string> = []

/** A directory for one test; all of them are gone after the file's tests. */
export const temporary = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-verify-"))
  made.push(directory)
  return directory
}

afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** What a gate gets that nobody interrupts, and whose progress nobody reads. */
export const quiet = { signal: new AbortController().signal, say: () => {} }
