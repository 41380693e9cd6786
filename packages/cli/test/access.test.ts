// Every command that reads a recording asks the access policy when one is given: permitted, denied, of another tenant, and
// with an audit log that cannot be written.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Ended } from "./support/Program.ts"
import { recording, rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-access-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000

const spec = `schema_version: v1.0
pipeline_id: assistant
pipeline_version: assistant/2
recording_policy:
  recording_level: L2
  allowed_replay_modes: [playback_recorded_provider_outputs, replay_decisions, recompute_decisions, re_simulate_nodes]
`

const policy = (tenant_id: string, audit_log: string) =>
  JSON.stringify({
    schema_version: "v1.0",
    tenant_id,
    audit_log,
    key_store: "keys",
    access_rules: [
      {
        roles: ["qa"],
        purposes: ["debugging"],
        scopes: ["session", "turn"],
        fidelities: ["metadata", "masked", "raw_audio"]
      }
    ]
  })

const request = (change: Readonly<Record<string, string>> = {}) =>
  Object.entries({
    tenant_id: "local",
    principal_id: "ann",
    role: "qa",
    purpose: "debugging",
    requested_scope: "session",
    requested_fidelity: "masked",
    ...change
  }).filter(([, value]) => value !== "").map(([name, value]) => `${name}=${value}`).join(",")

/** Each command with the action that the audit names, and the flag that says who asks. */
const commands: Readonly<Record<string, readonly [flag: string, action: string, ...args: Array<string>]>> = {
  show: ["--as", "show", "timeline", "show", "call.timeline"],
  export: ["--as", "export", "timeline", "export", "call.timeline", "--format", "jsonl"],
  replay: ["--as", "replay", "replay", "call.timeline"],
  "what-if": ["--as", "replay", "replay", "call.timeline", "--set", "endpointing.min_ms=300"],
  "replay --mode": ["--as", "replay", "replay", "call.timeline", "--mode", "replay_decisions"],
  "replay --to": ["--as", "replay", "replay", "call.timeline", "--to", "turn=1"],
  summary: ["--as", "summary", "timeline", "summary", "call.timeline"],
  diff: ["--as", "diff", "timeline", "diff", "call.timeline", "call.timeline"],
  promote: ["--request", "promote", "timeline", "promote", "call.timeline", "--as", "NAME"]
}

let promoted = 0
const asked = (name: string, policyFile: string, as: string): Promise<Ended> => {
  const [flag, , ...args] = commands[name] ?? ["--as", ""]
  // A fixture is written once under a name.
  const named = args.map((arg) => arg === "NAME" ? `fixture-${promoted++}` : arg)
  return rspp([...named, "--access", policyFile, flag, as], { cwd })
}

const entries = (log: string) =>
  readFileSync(join(cwd, log), "utf8").trim().split("\n").map((line) =>
    JSON.parse(line) as { readonly action: string; readonly outcome: string; readonly reason?: string }
  )

beforeAll(async () => {
  mkdirSync(join(cwd, "keys"), { mode: 0o700 })
  writeFileSync(join(cwd, "L2.yaml"), spec)
  for (
    const [name, tenant, log] of [
      ["policy.json", "local", "audit.jsonl"],
      ["foreign.json", "acme", "audit.jsonl"],
      ["full.json", "local", "full.jsonl"]
    ] as const
  ) writeFileSync(join(cwd, name), policy(tenant, log))
  // The kernel's own full device: every write of it ends with ENOSPC.
  symlinkSync("/dev/full", join(cwd, "full.jsonl"))
  const ended = await rspp([
    ...["run", "--speed", "max", "--input", recording("goforward"), "--pipeline", "L2.yaml"],
    ...["--timeline", "call.timeline", "--keys", "keys"]
  ], { cwd })
  expect(ended.code).toBe(0)
}, minute)

describe.each(Object.keys(commands))("%s with an access policy", (name) => {
  const [, action = ""] = commands[name] ?? []

  it("is permitted, at each fidelity, and written down", async () => {
    for (const requested_fidelity of ["masked", "metadata"]) {
      const { code, stderr, stdout } = await asked(name, "policy.json", request({ requested_fidelity }))
      expect([stderr, code]).toEqual(["", 0])
      expect(stdout).not.toBe("")
      expect(stdout).not.toMatch(/forward/iu)
      expect(entries("audit.jsonl").at(-1)).toMatchObject({ action, outcome: "granted" })
    }
  }, minute)

  it(
    "is denied with an attribute missing, with what no rule permits, and across tenants; and that is written down",
    async () => {
      const denials = [
        ["policy.json", { purpose: "" }, "attributes_missing"],
        ["policy.json", { role: "intern" }, "not_permitted"],
        ["policy.json", { tenant_id: "acme" }, "cross_tenant"],
        ["foreign.json", { tenant_id: "acme" }, "cross_tenant"],
        [
          "policy.json",
          { requested_scope: "turn" },
          action === "show" || action === "export" ? "turn_not_named" : "session_needed"
        ]
      ] as const
      for (const [file, change, reason] of denials) {
        const { code, stderr, stdout } = await asked(name, file, request(change))
        expect([reason, code]).toEqual([reason, 1])
        expect(stdout.replace(/^\{"file":.*denied.*\}\n$/u, "")).toBe("")
        expect(stderr).toMatch(/call\.timeline: denied: /u)
        expect(entries("audit.jsonl").at(-1)).toMatchObject({ action, outcome: "denied", reason })
      }
    },
    minute
  )

  it("does nothing when it cannot be written down, and is a mistake without a policy", async () => {
    const { code, stderr, stdout } = await asked(name, "full.json", request())
    expect([code, stdout]).toEqual([69, ""])
    expect(stderr).toContain("cannot be written")
    const [flag = "--as", , ...args] = commands[name] ?? []
    const open = await rspp([...args, flag, request()], { cwd })
    expect([open.code, open.stdout]).toEqual([2, ""])
  }, minute)
})

describe("with an access policy", () => {
  it("what is denied leaves no fixture behind, and the audit holds", async () => {
    const fixtures = readdirSync(join(cwd, "fixtures")).filter((file) => file.endsWith(".timeline"))
    expect(fixtures).toHaveLength(2)
    expect((await rspp(["replay", "fixtures"], { cwd })).code).toBe(0)
    expect((await rspp(["timeline", "audit", "verify", "audit.jsonl"], { cwd })).code).toBe(0)
  }, minute)

  it("voice activity runs again on the sound for who may have it, and for nobody else", async () => {
    const again = ["replay", "call.timeline", "--mode", "re_simulate_nodes", "--json"]
    const heard = await rspp(
      [...again, "--access", "policy.json", "--as", request({ requested_fidelity: "raw_audio" })],
      { cwd }
    )
    expect([heard.code, heard.stderr]).toEqual([0, ""])
    expect(JSON.parse(heard.stdout)).toMatchObject({ edges: 2 })
    const masked = await rspp([...again, "--access", "policy.json", "--as", request()], { cwd })
    expect(masked.code).toBe(3)
    const owner = await rspp([...again, "--keys", "keys"], { cwd })
    expect([owner.code, owner.stderr]).toEqual([0, ""])
  }, minute)

  it("one file that is denied does not keep the others from being replayed", async () => {
    mkdirSync(join(cwd, "both"))
    writeFileSync(join(cwd, "both/mine.timeline"), readFileSync(join(cwd, "call.timeline")))
    const sim = await rspp(["sim", "--seed", "3", "--out", "both/theirs.timeline"], { cwd })
    expect(sim.code).toBe(0)
    const { code, stderr, stdout } = await rspp(["replay", "both", "--access", "policy.json", "--as", request()], {
      cwd
    })
    expect(code).toBe(1)
    expect(stdout).toMatch(/mine\.timeline: identical/u)
    expect(stderr).toMatch(/theirs\.timeline: denied: /u)
  }, minute)
})
