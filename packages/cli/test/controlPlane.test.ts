// `rspp control-plane` and the commands that ask it, as programs.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { clockFinding, skewOf } from "../src/Findings.ts"
import { recording, rspp } from "./support/Program.ts"

const bin = fileURLToPath(new URL("../bin/rspp.js", import.meta.url))
const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-control-"))

interface Started {
  readonly url: string
  readonly platform_key?: string
}

const start = (...more: ReadonlyArray<string>) => {
  const { HOME, PATH, TMPDIR } = process.env
  const child: ChildProcess = spawn(
    process.execPath,
    [bin, "control-plane", "--database", "sqlite:control.sqlite", "--listen", "127.0.0.1:0", "--json", ...more],
    {
      cwd,
      env: { HOME, PATH, TMPDIR, LIVEKIT_API_KEY: "devkey", LIVEKIT_API_SECRET: "a-secret-of-more-than-32-characters" },
      stdio: ["ignore", "pipe", "pipe"]
    }
  )
  const ended = new Promise<number | null>((resolve) => void child.on("close", resolve))
  const said = new Promise<Started>((resolve, reject) => {
    let out = ""
    let errors = ""
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors += text))
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      out += text
      if (out.includes("\n")) resolve(JSON.parse(out) as Started)
    })
    void ended.then((code) => reject(new Error(`the control plane ended with ${code}: ${errors}`)))
  })
  const stop = () => {
    child.kill("SIGTERM")
    return ended
  }
  return { said, stop }
}

let server: ReturnType<typeof start>
let url = ""
let platform = ""
let owner = ""

const as = (key: string, ...args: ReadonlyArray<string>) =>
  rspp(args, { cwd, env: { RSPP_CONTROL_PLANE: url, RSPP_API_KEY: key } })
const ok = async (key: string, ...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await as(key, ...args)
  expect([code, stderr]).toEqual([0, ""])
  return stdout
}

const spec = (version: string, more = "") =>
  writeFileSync(
    join(cwd, `${version}.yaml`),
    `schema_version: v1.0\npipeline_id: assistant\npipeline_version: v${version}\n${more}`
  )

beforeAll(async () => {
  server = start("--livekit", "ws://127.0.0.1:7880", "--agent", "assistant")
  const said = await server.said
  url = said.url
  platform = said.platform_key ?? ""
  const made = JSON.parse(await ok(platform, "tenant", "create", "acme", "--json")) as {
    readonly owner: { readonly text: string }
  }
  owner = made.owner.text
}, 60_000)

afterAll(async () => {
  expect(await server.stop()).toBe(0)
  rmSync(cwd, { recursive: true, force: true })
})

