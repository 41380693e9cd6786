// docs/README.md names every page of the folder, no page links to what is not there, and what concepts.md says of
// guarantees is on docs/guarantees.md.
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "./support/Page.ts"

const read = (path: string) => readFileSync(join(root, path), "utf8")
const pages = globSync("docs/**/*.md", { cwd: root }).sort()

/** The anchors that GitHub makes of a page's headings. */
const anchorsOf = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.matchAll(/^#+ (.+)$/gmu)].map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
    )
  )

/** Links of a page outside of its code, with their anchors. */
const linksOf = (text: string): ReadonlyArray<readonly [path: string, anchor: string]> =>
  [...text.replaceAll(/^```[^]*?^```/gmu, "").matchAll(/\]\(([^)\s]*)\)/gu)]
    .map(([, link = ""]) => link.split("#"))
    .filter(([path = ""]) => !/^[a-z]+:/u.test(path))
    .map(([path = "", anchor = ""]) => [path, anchor] as const)

/** What is wrong with the links of a page. */
const broken = (page: string, text: string): ReadonlyArray<string> =>
  linksOf(text).flatMap(([path, anchor]) => {
    const target = path === "" ? page : join(dirname(page), path)
    if (path !== "" && !existsSync(join(root, target))) return [`${page}: ${path} is not there`]
    if (anchor === "" || !target.endsWith(".md")) return []
    return anchorsOf(path === "" ? text : read(target)).has(anchor) ? [] : [`${page}: ${path}#${anchor} is no heading`]
  })

describe("the docs folder", () => {
  it("has an index that names each page", () => {
    const index = read("docs/README.md")
    const missing = pages.filter((page) => dirname(page) === "docs" && page !== "docs/README.md").filter((page) =>
      !index.includes(`](${page.slice("docs/".length)})`)
    )
    expect(missing).toEqual([])
  })

  it("has links that lead somewhere, from the README too", () => {
    expect([...pages, "README.md", "DESIGN.md"].flatMap((page) => broken(page, read(page)))).toEqual([])
  })

  it("finds a link that leads nowhere", () => {
    expect(
      broken("docs/x.md", "# A head\n[a](#a-head) [b](#none) [c](none.md) [d](concepts.md#turn) [e](concepts.md#none)")
    )
      .toEqual([
        "docs/x.md: #none is no heading",
        "docs/x.md: none.md is not there",
        "docs/x.md: concepts.md#none is no heading"
      ])
  })

  it("explains its words by guarantees that there are", () => {
    const guarantees = read("docs/guarantees.md")
    const named = [...read("docs/concepts.md").matchAll(/`(I-[A-Z-]+)`/gu)].map(([, id = ""]) => id)
    expect(named.length).toBeGreaterThan(12)
    expect(named.filter((id) => !guarantees.includes(`| \`${id}\` |`))).toEqual([])
  })
})
