// `rspp run --control-plane`: a session of a real control plane, as programs.
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { recording, rspp } from "./support/Program.ts"
import type { Ended } from "./support/Program.ts"

const bin = fileURLToPath(new URL("../bin/rspp.js", import.meta.url))
const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-registered-"))
const database = "sqlite:control.sqlite"
const minutes = 120_000

let child: ChildProcess
let url = ""
let platform = ""
let owner = ""
let runtime = ""

const as = (key: string, ...args: ReadonlyArray<string>) =>
  rspp(args, { cwd, env: { RSPP_CONTROL_PLANE: url, RSPP_API_KEY: key } })
const ok = async (key: string, ...args: ReadonlyArray<string>): Promise<unknown> => {
  const { code, stderr, stdout } = await as(key, ...args, "--json")
  expect([code, stderr]).toEqual([0, ""])
  return JSON.parse(stdout)
}

beforeAll(async () => {
  const { HOME, PATH, TMPDIR } = process.env
  const args = [bin, "control-plane", "--database", database, "--listen", "127.0.0.1:0", "--json"]
  child = spawn(process.execPath, args, { cwd, env: { HOME, PATH, TMPDIR }, stdio: ["ignore", "pipe", "inherit"] })
  const said = await new Promise<{ readonly url: string; readonly platform_key: string }>((resolve, reject) => {
    let out = ""
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      out += text
      if (out.includes("\n")) resolve(JSON.parse(out) as { readonly url: string; readonly platform_key: string })
    })
    child.on("close", (code) => reject(new Error(`the control plane ended with ${code}`)))
  })
  url = said.url
  platform = said.platform_key
  const made = await ok(platform, "tenant", "create", "acme") as { readonly owner: { readonly text: string } }
  owner = made.owner.text
  runtime = (await ok(owner, "tenant", "key", "calls", "--role", "runtime") as { readonly text: string }).text
  for (const version of ["v1", "v2"]) {
    writeFileSync(
      join(cwd, "spec.yaml"),
      `schema_version: v1.0\npipeline_id: assistant\npipeline_version: ${version}\n`
    )
    await ok(owner, "pipeline", "publish", "spec.yaml")
  }
  await ok(owner, "rollout", "put", "assistant", "--stable", "v1", "--candidate", "v2", "--allow", "ann")
}, minutes)

afterAll(async () => {
  const closed = new Promise((resolve) => void child.once("close", resolve))
  child.kill("SIGTERM")
  await closed
  rmSync(cwd, { recursive: true, force: true })
})

const newSession = async (caller: string): Promise<string> => {
  const made = await ok(owner, "session", "create", "assistant", "--caller", caller) as {
    readonly session: { readonly session_id: string }
  }
  return made.session.session_id
}

const run = (session: string, key = runtime, ...more: ReadonlyArray<string>): Promise<Ended> =>
  as(
    key,
    "run",
    ...["--control-plane", url, "--session", session, "--leases", database],
    ...["--input", recording("goforward"), "--json"],
    ...more
  )

