// Sessions whose lease is in a shared database: each is the real program in a process of its own.
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { LeaseStore } from "@rspp/control/LeaseStore"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import { Effect, Layer, Redacted } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import type { Ended } from "./support/Program.ts"
import { recording, rspp } from "./support/Program.ts"
import { decoded } from "./support/Timeline.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-leases-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000
const ttlMs = 2000
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Call {
  readonly ended: Promise<Ended>
  readonly child: ChildProcess
}

/** Starts a call in real time under the lease of a session. */
const start = (name: string, leases: string, session = name): Call => {
  let child: ChildProcess | undefined
  const ended = rspp(
    [
      "run",
      "--input",
      recording("goforward"),
      "--timeline",
      `${name}.timeline`,
      "--session",
      session,
      "--leases",
      leases,
      "--lease-ttl",
      String(ttlMs),
      "--json"
    ],
    { cwd, started: (process) => void (child = process) }
  )
  if (child === undefined) throw new Error("the program was not started")
  return { ended, child }
}

/** Waits until the call's recording has some words in it. */
const recorded = async (name: string, words: string): Promise<void> => {
  const file = join(cwd, `${name}.timeline`)
  for (let tries = 0; tries < 600; tries++) {
    if (JSON.stringify(decoded(file)?.records ?? []).includes(words)) return
    await wait(50)
  }
  throw new Error(`${name} never came to ${words}`)
}

interface Record {
  readonly record: string
  readonly runtime_timestamp_ms?: number
  readonly input?: {
    readonly type: string
    readonly status?: string
    readonly authority_epoch?: number
    readonly reason?: string
  }
  readonly signal?: { readonly signal: string; readonly reason?: string }
}

const recordsOf = async (name: string): Promise<ReadonlyArray<Record>> => {
  const { code, stdout } = await rspp(["timeline", "export", `${name}.timeline`, "--to", "jsonl"], { cwd })
  expect(code).toBe(0)
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as Record)
}

/** What became of the lease, without renewals and repetitions. */
const leaseNews = (records: ReadonlyArray<Record>) =>
  records.flatMap(({ input }) =>
    input?.type === "lease" && input.status !== "renewed" ? [`${input.status} ${input.authority_epoch}`] : []
  ).filter((news, i, all) => news !== all[i - 1])

const isLoss = ({ input }: Record): boolean =>
  input?.type === "lease" && (input.status === "expired" || input.status === "revoked")

/** When frames of the agent came out, or their segment was accepted, ms of the session. */
const outputTimes = (records: ReadonlyArray<Record>) =>
  records.flatMap(({ input, runtime_timestamp_ms }) =>
    input !== undefined && /^(?:egress_dequeued|output_accepted|playback_started)$/u.test(input.type)
      ? [runtime_timestamp_ms ?? 0]
      : []
  )

const authority = (client: Layer.Layer<SqlClient, unknown>) =>
  LeaseAuthority.layerNoDeps({ ttlMs: 60_000 }).pipe(
    Layer.provideMerge(SqlLeaseStore.layer({ name: "test" })),
    Layer.provide(client),
    Layer.provide(LeaseTokens.layer)
  )

