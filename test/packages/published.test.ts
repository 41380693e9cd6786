// What the build of the packages does to a file, and what it refuses to publish. The packages themselves: emptyProject.test.ts.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { bundledIn } from "../../scripts/packages/bundled.ts"
import { compile } from "../../scripts/packages/compile.ts"
import { packageFaults, unpackedFaults } from "../../scripts/packages/check.ts"
import { oldestNode, publishedManifest } from "../../scripts/packages/manifest.ts"
import { renamed } from "../../scripts/packages/relocate.ts"
import { sortedUnions } from "../../scripts/packages/unions.ts"
import { exportsOf } from "../../scripts/generate-api-docs.ts"
import { registryIsAway } from "./EmptyProject.ts"

const root = dirname(dirname(import.meta.dirname))
const read = (path: string) => readFileSync(join(root, path), "utf8")

/** A published package of these files, and what is wrong with it. */
const faultsOf = (files: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-published-"))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true })
      writeFileSync(join(directory, path), text)
    }
    return packageFaults(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const whole = {
  "package.json": JSON.stringify({ name: "@rspp/mine", dependencies: { effect: "4.1.0" } }),
  "dist/A.js": `import * as Effect from "effect/Effect"\nimport { b } from "./B.js"\nexport const a = b\n`,
  "dist/A.js.map": "{}",
  "dist/A.d.ts": `import { b } from "./B.js"\nexport declare const a: typeof b\n`,
  "dist/B.js": `export const b = new URL("./data.bin", import.meta.url)\n`,
  "dist/B.js.map": "{}",
  "dist/B.d.ts": "export declare const b: URL\n",
  "dist/data.bin": "data"
}

describe("A package as it would be published", () => {
  it("has no fault when it is whole", () => {
    assert.deepStrictEqual(faultsOf(whole), [])
  })

  it.each([
    ["dist/B.js", /dist\/A\.js: names "\.\/B\.js", which is not there/u],
    ["dist/B.d.ts", /dist\/A\.d\.ts: names the types of "\.\/B\.js"/u],
    ["dist/data.bin", /dist\/B\.js: names "\.\/data\.bin", which is not there/u],
    ["dist/A.js.map", /dist\/A\.js: has no source map/u]
  ])("is refused without %s", (missing, said) => {
    const { [missing as keyof typeof whole]: _, ...rest } = whole
    assert.match(faultsOf(rest).join("\n"), said)
  })

  it.each([
    ["import type stripping would be needed for", `import "./B.ts"\n`, /names "\.\/B\.ts", which is TypeScript/u],
    [
      "an import of a package that is not declared",
      `import "yaml"\n`,
      /imports yaml, which is not in its dependencies/u
    ]
  ])("is refused with %s", (_what, text, said) => {
    assert.match(faultsOf({ ...whole, "dist/A.js": text }).join("\n"), said)
  })

  it("is refused when npm leaves a file of it out", () => {
    assert.deepStrictEqual(unpackedFaults(join(root, "contracts/pipelines"), "mine", ["screened.yaml"]), [
      "mine/assistant.json: is not in the tarball",
      "mine/two-models.yaml: is not in the tarball"
    ])
  })

  it("has no tests, tools or sources of ours in its manifest", () => {
    const source = {
      name: "@rspp/mine",
      version: "1.2.3",
      description: "Mine",
      license: "Apache-2.0",
      private: true,
      devDependencies: { ajv: "8.20.0" },
      dependencies: { effect: "4.1.0" }
    }
    const manifest = publishedManifest(source, {
      directory: "packages/mine",
      root: {},
      commit: "0123456789abcdef",
      bundled: [],
      has: (name) => name === "examples"
    })
    assert.deepStrictEqual(manifest, {
      name: "@rspp/mine",
      version: "1.2.3",
      description: "Mine",
      license: "Apache-2.0",
      type: "module",
      engines: { node: ">=22.19" },
      exports: {
        "./package.json": "./package.json",
        "./internal/*": null,
        "./*": { types: "./dist/*.d.ts", default: "./dist/*.js" }
      },
      files: ["dist", "examples", "NOTICE"],
      publishConfig: { access: "public" },
      dependencies: { effect: "4.1.0" },
      gitHead: "0123456789abcdef"
    })
    assert.include(read("packages/cli/bin/rspp.js"), `const oldest = [${oldestNode.replace(".", ", ")}]`)
  })

  it("carries what our own overrides keep away from an install in the repository", () => {
    const { overrides } = JSON.parse(read("package.json")) as { readonly overrides: Readonly<Record<string, unknown>> }
    const { dependencies } = JSON.parse(read("packages/providers/package.json")) as {
      readonly dependencies: Readonly<Record<string, string>>
    }
    const bundled = (bundledIn["@rspp/providers"] ?? []).map(({ name }) => name)
    for (const name of bundled) assert.property(dependencies, name)
    // Those that the bundled packages would bring; the rest is told on docs/packages.md.
    const kept = ["onnxruntime-web", "@huggingface/transformers", "@usefulsensors/moonshine-js"]
    const told = Object.keys(overrides).filter((name) => !kept.includes(name))
    for (const name of told) assert.include(read("docs/packages.md"), `"${name}"`)
  })
})

describe("A file on its way into a package", () => {
  const place = { root: "/repository", directory: "packages/mine" }

  it("names workers as JavaScript, and takes along what it names", () => {
    const text = [
      `new Worker(new URL("./deep/a.worker.ts", import.meta.url))`,
      `readFileSync(new URL("data.bin", import.meta.url))`,
      `const sounds = new URL("../../../test/recordings/", import.meta.url)`
    ].join("\n")
    const { assets, text: published } = renamed(place, "src/Mine.js", text)
    assert.strictEqual(
      published,
      text.replace("worker.ts", "worker.js").replace("../../../test/recordings/", "../assets/recordings/")
    )
    assert.deepStrictEqual([...assets], [
      ["packages/mine/src/data.bin", "dist/data.bin"],
      ["test/recordings", "assets/recordings"]
    ])
  })

  it("may not import what is outside of its package", () => {
    assert.throws(() => renamed(place, "src/Mine.js", `import "../../other/src/Other.js"`), "leaves the package")
  })

  it("has the members of each union in one order, whatever order they were met in", () => {
    const one = `export declare const a: Box<"b" | "a"> | undefined | Map<string, Box<2 | 1>> | (() => void | 1);\n`
    const other = `export declare const a: (() => 1 | void) | Map<string, Box<1 | 2>> | undefined | Box<"a" | "b">;\n`
    const sorted = `export declare const a: (() => 1 | void) | Box<"a" | "b"> | Map<string, Box<1 | 2>> | undefined;\n`
    assert.deepStrictEqual([sortedUnions("a.d.ts", one), sortedUnions("a.d.ts", other)], [sorted, sorted])
  })
})

describe("Sources", () => {
  it.each([
    ["are compiled, with types and a source map", "export const one: number = 1\n", undefined],
    ["are refused when a type is wrong", `export const one: number = "1"\n`, /error TS2322/u]
  ])("%s", (_what, text, said) => {
    const directory = mkdtempSync(join(tmpdir(), "rspp-sources-"))
    try {
      mkdirSync(join(directory, "packages/mine/src"), { recursive: true })
      writeFileSync(join(directory, "packages/mine/src/One.ts"), text)
      writeFileSync(join(directory, "package.json"), `{ "type": "module" }`)
      writeFileSync(join(directory, "tsconfig.json"), read("tsconfig.json"))
      symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
      const out = join(directory, "out")
      if (said !== undefined) return assert.throws(() => compile(directory, ["packages/mine"], out), said)
      compile(directory, ["packages/mine"], out)
      for (const end of [".js", ".js.map", ".d.ts"]) assert.isTrue(existsSync(join(out, `packages/mine/src/One${end}`)))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe("An install that fails", () => {
  it.each([
    ["for want of a registry", "npm error code ECONNREFUSED\nnpm error syscall connect", true],
    [
      "for want of what an install script wants",
      "npm error code 1\nnpm error Error: getaddrinfo ENOTFOUND github.com",
      false
    ],
    ["for want of a certificate of the machine's proxy", "npm error code SELF_SIGNED_CERT_IN_CHAIN", true],
    ["for a package that is not there", "npm error code E404", false]
  ])("%s", (_what, output, away) => {
    assert.strictEqual(registryIsAway(output), away)
  })
})

describe("The reference of a module", () => {
  it("has each export with its docstring, types and values of one name together", () => {
    const text = [
      "/** Not its own. */",
      `import { c } from "./C.js"`,
      "/**",
      " * How long, in ms: see {@link b}.",
      " */",
      "export declare const a: number",
      "export interface a {}",
      "export { c as b }"
    ].join("\n")
    assert.deepStrictEqual(exportsOf("a.d.ts", text), [
      { name: "a", text: "How long, in ms: see `b`.", declaration: "const a: number\n\ninterface a {}" },
      { name: "b", text: "", declaration: "export { c as b }" }
    ])
  })
})
