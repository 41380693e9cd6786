// TypeScript in, JavaScript with types and source maps out: all packages in one program, as they are checked.
import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * Compiles the sources of `directories` (from the root of the repository) below `out`, each at its own path: what was
 * `packages/sql/src/Listening.ts` is `out/packages/sql/src/Listening.js` with `.js.map` and `.d.ts`.
 *
 * One thread: how the compiler writes an inferred union depends on which of its threads came first otherwise, and the same
 * sources must give the same bytes. Fails with the compiler's words when a type is wrong: what does not check is not built.
 */
export const compile = (root: string, directories: ReadonlyArray<string>, out: string): void => {
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const config = join(out, "tsconfig.json")
  const options = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      sourceMap: true,
      inlineSources: true,
      // "./Turn.ts" becomes "./Turn.js" in what is emitted; types keep it, and relocate.ts renames it there.
      rewriteRelativeImportExtensions: true,
      typeRoots: [join(root, "node_modules/@types")],
      rootDir: root,
      outDir: out
    },
    include: directories.map((directory) => join(root, directory, "src/**/*.ts"))
  }
  writeFileSync(config, JSON.stringify(options))
  const compiler = join(root, "node_modules/typescript/bin/tsc")
  const { error, status, stderr, stdout } = spawnSync(process.execPath, [compiler, "-p", config, "--singleThreaded"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  })
  if (error !== undefined || status !== 0) {
    throw new Error(`the sources do not compile:\n${error?.message ?? `${stdout}${stderr}`.trim()}`)
  }
}