describe("rspp run --leases", () => {
  it("refuses a session that another process runs, and gives it back at the end", async () => {
    const first = start("held", "sqlite:held.db")
    await recorded("held", "lease_issued")
    const second = await start("second", "sqlite:held.db", "held").ended
    expect(second.code).toBe(69)
    expect(second.stderr).toMatch(/session held is held by \S+ at epoch \d/u)
    expect((await first.ended).code).toBe(0)
    const row = await Effect.runPromise(
      Effect.flatMap(LeaseStore, (store) => store.read("held")).pipe(
        Effect.provide(authority(NodeSqlite.layer(join(cwd, "held.db"))))
      )
    )
    expect(row.row).toMatchObject({ state: "revoked" })
  }, minute)

  it("stopped for longer than its lease lasts, it says nothing more when it wakes", async () => {
    const call = start("stopped", "sqlite:stopped.db")
    await recorded("stopped", "playback_started")
    call.child.kill("SIGSTOP")
    await wait(1.5 * ttlMs)
    // Another takes the session over meanwhile.
    const taken = await Effect.runPromise(
      Effect.flatMap(LeaseAuthority, (leases) => leases.acquire("stopped", "another")).pipe(
        Effect.provide(authority(NodeSqlite.layer(join(cwd, "stopped.db"))))
      )
    )
    expect(taken.authority_epoch).toBe(2)
    call.child.kill("SIGCONT")
    await call.ended
    const records = await recordsOf("stopped")
    // It noticed by itself, or was told first that another has it; the other's epoch is never its own.
    expect(leaseNews(records).join()).toMatch(/^issued 1,(?:expired 1|revoked 1)/u)
    expect(leaseNews(records).join()).not.toContain("2")
    const lost = records.findIndex(isLoss)
    expect(outputTimes(records.slice(0, lost)).length).toBeGreaterThan(0)
    expect(outputTimes(records.slice(lost))).toEqual([])
    expect(records.some(({ signal }) => signal?.reason === "authority_loss")).toBe(true)
    expect((await rspp(["replay", "stopped.timeline"], { cwd })).code).toBe(0)
  }, minute)

  it("goes on without its database until the lease ends, then stops by itself, and recovers", async (context) => {
    const server = postgresServer()
    if ("missing" in server || server.crash === undefined || server.start === undefined) {
      return context.skip(
        "missing" in server ? server.missing : "the server was given: it is not for this test to stop"
      )
    }
    try {
      const call = start("away", server.url)
      await recorded("away", "playback_started")
      server.crash()
      await wait(2 * ttlMs)
      server.start()
      await call.ended
      const records = await recordsOf("away")
      expect(leaseNews(records).slice(0, 3)).toEqual(["issued 1", "expired 1", "issued 2"])
      const times = records.flatMap(({ input, runtime_timestamp_ms = 0 }) =>
        input?.type === "lease" ? [{ ...input, at: runtime_timestamp_ms }] : []
      )
      const expired = times.find(({ status }) => status === "expired")?.at ?? 0
      const lastRenewal = times.findLast(({ status, at }) => status === "renewed" && at < expired)?.at ?? 0
      expect(expired - lastRenewal).toBeLessThanOrEqual(ttlMs + 200)
      // It spoke on while it had the lease, and not a frame longer.
      expect(outputTimes(records).some((at) => at > lastRenewal && at < expired)).toBe(true)
      expect(outputTimes(records).filter((at) => at > expired)).toEqual([])
      expect(records.some(({ signal }) => signal?.reason === "authority_loss")).toBe(true)
      const postgres = Postgres.layer(Redacted.make(new URL(server.url)))
      const row = await Effect.runPromise(
        Effect.flatMap(LeaseStore, (store) => store.read("away")).pipe(Effect.provide(authority(postgres)))
      )
      expect(row.row).toMatchObject({ authority_epoch: 2, state: "revoked" })
    } finally {
      server.stop()
    }
  }, minute)

  it("says what is wrong with where the leases are, without a password", async () => {
    const input = ["run", "--input", recording("goforward")]
    const nobody = await rspp([...input, "--leases", "postgres://someone:sesame@127.0.0.1:9/calls"], { cwd })
    expect(nobody.code).toBe(69)
    expect(nobody.stdout + nobody.stderr).not.toContain("sesame")
    expect(nobody.stderr).toContain("postgres 127.0.0.1:9/calls: its leases cannot be reached")
    for (
      const wrong of [
        ["--leases", "dir:leases"],
        ["--leases", "leases"],
        ["--lease-ttl", "1000"],
        ["--leases", "sqlite:l.db", "--lease-ttl", "20"],
        ["--leases", "sqlite:l.db", "--speed", "max"],
        ["--session", "../up"]
      ]
    ) {
      const ended = await rspp([...input, ...wrong], { cwd })
      expect([wrong, ended.code]).toEqual([wrong, 2])
    }
  }, minute)
})
