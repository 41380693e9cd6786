// Packages of others that travel inside ours, because only files of theirs are read.
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

export interface Bundled {
  readonly name: string
  /** What is taken of it, as patterns. */
  readonly files: ReadonlyArray<string>
}

/**
 * Speech models that are only to be had as part of packages for browsers. Those want, for code that is never loaded here,
 * runtimes of 600 MB, one of which fetches 200 MB more from GitHub and breaks the whole install where it cannot. In this
 * repository `overrides` of package.json keep them away; those count only at the root of a project, so what is published
 * carries the models itself, and asks for nothing else.
 */
export const bundledIn: Readonly<Record<string, ReadonlyArray<Bundled>>> = {
  "@rspp/providers": [
    { name: "@usefulsensors/moonshine-js", files: ["README.md", "dist/model/**/*.*"] },
    { name: "@ricky0123/vad-web", files: ["LICENSE*", "README.md", "dist/silero_vad_v5.onnx"] }
  ]
}

/** What stands in place of the code that was left out. */
const stub = (name: string) =>
  `throw new Error(${
    JSON.stringify(`Only the model files of ${name} come with @rspp/providers; install it to use its code.`)
  })\n`

/** Puts the files of `bundled` into `target/node_modules`, with a package.json that wants nothing else. */
export const bundle = (root: string, target: string, { files, name }: Bundled): void => {
  const from = join(root, "node_modules", name)
  const to = join(target, "node_modules", name)
  const { license, version } = JSON.parse(readFileSync(join(from, "package.json"), "utf8")) as {
    readonly license?: string
    readonly version: string
  }
  const found = globSync([...files], { cwd: from })
  if (found.length < 2) throw new Error(`${name} ${version} has none of ${files.join(", ")}`)
  for (const path of found) {
    mkdirSync(dirname(join(to, path)), { recursive: true })
    cpSync(join(from, path), join(to, path))
  }
  const main = "dist/files-only.js"
  writeFileSync(join(to, main), stub(name))
  const manifest = { name, version, description: "Model files only", license: license ?? "MIT", main, type: "module" }
  writeFileSync(join(to, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
}
