import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { check, type Report } from "../../scripts/check-walls.ts"

const repository = dirname(dirname(import.meta.dirname))
const directories: Array<string> = []

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

const packages = [
  "contracts",
  ...["cli", "control", "providers", "runtime", "timeline", "transports"].map((name) => `packages/${name}`)
]

/** A small repository with the real manifests in which no wall is broken, plus `files`, checked. */
const checkWith = (files: Readonly<Record<string, string>>): Report => {
  const root = mkdtempSync(join(tmpdir(), "rspp-walls-"))
  directories.push(root)
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  for (const directory of ["", ...packages]) {
    mkdirSync(join(root, directory), { recursive: true })
    cpSync(join(repository, directory, "package.json"), join(root, directory, "package.json"))
  }
  const clean = {
    "contracts/src/Turn.ts": `import * as Schema from "effect/Schema"\nexport const Turn = Schema.String\n`,
    "contracts/src/JsonSchema.ts": `export const text = "only the generator needs this"\n`,
    "scripts/generate-schema.ts": `import { text } from "@rspp/contracts/JsonSchema"\nconsole.log(text)\n`,
    "packages/runtime/src/Session.ts": `import { Turn } from "@rspp/contracts/Turn"\nexport const session = Turn\n`,
    "packages/timeline/src/Recorder.ts":
      `import { session } from "@rspp/runtime/Session"\nexport const recorder = session\n`,
    "packages/transports/src/echo.worker.ts": `export const echo = 1\n`,
    "packages/transports/src/Loopback.ts":
      `import { session } from "@rspp/runtime/Session"\nexport const loopback = [session, new URL("./echo.worker.ts", import.meta.url)]\n`,
    "packages/cli/bin/rspp.js": `import("../src/main.ts")\n`,
    "packages/cli/src/main.ts":
      `import { recorder } from "@rspp/timeline/Recorder"\nconst later = () => import("@rspp/transports/Loopback")\nconsole.log(recorder, later)\n`
  }
  for (const [path, text] of Object.entries({ ...clean, ...files })) write(path, text)
  return check(root)
}

/** `file rule` of each violation. */
const found = (files: Readonly<Record<string, string>>) => {
  const { notRun, violations } = checkWith(files)
  expect(notRun).toEqual([])
  return violations.map(({ file, rule }) => `${file} ${rule}`)
}

/** A main program that also imports `specifier`, so that what is planted there is reachable. */
const mainWith = (...specifiers: ReadonlyArray<string>) =>
  [
    `import { recorder } from "@rspp/timeline/Recorder"`,
    ...specifiers.map((specifier) => `import "${specifier}"`),
    `const later = () => import("@rspp/transports/Loopback")`,
    `console.log(recorder, later)`
  ].join("\n")

const inSession = (code: string) => ({
  "packages/runtime/src/Session.ts":
    `import { Turn } from "@rspp/contracts/Turn"\nexport const session = Turn\n${code}\n`
})

