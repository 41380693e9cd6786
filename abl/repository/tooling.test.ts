import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { unusedFaults, versionFaults } from "../../scripts/check-dependencies.ts"
import { countTests, judgeEffects } from "../../scripts/check.ts"
import { complete, type Lock } from "../../scripts/complete-lock.ts"
import { parse, type Workspace } from "../../scripts/source-files.ts"

const repository = dirname(dirname(import.meta.dirname))
const directories: Array<string> = []

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

const temporary = () => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-tooling-"))
  directories.push(directory)
  return directory
}

/** The programs that install.sh may count on, by name; `node` and `npm` are added by each test. */
const basics = [
  "awk",
  "cat",
  "cksum",
  "cut",
  "date",
  "dirname",
  "du",
  "mktemp",
  "rm",
  "sed",
  "sh",
  "sleep",
  "touch",
  "mkdir"
]

const findProgram = (name: string) =>
  spawnSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim()

/** A repository with one package to install, and a PATH that holds the basics and the given programs, as shell scripts. */
const sandbox = (programs: Readonly<Record<string, string>>) => {
  const root = temporary()
  const bin = join(root, "path")
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  mkdirSync(bin)
  for (const name of basics) symlinkSync(findProgram(name), join(bin, name))
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  for (const name of ["install.sh", "installed.cjs"]) {
    cpSync(join(repository, "scripts", name), join(root, "scripts", name))
  }
  write("package.json", "{}")
  write(".npmrc", "")
  write("contracts/package.json", "{}")
  write("packages/cli/package.json", "{}")
  write(
    "package-lock.json",
    JSON.stringify({
      packages: {
        "": {},
        "node_modules/a": { version: "1.0.0" },
        "node_modules/tool": { version: "2.0.0", dev: true },
        "node_modules/elsewhere": { version: "1.0.0", optional: true, os: ["aix"], cpu: ["ppc64"] }
      }
    })
  )
  const install = (level: string) => {
    const { status, stdout, stderr } = spawnSync(findProgram("sh"), ["scripts/install.sh", level], {
      cwd: root,
      encoding: "utf8",
      env: { PATH: bin, TMPDIR: root }
    })
    return { status, stdout, stderr }
  }
  /** What npm would have put there. */
  const put = (...names: ReadonlyArray<readonly [string, string]>) => {
    write("node_modules/.bin/node", `#!/bin/sh\necho v24.0.0\n`)
    chmodSync(join(root, "node_modules/.bin/node"), 0o755)
    for (const [name] of names) write(`node_modules/${name}/package.json`, "{}")
    const packages = Object.fromEntries(names.map(([name, version]) => [`node_modules/${name}`, { version }]))
    write("node_modules/.package-lock.json", JSON.stringify({ packages }))
  }
  return { install, put, write }
}

const realNode = `exec "${process.execPath}" "$@"`
const npmThatWorks = `mkdir -p node_modules/.bin node_modules/a
  printf '#!/bin/sh\\necho v24.0.0\\n' > node_modules/.bin/node
  ${findProgram("chmod")} +x node_modules/.bin/node
  echo '{}' > node_modules/a/package.json
  echo '{"packages":{"node_modules/a":{"version":"1.0.0"}}}' > node_modules/.package-lock.json`
const npmThatMustNotRun = `echo "npm was started" >&2; exit 1`

