import { assert } from "vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { rspp } from "../../support/Program.ts"
import type { Ended } from "../../support/Program.ts"

/** The repository. */
export const root = dirname(dirname(dirname(import.meta.dirname)))

/** A page of `docs/`, and what a test holds against the program. */
export interface Page {
  readonly text: string
  /** The code in it of this language, block by block. */
  readonly blocks: (language: string) => ReadonlyArray<string>
  /** The lines of its `sh` blocks. */
  readonly commands: ReadonlyArray<string>
  /** Every file that it links to is there. */
  readonly namesFiles: () => void
}

export const pageOf = (name: string): Page => {
  const text = readFileSync(join(root, "docs", name), "utf8")
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "gu"))].map(([, code = ""]) => code)
  return {
    text,
    blocks,
    commands: blocks("sh").flatMap((block) => block.trimEnd().split("\n")),
    namesFiles: () => {
      for (const [, path = ""] of text.matchAll(/\]\(([^)#:]+)\)/gu)) {
        assert.isTrue(existsSync(join(root, "docs", path)), `it names ${path}`)
      }
    }
  }
}

/** Runs a line `npx rspp … # exit N` as a shell would, and holds its exit code against what the line says; 0 if nothing. */
export const endsAsItSays = async (
  cwd: string,
  line: string
): Promise<Ended & { readonly args: ReadonlyArray<string> }> => {
  const [command = "", comment = ""] = line.split(" # ")
  const [npx, program, ...words] = command.split(" ")
  assert.deepStrictEqual([npx, program], ["npx", "rspp"])
  const args = words.flatMap((word) => word.includes("*") ? globSync(word, { cwd }).toSorted() : [word])
  const ended = await rspp(cwd, ...args)
  assert.strictEqual(ended.code, Number(/exit ([0-9]+)/u.exec(comment)?.[1] ?? 0), `${line}\n${ended.stderr}`)
  return { ...ended, args }
}
