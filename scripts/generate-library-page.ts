// Puts the examples into docs/library.md: behind each mark `<!-- packages/….ts -->` stands that file.
// `node scripts/generate-library-page.ts [--check]`; exit 1 when --check finds that they differ.
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** `page` with what `read` gives for each file that it marks. */
export const withExamples = (page: string, read: (path: string) => string): string =>
  page.replaceAll(
    /<!-- (packages\/\S+\.ts) -->\n(?:\n```ts\n[^]*?\n```\n)?/gu,
    (_all, path: string) => `<!-- ${path} -->\n\n\`\`\`ts\n${read(path).trimEnd()}\n\`\`\`\n`
  )

if (import.meta.main) {
  const root = dirname(import.meta.dirname)
  const file = join(root, "docs/library.md")
  const page = readFileSync(file, "utf8")
  const whole = withExamples(page, (path) => readFileSync(join(root, path), "utf8"))
  if (process.argv.includes("--check")) {
    if (whole !== page) {
      console.log("docs/library.md does not show the examples as they are: node scripts/generate-library-page.ts")
      process.exitCode = 1
    }
  } else writeFileSync(file, whole)
}