describe("installing", () => {
  it("starts npm once, and not at all when nothing changed", () => {
    const box = sandbox({ node: realNode, npm: npmThatWorks })
    const first = box.install("run")
    expect(first).toMatchObject({ status: 0, stderr: "" })
    expect(first.stdout).toMatch(/about \d+ MB to download, \d+ MB on disk/u)
    expect(first.stdout).toMatch(/Installed in \d+ s: .*Node v24\.0\.0/u)
    expect(box.install("run")).toEqual({ status: 0, stdout: "", stderr: "" })
  })

  it("does not start npm when an installation made by hand has everything, tools only for `all`", () => {
    const box = sandbox({ node: realNode, npm: npmThatMustNotRun })
    box.put(["a", "1.0.0"])
    expect(box.install("run")).toEqual({ status: 0, stdout: "", stderr: "" })
    expect(box.install("all").stderr).toContain("npm was started")
    box.put(["a", "1.0.0"], ["tool", "2.0.0"])
    expect(box.install("all")).toEqual({ status: 0, stdout: "", stderr: "" })
    expect(box.install("run")).toEqual({ status: 0, stdout: "", stderr: "" })
  })

  it("starts npm when a version differs or a package is gone", () => {
    const box = sandbox({ node: realNode, npm: npmThatMustNotRun })
    box.put(["a", "0.9.0"])
    const result = box.install("run")
    expect(result.status).toBe(69)
    expect(result.stderr).toContain("npm could not install the packages")
  })

  it("installs again after package-lock.json asks for something new", () => {
    const box = sandbox({ node: realNode, npm: npmThatMustNotRun })
    box.put(["a", "1.0.0"])
    expect(box.install("run").status).toBe(0)
    box.write("package-lock.json", JSON.stringify({ packages: { "": {}, "node_modules/b": { version: "1.0.0" } } }))
    expect(box.install("run").status).toBe(69)
  })

  it.each([
    ["no Node", {}, "Node.js was not found. Install Node 20 or newer"],
    [
      "an old Node",
      { node: `case $1 in --version) echo v18.20.0;; *) exit 1;; esac` },
      "Node.js v18.20.0 is too old. Install Node 20 or newer"
    ],
    ["no npm", { node: realNode }, "npm was not found"],
    ["an npm that ends well but did nothing", { node: realNode, npm: "exit 0" }, "npm could not install the packages"],
    [
      "an npm that may not unpack Node",
      { node: realNode, npm: `${npmThatWorks}; rm node_modules/.bin/node` },
      "npm rebuild node --ignore-scripts=false"
    ]
  ])("says what to do and exits 69 with %s", (_, programs, words) => {
    const result = sandbox(programs).install("run")
    expect(result.status).toBe(69)
    expect(result.stderr).toContain(words)
  })
})

describe("the lock file", () => {
  const lock: Lock = {
    packages: {
      "": {},
      "node_modules/tool": {
        version: "1.2.3",
        resolved: "https://registry.npmjs.org/tool/-/tool-1.2.3.tgz",
        dev: true,
        optionalDependencies: { "@tool/linux-x64-musl": "1.2.3", "@tool/darwin-arm64": "1.2.3", extra: "1.0.0" }
      },
      "node_modules/@scope/plain": { version: "2.0.0", integrity: "sha512-x" },
      "node_modules/alias": { name: "empty-npm-package", version: "1.0.0" },
      "node_modules/@rspp/cli": { link: true, resolved: "packages/cli" }
    }
  }

  it("gains the platform packages that npm left out and the address of each tarball", () => {
    const { packages } = complete(lock).lock
    expect(packages["node_modules/@tool/linux-x64-musl"]).toEqual({
      version: "1.2.3",
      resolved: "https://registry.npmjs.org/@tool/linux-x64-musl/-/linux-x64-musl-1.2.3.tgz",
      cpu: ["x64"],
      dev: true,
      libc: ["musl"],
      optional: true,
      os: ["linux"]
    })
    expect(packages["node_modules/@tool/darwin-arm64"]).toMatchObject({ os: ["darwin"], cpu: ["arm64"] })
    expect(packages["node_modules/extra"]).toBeUndefined()
    expect(packages["node_modules/@scope/plain"]?.resolved).toBe(
      "https://registry.npmjs.org/@scope/plain/-/plain-2.0.0.tgz"
    )
    expect(packages["node_modules/alias"]?.resolved).toBe(
      "https://registry.npmjs.org/empty-npm-package/-/empty-npm-package-1.0.0.tgz"
    )
  })

  it("is complete after it was completed", () => {
    expect(complete(complete(lock).lock).added).toEqual([])
  })
})