describe("rspp run --control-plane", () => {
  it("runs a session with its pinned version, and its snapshots, and tells of itself and its providers", async () => {
    const session = await newSession("ann")
    const { code, stderr, stdout } = await run(session, runtime, "--timeline", "call.timeline")
    expect([code, stderr]).toEqual([0, ""])
    expect((JSON.parse(stdout) as { readonly accepted_turns: number }).accepted_turns).toBe(1)
    const exported = await rspp(["timeline", "export", "call.timeline", "--format", "jsonl"], { cwd })
    expect(exported.stdout).toContain("\"pipeline_version\":\"v2\"")
    expect(exported.stdout).toContain("\"tenant_id\":\"acme\"")
    for (const kind of ["routing_view", "admission_policy", "version_resolution", "provider_health"]) {
      expect(exported.stdout).toMatch(new RegExp(`"snap_${kind}_snapshot_\\d+"`, "u"))
    }
    // neither the key nor its secret is in anything that the program wrote
    const [, id = "", secret = ""] = runtime.split("_")
    for (const text of [stdout, exported.stdout, readFileSync(join(cwd, "call.timeline"), "latin1")]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(id)
    }
    expect((await rspp(["replay", "call.timeline"], { cwd })).code).toBe(0)
    // the call is over, and so is the session: it takes no room of the tenant's any more
    expect(await ok(owner, "session", "get", session)).toMatchObject({ ended_ms: expect.any(Number) as number })
    const answer = await fetch(`${url}/v1/provider-health`, { headers: { authorization: `Bearer ${runtime}` } })
    const window = expect.objectContaining({
      succeeded: expect.any(Number) as number,
      failed: 0,
      error_rate: 0,
      first_result_ms: { p50: expect.any(Number) as number, p95: expect.any(Number) as number }
    }) as object
    expect(await answer.json()).toEqual({
      providers: { "embedded/flite": "closed", "embedded/moonshine": "closed", "embedded/rules": "closed" },
      windows: { "embedded/flite": window, "embedded/moonshine": window, "embedded/rules": window }
    })
    const rows = new DatabaseSync(join(cwd, "control.sqlite"), { readOnly: true })
    const placed = rows.prepare("SELECT tenant_id, placement_id FROM rspp_placements").all()
    rows.close()
    expect(placed).toEqual([{
      tenant_id: "acme",
      placement_id: expect.stringMatching(/^\S+\/\d+\/[0-9a-f]{8}$/u) as string
    }])
  }, minutes)

  it("says that a key may not report, once, and goes on", async () => {
    const { code, stderr } = await run(await newSession("bob"), owner)
    expect(code).toBe(0)
    expect(stderr.match(/provider health is not reported/gu)).toHaveLength(1)
    expect(stderr.match(/this placement is not announced/gu)).toHaveLength(1)
    expect(stderr).not.toContain(owner.split("_")[2])
  }, minutes)

  it("runs nothing that was changed after it was published, and nothing that is not there", async () => {
    const session = await newSession("carl")
    const rows = new DatabaseSync(join(cwd, "control.sqlite"), { timeout: 5000 })
    const change = (from: string, to: string) =>
      rows.prepare("UPDATE rspp_pipelines SET spec = replace(spec, ?, ?) WHERE pipeline_version = 'v1'").run(from, to)
    const added = "\"budgets\":{\"turn_budget_ms\":9},\"pipeline_id\""
    change("\"pipeline_id\"", added)
    const changed = await run(session)
    expect([changed.code, changed.stderr]).toEqual([
      1,
      expect.stringMatching(/pipeline assistant@v1 was changed after it was published: its content hash is sha256:/u)
    ])
    change(added, "\"pipeline_id\"")
    rows.close()
    const nobody = await run("ses_nobody")
    expect([nobody.code, nobody.stderr]).toEqual([3, expect.stringContaining("there is no session ses_nobody")])
    const wrongKey = await run(session, "rspp_aaaaaaaaaaaa_a-secret-that-is-wrong")
    expect(wrongKey.code).toBe(69)
    expect(wrongKey.stderr).not.toContain("a-secret-that-is-wrong")
    await ok(owner, "session", "end", session)
    const ended = await run(session)
    expect([ended.code, ended.stderr]).toEqual([3, expect.stringContaining("has ended")])
  }, minutes)

  it("says what is missing or does not go together", async () => {
    const input = ["--input", recording("goforward")]
    const refused = async (key: string | undefined, ...args: ReadonlyArray<string>) => {
      const { code, stderr } = await rspp(["run", ...input, ...args], {
        cwd,
        env: key === undefined ? {} : { RSPP_API_KEY: key }
      })
      return `${code} ${stderr}`
    }
    const here = ["--control-plane", url]
    const session = ["--session", "ses_1", "--leases", database]
    expect(await refused(undefined, ...here, ...session)).toMatch(/^2 .*needs an API key/u)
    expect(await refused(runtime, ...here, "--leases", database)).toMatch(/^2 .*runs a session that it has/u)
    expect(await refused(runtime, ...here, "--session", "ses_1")).toMatch(/^2 .*needs to know where leases are held/u)
    expect(await refused(runtime, ...here, ...session, "--pipeline", "spec.yaml")).toMatch(/^2 .*exclude each other/u)
    expect(await refused(runtime, "--control-plane", "nowhere", ...session)).toMatch(/^2 .*no address/u)
    expect(await refused(runtime, "--control-plane", "http://ann:sesame@h", ...session)).not.toContain("sesame")
    expect(await refused(runtime, "--control-plane", "http://127.0.0.1:9", ...session)).toMatch(
      /^69 .*cannot be asked/u
    )
    expect(await refused(runtime, "--snapshots", url)).toMatch(/^2 .*none is named/u)
    expect(await refused(undefined, "--snapshots", url, "--session", "s")).toMatch(/^2 .*needs an API key/u)
    const published = await rspp(["snapshots", "publish", "--to", url], { cwd })
    expect([published.code, published.stderr]).toEqual([2, expect.stringContaining("publishes the snapshots")])
  }, minutes)

  it("follows a control plane's snapshots with a pipeline from a file, too", async () => {
    const session = await newSession("ann")
    const { code } = await as(
      runtime,
      "run",
      ...["--session", session, "--leases", database, "--snapshots", url],
      ...["--pipeline", "spec.yaml", "--input", recording("goforward"), "--timeline", "file.timeline", "--json"]
    )
    expect(code).toBe(0)
    const exported = await rspp(["timeline", "export", "file.timeline", "--format", "jsonl"], { cwd })
    expect(exported.stdout).toMatch(/"snap_admission_policy_snapshot_\d+"/u)
  }, minutes)

  it("tells an audit log that was changed from one that the key may not read", async () => {
    const verify = async (key: string) => (await as(key, "audit", "verify")).code
    expect(await verify(platform)).toBe(0)
    expect(await verify(owner)).toBe(69)
    expect(await verify("rspp_aaaaaaaaaaaa_a-secret-that-is-wrong")).toBe(69)
    const rows = new DatabaseSync(join(cwd, "control.sqlite"), { timeout: 5000 })
    rows.exec("UPDATE rspp_audit SET actor = 'somebody else' WHERE sequence = 2")
    rows.close()
    expect(await verify(platform)).toBe(1)
    expect(await verify(owner)).toBe(69)
  }, minutes)
})
