// Paths and values that cannot be what they were given as: a sentence each, exit 3 (2 where the command line is wrong).
import { afterAll, describe, expect, it } from "vitest"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { recording, rspp } from "./support/Program.ts"
import { decoded } from "./support/Timeline.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-paths-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000
const call = fileURLToPath(new URL("../../../test/corpus/real/one-turn.timeline", import.meta.url))
const other = fileURLToPath(new URL("../../../test/corpus/real/typed.timeline", import.meta.url))

writeFileSync(join(cwd, "torn.timeline"), readFileSync(call).subarray(0, 1000))
writeFileSync(join(cwd, "file"), "something")
mkdirSync(join(cwd, "empty"))
writeFileSync(
  join(cwd, "retention.json"),
  JSON.stringify({ schema_version: "v1.0", retention: [{ tenant_id: "*", recording_days: 1 }] })
)
const speak = ["run", "--speed", "max", "--input", recording("goforward")]

describe("what is said of", () => {
  const cases: ReadonlyArray<readonly [exit: number, said: RegExp, args: ReadonlyArray<string>]> = [
    [3, /nowhere: there is no such directory of recordings/u, [
      "timeline",
      "sweep",
      "nowhere",
      "--policy",
      "retention.json"
    ]],
    [3, /nokeys: there is no such key store/u, [
      "timeline",
      "sweep",
      "empty",
      "--policy",
      "retention.json",
      "--keys",
      "nokeys"
    ]],
    [3, /file is not a directory/u, ["replay", call, "--report", "file"]],
    [3, /\/proc\/x cannot be written/u, ["replay", call, "--to", "turn=1", "--cursor", "/proc/x"]],
    [3, /\/proc\/x cannot be written/u, ["timeline", "export", call, "--format", "jsonl", "--output", "/proc/x"]],
    [3, /nope: there is no such audit log/u, ["timeline", "audit", "verify", "nope"]],
    [3, /there is no directory no\n/u, ["timeline", "repair", "torn.timeline", "--to", "no/where.timeline"]],
    [3, /\/proc\/x cannot be written/u, ["timeline", "repair", "torn.timeline", "--to", "/proc/x"]],
    [69, /directory \/proc\/x: no directory can be made there/u, [...speak, "--store", "dir:/proc/x"]],
    [69, /sqlite \/proc\/x: its file cannot be made there/u, [...speak, "--store", "sqlite:/proc/x"]],
    [3, /Check the path that --spec was given/u, ["replay", call, "--spec", "nope"]],
    [3, /nope: there is no such key store/u, ["timeline", "show", call, "--keys", "nope"]],
    [0, /nothing in it matches/u, ["timeline", "show", call, "--from", "9999"]],
    [2, /--keys is about the recording, and none is kept/u, [...speak, "--keys", "empty"]],
    [2, /--durability is about the recording, and none is kept/u, [...speak, "--durability", "none"]],
    [2, /"a\/b" is no name for a session/u, [...speak, "--session", "a/b"]],
    [2, /barge_in\.backchannel takes a list/u, ["replay", call, "--set", "barge_in.backchannel=[mhm"]],
    [3, /the directory \/proc\/x cannot be made/u, ["demo", "--out", "/proc/x"]],
    [3, /torn\.timeline is cut off at byte/u, ["timeline", "diff", call, "torn.timeline"]]
  ]
  for (const [exit, said, args] of cases) {
    it(`rspp ${args.map((arg) => arg.split("/").at(-1)).join(" ")}`, async () => {
      const { code, stderr, stdout } = await rspp(args, { cwd })
      expect(stderr).toMatch(said)
      expect(stderr).not.toMatch(/internal|ENO|EACCES|PlatformError|FileSystem/u)
      expect([code, exit === 69 ? stdout : ""]).toEqual([exit, ""])
    }, minute)
  }

  it("rules that are not there", async () => {
    const { code, stderr } = await rspp(speak, { cwd, env: { RSPP_RULES: "nope.json" } })
    expect([code, stderr]).toEqual([3, expect.stringContaining("nope.json cannot be used: there is no such file")])
  }, minute)

  it("a fetch to a place where nothing can be written", async () => {
    expect((await rspp(["timeline", "ship", call, "--to", "dir:store"], { cwd })).code).toBe(0)
    const [line = ""] = (await rspp(["timeline", "stored", "--from", "dir:store"], { cwd })).stdout.split("\n")
    const [session = ""] = line.split(" ")
    const { code, stderr } = await rspp(["timeline", "fetch", session, "--from", "dir:store", "--to", "/proc/x"], {
      cwd
    })
    expect([code, stderr]).toEqual([3, expect.stringContaining("/proc/x cannot be written")])
  }, minute)
})

describe("two recordings of one session id", () => {
  it("are not taken for one in a store, which is said once, with what to do", async () => {
    for (const seed of [17, 18]) {
      const ended = await rspp(["sim", "--seed", String(seed), "--out", `seed-${seed}.timeline`], { cwd })
      expect(ended.code).toBe(0)
    }
    expect((await rspp(["timeline", "ship", "seed-17.timeline", "--to", "dir:twice"], { cwd })).code).toBe(0)
    // The other call, under the id of the first: as two recordings of one name would be.
    const [stored] = readdirSync(join(cwd, "twice")).filter((name) => !name.startsWith("."))
    const [first = ""] = readdirSync(join(cwd, "twice", stored ?? ""))
    const id = decoded(join(cwd, "seed-18.timeline"))?.header.session_id ?? ""
    writeFileSync(join(cwd, "x"), "")
    mkdirSync(join(cwd, "twice", stored ?? "", id))
    for (const name of readdirSync(join(cwd, "twice", stored ?? "", first))) {
      const bytes = readFileSync(join(cwd, "twice", stored ?? "", first, name))
      const end = bytes.indexOf(0x0a, "rspp-segment 1\n".length)
      const head = bytes.subarray(0, end).toString("utf8").replaceAll(decodeURIComponent(first), id)
      writeFileSync(join(cwd, "twice", stored ?? "", id, name), Buffer.concat([Buffer.from(head), bytes.subarray(end)]))
    }
    const { code, stderr, stdout } = await rspp(["timeline", "ship", "seed-18.timeline", "--to", "dir:twice"], { cwd })
    expect([code, stdout]).toEqual([3, ""])
    expect(stderr.match(/another recording is stored there as session/gu)).toHaveLength(1)
    expect(stderr).toContain("give each call an id of its own")
    expect(stderr.trim().split("\n")).toHaveLength(1)
  }, minute)
})

describe("timeline promote", () => {
  it("twice at once: one fixture, and a sentence for who came second", async () => {
    const promote = () => rspp(["timeline", "promote", other, "--as", "twin"], { cwd })
    const both = await Promise.all([promote(), promote(), promote()])
    expect(both.filter(({ code }) => code === 0)).toHaveLength(1)
    for (const { code, stderr } of both.filter((one) => one.code !== 0)) {
      expect([code, stderr]).toEqual([3, expect.stringMatching(/exists already, and a fixture is never overwritten/u)])
    }
    expect((await rspp(["replay", "fixtures"], { cwd })).code).toBe(0)
  }, minute)
})