describe("rspp control-plane", () => {
  it(
    "publishes, rolls out, opens a session with its token, rolls back, and has all of it in the audit log",
    async () => {
      spec("1")
      spec("2", "budgets:\n  turn_budget_ms: 9000\n")
      expect(await ok(owner, "pipeline", "publish", "1.yaml")).toMatch(
        /^published assistant v1 sha256:[0-9a-f]{64}\n$/u
      )
      expect(await ok(owner, "pipeline", "publish", "1.yaml")).toMatch(/^was published already: /u)
      await ok(owner, "pipeline", "publish", "2.yaml")
      await ok(
        owner,
        "rollout",
        "put",
        "assistant",
        "--stable",
        "v1",
        "--candidate",
        "v2",
        "--allow",
        "ann",
        "--if-match",
        "r0"
      )
      const late = await as(owner, "rollout", "put", "assistant", "--stable", "v1", "--if-match", "r0")
      expect([late.code, late.stderr]).toEqual([3, expect.stringContaining("revision 1, not 0")])
      interface Opened {
        readonly session: { readonly session_id: string; readonly pipeline_version: string }
        readonly livekit: { readonly server_url: string; readonly participant_token: string }
      }
      const { livekit, session } = JSON.parse(
        await ok(owner, "session", "create", "assistant", "--caller", "ann", "--json")
      ) as Opened
      expect([session.pipeline_version, livekit.server_url]).toEqual(["v2", "ws://127.0.0.1:7880"])
      const claims = JSON.parse(
        Buffer.from(livekit.participant_token.split(".")[1] ?? "", "base64url").toString()
      ) as unknown
      expect(claims).toMatchObject({
        iss: "devkey",
        sub: "ann",
        video: { room: session.session_id, roomJoin: true },
        roomConfig: { agents: [{ agentName: "assistant" }] }
      })
      expect(await ok(owner, "rollout", "rollback", "assistant", "--reason", "it stammers")).toContain("is back at v1")
      expect(await ok(owner, "rollout", "list")).toContain("stable v1, candidate v2 was rolled back")
      expect(await ok(owner, "session", "list", "--active")).toContain(`${session.session_id}  assistant v1  ann`)
      const audit = await ok(owner, "audit", "list")
      for (const action of ["tenant.create acme", "pipeline.publish assistant@v2", "rollout.rollback assistant"]) {
        expect(audit).toContain(action)
      }
      expect(await ok(platform, "audit", "verify")).toMatch(/^intact: \d+ rows, head [0-9a-f]{64}\n$/u)
    },
    120_000
  )

  it(
    "gives a session that rspp run takes its lease and its snapshots; what is changed meanwhile reaches it",
    async () => {
      const { session: { session_id } } = JSON.parse(
        await ok(owner, "session", "create", "assistant", "--caller", "bob", "--json")
      ) as { readonly session: { readonly session_id: string } }
      const database = "sqlite:control.sqlite"
      // The second words come long after the first reply, in which the limit is changed.
      const say = recording("goforward")
      const later = { after: "agent_started", delay_ms: 8000 }
      writeFileSync(join(cwd, "caller.json"), JSON.stringify({ steps: [{ say }, { say, at: later }] }))
      let changed: Promise<Response> | undefined
      const change = () =>
        fetch(`${url}/v1/admission`, {
          method: "PUT",
          headers: { authorization: `Bearer ${owner}`, "content-type": "application/json", "if-match": "\"r0\"" },
          body: JSON.stringify({ max_turns_per_session: 77 })
        })
      const call = rspp([
        "run",
        ...["--session", session_id, "--leases", database, "--snapshots", database, "--snapshot-scope", session_id],
        ...["--pipeline", "1.yaml", "--script", "caller.json", "--timeline", "call.timeline"]
      ], {
        cwd,
        watch: (stdout) => {
          if (/ agent /u.test(stdout)) changed ??= change()
        }
      })
      expect((await call).code).toBe(0)
      expect((await changed)?.status).toBe(200)
      const { stdout } = await rspp(["timeline", "export", "call.timeline", "--format", "jsonl"], { cwd })
      const admissions = stdout.split("\n").filter((line) => line.includes("\"admission_policy_snapshot\"")).join("\n")
      expect(admissions).toContain("snap_admission_policy_snapshot_1")
      expect(admissions).toMatch(/snap_admission_policy_snapshot_2.*77|77.*snap_admission_policy_snapshot_2/u)
      expect((await rspp(["timeline", "verify", "call.timeline"], { cwd })).code).toBe(0)
      expect((await rspp(["replay", "call.timeline"], { cwd })).code).toBe(0)
      expect((await as(owner, "lease", "get", session_id)).code).toBe(3)
    },
    120_000
  )

  it("refuses what a key may not do, and says which key could", async () => {
    const { code, stderr } = await as(owner, "tenant", "list")
    expect([code, stderr]).toEqual([
      69,
      expect.stringContaining("may not do tenant:list there; it wants the platform key")
    ])
    expect((await as("", "pipeline", "list")).code).toBe(69)
    const viewer = JSON.parse(await ok(owner, "tenant", "key", "desk", "--role", "viewer", "--json")) as {
      readonly text: string
    }
    expect((await as(viewer.text, "pipeline", "list")).code).toBe(0)
    expect((await as(viewer.text, "rollout", "rollback", "assistant", "--reason", "x")).code).toBe(69)
  }, 60_000)

  it("names the node and the rule of a spec that it refuses", async () => {
    writeFileSync(
      join(cwd, "bad.json"),
      JSON.stringify({
        schema_version: "v1.0",
        pipeline_id: "assistant",
        pipeline_version: "v9",
        nodes: [{ node_id: "ears", node_type: "speech_to_txt" }],
        edges: []
      })
    )
    const { code, stderr } = await as(owner, "pipeline", "publish", "bad.json")
    expect([code, stderr]).toEqual([3, expect.stringContaining("\"ears\" has the unknown type \"speech_to_txt\"")])
  }, 60_000)

  it("does not send a document of another form, and says what is wrong with it", async () => {
    writeFileSync(join(cwd, "quotas.json"), JSON.stringify({ max_sessions_per_tenant: "many" }))
    const { code, stderr } = await as(owner, "policy", "admission", "quotas.json")
    expect([code, stderr]).toEqual([3, expect.stringContaining("[\"max_sessions_per_tenant\"]")])
  }, 60_000)

  it("shares its database with a second one, which gives out no other platform key", async () => {
    const second = start()
    const said = await second.said
    expect(said.platform_key).toBeUndefined()
    const listed = await rspp(["pipeline", "list", "--server", said.url], { cwd, env: { RSPP_API_KEY: owner } })
    expect(listed.stdout).toContain("assistant v1")
    expect(await second.stop()).toBe(0)
  }, 60_000)

  it("is looked at by rspp doctor, which makes nothing", async () => {
    const { code, stdout } = await rspp(["doctor", "--database", "sqlite:control.sqlite", "--json"], { cwd })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      findings: ["connectivity", "writable", "durability", "migrations", "clock_skew"].map((check) => ({ check }))
    })
    const gone = await rspp(["doctor", "--database", "sqlite:gone.sqlite"], { cwd })
    expect([gone.code, gone.stdout]).toEqual([69, expect.stringContaining("there is no such file")])
    writeFileSync(join(cwd, "empty.sqlite"), "")
    const empty = await rspp(["doctor", "--database", "sqlite:empty.sqlite"], { cwd })
    expect([empty.code, empty.stdout]).toEqual([69, expect.stringContaining("not there yet: 0001_audit, ")])
    const nobody = await rspp(["doctor", "--database", "postgres://u:sesame@127.0.0.1:9/db"], { cwd })
    expect([nobody.code, nobody.stdout]).toEqual([69, expect.stringContaining("postgres 127.0.0.1:9/db cannot be")])
    expect(nobody.stdout).not.toContain("sesame")
  }, 60_000)

  it("is refused by rspp doctor when its clock is off by more than a second", () => {
    expect([skewOf(100, 150, 200), skewOf(100, 90, 200), skewOf(100, 1500, 200)]).toEqual([0, -10, 1300])
    expect([0, 1000, -1000, 1001, -1001].map((skew) => clockFinding(skew).ok)).toEqual([true, true, true, false, false])
    expect(clockFinding(-5000).message).toContain("5000 ms behind")
  })

  it("keeps no key in its database", () => {
    const bytes = ["control.sqlite", "control.sqlite-wal"].map((name) => readFileSync(join(cwd, name), "latin1")).join(
      ""
    )
    expect(bytes).toContain(owner.split("_")[1])
    for (const key of [owner, platform]) expect(bytes).not.toContain(key.split("_")[2])
  })

  it("says what is wrong with where it should be", async () => {
    const wrong = async (...args: ReadonlyArray<string>) => {
      const { code, stderr } = await rspp(["control-plane", ...args], { cwd })
      return `${code} ${stderr}`
    }
    expect(await wrong("--database", "dir:x")).toContain("2 rspp: a directory is no database\n      Give sqlite:PATH")
    expect(await wrong("--database", "mysql:x")).toContain("2 rspp: there is no kind of database mysql")
    expect(await wrong("--database", "sqlite:x", "--listen", "nowhere")).toContain(
      "2 rspp: --listen nowhere is no address"
    )
    expect(await wrong("--database", "sqlite:x", "--livekit", "ws://x")).toContain(
      "2 rspp: --livekit needs the key pair"
    )
    const taken = new URL(url).port
    expect(await wrong("--database", "sqlite:x.sqlite", "--listen", `127.0.0.1:${taken}`)).toContain(
      `69 rspp: cannot listen at 127.0.0.1:${taken} (listen EADDRINUSE`
    )
    const noUrl = await rspp(["pipeline", "list", "--server", "127.0.0.1:9"], { cwd })
    expect([noUrl.code, noUrl.stderr]).toEqual([2, expect.stringContaining("--server has no address")])
    const { code, stderr } = await rspp(["pipeline", "list", "--server", "http://127.0.0.1:9"], { cwd })
    expect([code, stderr]).toEqual([69, expect.stringContaining("Start one with rspp control-plane")])
  }, 60_000)
})
