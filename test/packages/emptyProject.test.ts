// A user's empty project: the packed packages, the quick start, the examples and a replay suite, as docs/library.md says.
// Needs the npm registry, or a cache that has everything; RSPP_REQUIRE_REGISTRY=1 makes it a failure that it has neither.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { TestContext } from "vitest"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import {
  appendFileSync,
  cpSync,
  globSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync
} from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import type { Tarball } from "../../scripts/build-packages.ts"
import { exportsOf, writeApiDocs } from "../../scripts/generate-api-docs.ts"
import { emptyProject, registryIsAway, tookTooLong } from "./EmptyProject.ts"

const root = dirname(dirname(import.meta.dirname))
const page = readFileSync(join(root, "docs/library.md"), "utf8")
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "gu"))].map(([, code = ""]) => code)
const [install = "", start = "", answer = ""] = blocks("sh")
const [tsconfig = ""] = blocks("json")

const work = mkdtempSync(join(tmpdir(), "rspp-packages-"))
const project = emptyProject()
const at = (...path: ReadonlyArray<string>) => join(project.directory, ...path)
let away: string | undefined

const build = (out: string, ...flags: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, [join(root, "scripts/build-packages.ts"), "--out", join(work, out), ...flags], {
    maxBuffer: 64 * 1024 * 1024
  })

/** Path and content of everything that was built. */
const contentOf = (out: string) => {
  const directory = join(work, out, "packages")
  return globSync("**/*", { cwd: directory }).toSorted().flatMap((path) => {
    const file = join(directory, path)
    if (!statSync(file).isFile()) return []
    const content = readFileSync(file)
    // A file that another test leaves in the tree for a moment makes it no commit for that long.
    const same = path.endsWith("package.json") ? content.toString().replace(/,\s*"gitHead": "\w+"/u, "") : content
    return [`${path} ${createHash("sha256").update(same).digest("hex")}`]
  })
}

/** Runs the lines of a block of the page, each of which must succeed. */
const follow = async (commands: string) => {
  const outputs: Array<string> = []
  for (const command of commands.trim().split("\n")) {
    const { code, output } = await project.run(command)
    assert.strictEqual(code, 0, `${command}\n${output.slice(-4000)}`)
    outputs.push(output)
  }
  return outputs
}

beforeAll(async () => {
  await Promise.all([build("first"), build("second", "--no-pack")])
  cpSync(join(work, "first/tarballs"), at("rspp"), { recursive: true })
  writeFileSync(at("tsconfig.json"), tsconfig)
}, 600_000)

afterAll(async () => {
  for (const path of [work, dirname(project.directory)]) await rm(path, { recursive: true, force: true })
}, 120_000)

describe("The packed packages", () => {
  it("are the same, byte for byte, when they are built again", async () => {
    const first = contentOf("first")
    assert.isAbove(first.length, 1000)
    assert.deepStrictEqual(contentOf("second"), first)
  })

  it("are named with their checksums, and npm would publish each", async () => {
    const index = JSON.parse(readFileSync(at("rspp/index.json"), "utf8")) as ReadonlyArray<Tarball>
    assert.sameMembers(
      index.map(({ name }) => name),
      ["contracts", "runtime", "sql", "control", "timeline", "providers", "transports", "simulation", "cli"].map((
        name
      ) => `@rspp/${name}`)
    )
    for (const { file, sha256 } of index) {
      assert.strictEqual(createHash("sha256").update(readFileSync(at("rspp", file))).digest("hex"), sha256)
    }
    await Promise.all(index.map(async ({ file, name }) => {
      const { code, output } = await project.run(`npm publish --dry-run ./rspp/${file}`)
      assert.strictEqual(code, 0, output)
      assert.include(output, `+ ${name}@`)
    }))
  })
})

describe("The reference", () => {
  it("has every export of every public module", () => {
    const packages = join(work, "first/packages")
    const out = join(work, "first/api")
    writeApiDocs(packages, out)
    let exported = 0
    for (const path of globSync(["contracts/src/**/*.ts", "packages/*/src/**/*.ts"], { cwd: root })) {
      const [, name = "", module = ""] = /([^/]+)\/src\/(.*)\.ts$/u.exec(path) ?? []
      if (/^internal\/|\.worker$|\.d$/u.test(module)) continue
      const names = exportsOf(path, readFileSync(join(root, path), "utf8")).map((one) => one.name)
      if (names.length === 0) continue
      const page = readFileSync(join(out, name, `${module}.md`), "utf8")
      for (const one of names) assert.include(page, `\n## ${one}\n`, path)
      assert.include(readFileSync(join(out, name, "README.md"), "utf8"), `(${module}.md)`)
      exported += names.length
    }
    assert.isAbove(exported, 2000)
  })
})

describe("An empty project", () => {
  beforeAll(async () => {
    const asked = "npm view effect@4.1.0 version --prefer-online"
    for (const command of [asked, ...install.trim().split("\n").filter((line) => line.startsWith("npm"))]) {
      const { code, output } = await project.run(command)
      if (code === 0) continue
      if (code !== tookTooLong && !registryIsAway(output)) assert.fail(`${command}\n${output}`)
      away = `not run: no npm registry can be reached (${command})`
      if (process.env["RSPP_REQUIRE_REGISTRY"] === "1") assert.fail(`${away}\n${output}`)
      return
    }
  }, 600_000)

  const withRegistry = (run: () => Promise<void>) => async (context: TestContext) => {
    if (away !== undefined) context.skip(away)
    await run()
  }

  it(
    "runs the quick start",
    withRegistry(async () => {
      const [demo = ""] = await follow(install.trim().split("\n").at(-1) ?? "")
      assert.include(demo, "executed again: identical")
      assert.notInclude(demo, "ExperimentalWarning")
    })
  )

  it(
    "runs the examples and the replay suite, with a call of the quick start in it",
    withRegistry(async () => {
      const [, promoted = "", suite = ""] = await follow(start)
      assert.include(promoted, "fixtures/demo.timeline")
      // Eleven tests of the examples, and one for the call of the quick start, which was kept as a fixture.
      assert.match(suite, /Tests +12 passed/u)
    })
  )

  it(
    "runs a program of its own",
    withRegistry(async () => {
      cpSync(join(root, "test/recordings/goforward.wav"), at("question.wav"))
      const [said = ""] = await follow(answer)
      assert.match(said, /reply\.wav: the answer, after a call of/u)
      assert.isAbove(statSync(at("reply.wav")).size, 100_000)
    })
  )

  it(
    "is told of a type that is wrong",
    withRegistry(async () => {
      const file = at("agent/agent.ts")
      const text = readFileSync(file, "utf8")
      appendFileSync(file, `export const wrong = takeCall({ session_id: 1 })\n`)
      const { code, output } = await project.run("npx tsc")
      writeFileSync(file, text)
      assert.notStrictEqual(code, 0)
      assert.match(output, /agent\/agent\.ts\(\d+,\d+\): error TS/u)
    })
  )

  it(
    "does not run when a file of a package is missing",
    withRegistry(async () => {
      const file = at("node_modules/@rspp/timeline/dist/format/dictionary-2.bin")
      renameSync(file, `${file}.away`)
      const { code, output } = await project.run("npx rspp replay .rspp/demo-1/call.timeline")
      renameSync(`${file}.away`, file)
      assert.notStrictEqual(code, 0)
      assert.include(output, "dictionary-2.bin")
    })
  )
})