describe("dependencies", () => {
  const workspace = (dependencies: Readonly<Record<string, string>>): Workspace => ({
    name: "timeline",
    directory: "packages/timeline",
    manifest: { name: "@rspp/timeline", dependencies }
  })

  it.each(["^1.0.0", "~1.0.0", "1", "latest", "*", ">=1.0.0"])("may not be the range %s", (range) => {
    const lock = { packages: { "node_modules/a": { version: "1.0.0" } } }
    expect(versionFaults([workspace({ a: range })], lock)).toEqual([
      `packages/timeline/package.json: a is "${range}"; write one exact version`
    ])
    expect(versionFaults([workspace({ a: "1.0.0" })], lock)).toEqual([])
  })

  it("must be in the lock at the same version", () => {
    const lock = { packages: { "node_modules/a": { version: "1.0.1" } } }
    expect(versionFaults([workspace({ a: "1.0.0", b: "1.0.0" })], lock)).toEqual([
      "packages/timeline/package.json: a is 1.0.0, package-lock.json has 1.0.1; run npm install",
      "packages/timeline/package.json: b is 1.0.0, package-lock.json has none; run npm install"
    ])
  })

  it("must be used", () => {
    const owner = workspace({ a: "1.0.0", b: "1.0.0", c: "1.0.0", d: "1.0.0" })
    const text = `import "a/sub"
      const b = createRequire(import.meta.url)("b")
      const c = createRequire(import.meta.url).resolve("c/file.wasm")`
    const file = {
      path: "packages/timeline/src/A.ts",
      workspace: owner,
      zone: "src" as const,
      text,
      ...parse("A.ts", text)
    }
    expect(unusedFaults([owner], [file])).toEqual(["packages/timeline/package.json: d is not used; remove it"])
  })
})

describe("verdicts", () => {
  it("does not take Effect's diagnostics of no file for a pass", () => {
    expect(judgeEffects({ code: 0, output: "Checked 0 files out of 0 files.\n0 errors" }).verdict).toBe("failed")
    expect(judgeEffects({ code: 0, output: "" }).verdict).toBe("failed")
    expect(judgeEffects({ code: 1, output: "Checked 3 files out of 3 files.\n1 errors" }).verdict).toBe("failed")
    expect(judgeEffects({ code: 0, output: "Checked 3 files out of 3 files.\n0 errors" }).verdict).toBe("passed")
  })

  it("counts a test file that cannot be loaded, and a failure outside of any test, as failed", () => {
    const report = (failed: number, files: ReadonlyArray<unknown>) =>
      JSON.stringify({
        numPassedTests: 5,
        numFailedTests: failed,
        numPendingTests: 1,
        numTodoTests: 1,
        testResults: files
      })
    const unloaded = { status: "failed", assertionResults: [] }
    const broken = { status: "failed", assertionResults: [{ status: "failed" }, { status: "passed" }] }
    expect(countTests(report(0, []), 0)).toEqual({ passed: 5, failed: 0, skipped: 2 })
    expect(countTests(report(1, [unloaded, broken]), 1)).toEqual({ passed: 5, failed: 2, skipped: 2 })
    expect(countTests(report(0, []), 1)).toEqual({ passed: 5, failed: 1, skipped: 2 })
  })
})

describe("make", () => {
  it("lists every target in its help, one line each", () => {
    const makefile = readFileSync(join(repository, "Makefile"), "utf8")
    const targets = [...makefile.matchAll(/^([a-z-]+):/gmu)].map(([, target]) => target)
    const help = spawnSync("make", [], { cwd: repository, encoding: "utf8", env: { PATH: process.env["PATH"] } }).stdout
    expect(help.trimEnd().split("\n").map((line) => line.trim().split(/\s+/u)[1])).toEqual(targets)
    expect(targets).toEqual(expect.arrayContaining(["run", "test", "verify", "bench", "format", "help"]))
  })
})
