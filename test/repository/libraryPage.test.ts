import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { withExamples } from "../../scripts/generate-library-page.ts"
import { pageOf, root } from "./support/Page.ts"

const { commands, namesFiles, text } = pageOf("library.md")
const read = (path: string) => readFileSync(join(root, path), "utf8")

describe("docs/library.md", () => {
  it("shows every example as it is", () => {
    assert.isTrue(withExamples(text, read) === text, "run node scripts/generate-library-page.ts")
    for (const path of globSync("packages/*/examples/*.ts", { cwd: root })) assert.include(text, `<!-- ${path} -->`)
  })

  it("has examples that import packages only, and each other", () => {
    for (const path of globSync("packages/*/examples/*.ts", { cwd: root })) {
      for (const [, from = ""] of read(path).matchAll(/ from "([^"]+)"/gu)) {
        assert.notMatch(from, /^\.\.|\/test\/|\/internal\//u, path)
      }
    }
  })

  it("installs the versions that the packages are tested with", () => {
    const lock = JSON.parse(read("package-lock.json")) as {
      readonly packages: Readonly<Record<string, { readonly version?: string }>>
    }
    const named = commands.join(" ").matchAll(/ (@?[a-z][\w/.-]*)@(\d[\d.]*)/gu)
    const versions = [...named].map(([, name = "", version]) => [name, version] as const)
    assert.isAbove(versions.length, 6)
    for (const [name, version] of versions) {
      assert.strictEqual(lock.packages[`node_modules/${name}`]?.version, version, name)
    }
  })

  it("names only files that exist", namesFiles)
})

describe("docs/packages.md", () => {
  const page = pageOf("packages.md")

  it("tells of every package", () => {
    for (const path of ["contracts", ...globSync("packages/*", { cwd: root })]) {
      const { name } = JSON.parse(read(`${path}/package.json`)) as { readonly name: string }
      assert.include(page.text, `| \`${name}\` |`)
    }
  })

  it("names only files that exist", page.namesFiles)
})