describe("walls between packages", () => {
  it("finds nothing in a repository that keeps them", () => {
    expect(found({})).toEqual([])
  })

  it.each([
    ["contracts/src/Turn.ts", `import { session } from "@rspp/runtime/Session"`, "wall"],
    ["contracts/src/Turn.ts", `import { parse } from "yaml"`, "wall"],
    ["packages/runtime/src/Session.ts", `import type { x } from "@rspp/control/Lease"`, "wall"],
    ["packages/runtime/src/Session.ts", `import { parse } from "yaml"`, "wall"],
    ["packages/runtime/src/Session.ts", `import { Session } from "@rspp/runtime/Session"`, "wall"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "@rspp/providers/Catalog"`, "wall"],
    ["packages/timeline/src/Recorder.ts", `export { x } from "@rspp/simulation/World"`, "wall"],
    ["packages/transports/src/Loopback.ts", `const x = import("@rspp/timeline/Recorder")`, "wall"],
    ["packages/runtime/src/Session.ts", `import { readFileSync } from "node:fs"`, "node-api"],
    ["contracts/src/Turn.ts", `const x = () => import("node:fs")`, "node-api"],
    ["packages/timeline/src/Recorder.ts", `import { readFileSync } from "fs"`, "node-api"],
    ["packages/runtime/src/Session.ts", `const provider = "embedded/moonshine"`, "vendor"],
    ["packages/runtime/src/Session.ts", "const url = `https://api.openai.com/v1`", "vendor"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "effect/unstable/sql"`, "unstable"],
    ["packages/timeline/src/Recorder.ts", `import { parse } from "yaml"`, "undeclared"],
    ["packages/timeline/src/Recorder.ts", `import { it } from "vitest"`, "undeclared"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "@rspp/runtime/internal/Secret"`, "internal"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "../../runtime/src/Session.ts"`, "relative"],
    ["packages/timeline/src/Recorder.ts", `const x = new URL("../../cli/src/main.ts", import.meta.url)`, "relative"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "../test/support.ts"`, "relative"],
    ["packages/timeline/src/Recorder.ts", `import { x } from "https://example.org/x.ts"`, "relative"],
    ["packages/timeline/src/Recorder.ts", `const x: = 1`, "parse"]
  ])("%s may not hold %s", (path, code, rule) => {
    const original = path === "packages/timeline/src/Recorder.ts"
      ? `import { session } from "@rspp/runtime/Session"\nexport const recorder = session\n`
      : path === "packages/transports/src/Loopback.ts"
      ? `export const loopback = new URL("./echo.worker.ts", import.meta.url)\n`
      : path === "packages/runtime/src/Session.ts"
      ? `import { Turn } from "@rspp/contracts/Turn"\nexport const session = Turn\n`
      : `export const Turn = 1\n`
    const broken = found({
      [path]: `${original}${code}\n`,
      "packages/timeline/test/support.ts": "export const x = 1\n"
    })
    expect(broken.filter((line) => !line.endsWith(" unreachable"))).toEqual([`${path} ${rule}`])
  })

  it("lets tests use other packages and tools, but not reach into them by path", () => {
    expect(found({
      "packages/timeline/test/a.test.ts":
        `import { it } from "vitest"\nimport { x } from "@rspp/control/Lease"\nimport "../src/Recorder.ts"\nimport "node:fs"\n`,
      "test/e2e/b.test.ts":
        `import { it } from "vitest"\nimport { x } from "@rspp/simulation/World"\nimport "../support/c.ts"\n`
    })).toEqual([])
    expect(found({
      "packages/timeline/test/a.test.ts": `import { it } from "mocha"\nimport "../../runtime/src/Session.ts"\n`,
      "test/e2e/b.test.ts": `import "../../packages/runtime/src/Session.ts"\n`
    })).toEqual([
      "packages/timeline/test/a.test.ts undeclared",
      "packages/timeline/test/a.test.ts relative",
      "test/e2e/b.test.ts relative"
    ])
  })

  it("finds barrels by name, by star, and by content", () => {
    expect(found({
      "packages/timeline/src/index.ts": `export const x = 1\n`,
      "packages/timeline/src/All.ts": `export * from "./Recorder.ts"\nexport const x = 1\n`,
      "packages/timeline/src/Some.ts": `export { recorder } from "./Recorder.ts"\n`,
      "packages/cli/src/main.ts": mainWith("@rspp/timeline/index", "@rspp/timeline/All", "@rspp/timeline/Some")
    })).toEqual([
      "packages/timeline/src/All.ts barrel",
      "packages/timeline/src/Some.ts barrel",
      "packages/timeline/src/index.ts barrel"
    ])
  })

  it("finds a file that only a test reaches, and a file that nothing reaches", () => {
    expect(found({
      "packages/timeline/src/Store.ts": `export const store = 1\n`,
      "packages/timeline/src/Idle.ts": `import "./Store.ts"\n`,
      "packages/timeline/test/store.test.ts": `import "../src/Store.ts"\n`,
      "contracts/src/Nobody.ts": `export const nobody = 1\n`
    })).toEqual([
      "contracts/src/Nobody.ts unreachable",
      "packages/timeline/src/Idle.ts unreachable",
      "packages/timeline/src/Store.ts unreachable"
    ])
  })

  it("says so when there is no program to start from, and does not call that a pass", () => {
    const empty = mkdtempSync(join(tmpdir(), "rspp-walls-"))
    directories.push(empty)
    expect(check(empty)).toEqual({
      files: 0,
      violations: [],
      notRun: ["unreachable: packages/cli/src/main.ts does not exist"]
    })
  })

  it("finds a package without a wall, with a door to its internals, or with a barrel in its exports", () => {
    const manifest = JSON.stringify({ name: "@rspp/extras", exports: { ".": "./src/main.ts" } })
    expect(found({ "packages/extras/package.json": manifest })).toEqual([
      "packages/extras/package.json exports",
      "packages/extras/package.json exports",
      "packages/extras/package.json exports"
    ])
  })
})

describe("banned globals in kernel code", () => {
  it.each([
    ["const a = Date.now()", "Date"],
    ["const a = new Date()", "Date"],
    ["const a = performance.now()", "performance"],
    ["const a = Math.random()", "Math.random"],
    ["const a = Math[\"random\"]()", "Math.random"],
    ["const { random } = Math", "Math.random"],
    ["setTimeout(() => 1, 10)", "setTimeout"],
    ["const later = setInterval", "setInterval"],
    ["setImmediate(() => 1)", "setImmediate"],
    ["queueMicrotask(() => 1)", "queueMicrotask"],
    ["const a = new Promise<void>((resolve) => resolve())", "Promise"],
    ["const a = Promise.all([])", "Promise"],
    ["const a = async () => 1", "async"],
    ["const a = crypto.randomUUID()", "crypto"],
    ["const a = process.env", "process"],
    ["console.log(1)", "console"],
    ["const a = globalThis", "globalThis"],
    ["const a = { now: Date.now }", "Date"],
    ["const a = { performance }", "performance"],
    ["const a = (x: number, now = Date.now) => x", "Date"],
    ["const a = (Date as unknown as () => number)()", "Date"],
    ["class A { now = performance.now() }", "performance"]
  ])("finds %s", (code, name) => {
    const { violations } = checkWith(inSession(code))
    expect(violations).toMatchObject([{ file: "packages/runtime/src/Session.ts", line: 3, rule: "banned-global" }])
    expect(violations[0]?.message).toMatch(`\`${name}\` in kernel code: `)
    expect(violations[0]?.message.length).toBeGreaterThan(`\`${name}\` in kernel code: `.length + 20)
  })

  it.each([
    "const a = (x: Date): Promise<void> | undefined => undefined",
    "const a = { process: 1, Date: 2 }.process",
    "const a = (x: { console: number }) => x.console",
    "const a = Math.max(1, 2)",
    "// Date.now() would be wrong here",
    "const a = \"Date.now()\"",
    "interface A { readonly performance: number }",
    "class A { readonly process = 1; fetch() { return this.process } }"
  ])("leaves alone %s", (code) => {
    expect(found(inSession(code))).toEqual([])
  })

  it("looks at the replayer, and not at the rest of the timeline package or at other packages", () => {
    expect(found({
      "packages/timeline/src/replay/Replayer.ts": "export const a = Date.now()\n",
      "packages/timeline/src/Writer.ts": "export const a = Date.now()\n",
      "packages/cli/src/main.ts": mainWith("@rspp/timeline/replay/Replayer", "@rspp/timeline/Writer")
    })).toEqual(["packages/timeline/src/replay/Replayer.ts banned-global"])
  })
})

describe("this repository", () => {
  it("has every rule of the script planted above", () => {
    const rules = readFileSync(join(repository, "scripts/check-walls.ts"), "utf8").matchAll(
      /(?:add\(|rule: )"([a-z-]+)"/gu
    )
    const planted = readFileSync(import.meta.filename, "utf8")
    const missing = [...new Set([...rules].map(([, rule]) => rule ?? ""))].filter((rule) =>
      !new RegExp(`[ "]${rule}"`, "u").test(planted)
    )
    expect(missing).toEqual([])
  })
})
