// Sessions whose runtime dies or stands still, and another one that stands by: each is the real program in a process of
// its own.
import { LeaseAuthority, minLeaseTtlMs } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import type { SessionAbout } from "@rspp/timeline/state/SessionStates"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import type { DurableState } from "@rspp/runtime/ports/SessionStateStore"
import { Effect, Layer, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { ChildProcess } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { recording, rspp } from "./support/Program.ts"
import type { Ended } from "./support/Program.ts"
import { decoded } from "./support/Timeline.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-standby-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minutes = 300_000
/** Long enough that a slow machine does not cost a living process its lease. */
const ttlMs = 6000
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const script = (name: string, steps: ReadonlyArray<Readonly<Record<string, string>>>): string => {
  writeFileSync(join(cwd, name), JSON.stringify({ steps }))
  return name
}
/** Speaks, hears the answer, and then types so much that the agent, who repeats it, speaks for half a minute. */
const caller = script("caller.json", [
  { say: recording("goforward") },
  { text: `I would like a table for two ${"by the window, or if there is none by the door, ".repeat(8)}please.` }
])
/** What the caller says to whoever has the session next. */
script("again-killed.json", [{ text: "Are you still there?" }])
script("again-stopped.json", [{ text: "Are you still there?" }])

interface Started {
  readonly ended: Promise<Ended>
  readonly child: ChildProcess
  /** What it has printed so far. */
  readonly printed: () => string
}

const started = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Started => {
  let child: ChildProcess | undefined
  let printed = ""
  const ended = rspp(args, {
    cwd,
    env,
    started: (process) => void (child = process),
    watch: (stdout) => void (printed = stdout)
  })
  if (child === undefined) throw new Error("the program was not started")
  return { ended, child, printed: () => printed }
}

const shared = (leases: string) => ["--leases", leases, "--lease-ttl", String(ttlMs), "--json"]
const runs = (session: string, leases: string) =>
  started(["run", "--script", caller, "--session", session, "--timeline", `${session}.timeline`, ...shared(leases)])
const standsBy = (leases: string) =>
  started(["standby", "--script", "again-{session}.json", "--timelines", "taken", "--once", ...shared(leases)])

/** Asks until there is an answer. */
const until = async <A>(what: string, ask: () => Promise<A | undefined>, said = (): string => ""): Promise<A> => {
  for (let tries = 0; tries < 2400; tries++) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await wait(50)
  }
  throw new Error(`never: ${what}. ${said()}`)
}

const kept = (client: Layer.Layer<SqlClient.SqlClient, unknown>, session: string): Promise<DurableState | undefined> =>
  Effect.runPromise(
    Effect.flatMap(SessionStates, ({ load }) => load(session)).pipe(
      Effect.provide(SessionStates.layerSql({ name: "test" }).pipe(Layer.provide(client)))
    )
  )

/** What is kept of a session in which one turn was spoken. */
const stateOf = (session_id: string): DurableState => ({
  session_id,
  authority_epoch: 1,
  revision: 1,
  turns: 1,
  invocations: 1,
  accepted_turns: 1,
  idempotency_keys: [],
  conversation: [{ role: "user", turn_id: "turn_1", parts: [{ text: "My name is Ann.", chars: 15 }] }]
})

/** A runtime has had the session and is gone: its lease runs out by itself. */
const leaves = (
  database: Layer.Layer<SqlClient.SqlClient, unknown>,
  state: DurableState,
  about?: SessionAbout
): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      yield* (yield* LeaseAuthority).acquire(state.session_id, "gone")
      yield* (yield* SessionStates).save(state, about)
    }).pipe(Effect.provide(
      LeaseAuthority.layerNoDeps({ ttlMs: minLeaseTtlMs }).pipe(
        Layer.provide(SqlLeaseStore.layer({ name: "test" })),
        Layer.provide(LeaseTokens.layerSeeded(1)),
        Layer.merge(SessionStates.layerSql({ name: "test" })),
        Layer.provide(database)
      )
    ))
  )

/** Waits until the agent speaks for the second time, and what was said before is kept. */
const midCall = async (client: Layer.Layer<SqlClient.SqlClient, unknown>, session: string): Promise<DurableState> => {
  await until("the second answer is heard", async () => {
    const records: ReadonlyArray<object> = decoded(join(cwd, `${session}.timeline`))?.records ?? []
    return records.some((record) =>
        /"playback_started".*"turn_2"|"turn_2".*"playback_started"/u.test(JSON.stringify(record))
      )
      ? true
      : undefined
  })
  return until("what was said is kept", async () => {
    const state = await kept(client, session)
    return (state?.conversation.length ?? 0) >= 3 ? state : undefined
  })
}

interface Told {
  readonly record: string
  readonly input?: {
    readonly type: string
    readonly status?: string
    readonly authority_epoch?: number
    readonly turns?: number
    readonly conversation?: ReadonlyArray<unknown>
  }
  readonly signal?: { readonly signal: string; readonly authority_epoch: number; readonly reason?: string }
  readonly event?: { readonly turn_id?: string }
}

const recordsOf = async (file: string): Promise<ReadonlyArray<Told>> => {
  const { code, stdout } = await rspp(["timeline", "export", file, "--to", "jsonl"], { cwd })
  expect(code).toBe(0)
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as Told)
}

interface Happened {
  readonly event: "standing_by" | "begun" | "taken" | "ended" | "failed" | "foreign"
  readonly session_id?: string
  readonly authority_epoch?: number
  readonly turns?: number
  readonly conversation?: number
}
const eventsOf = (printed: string): ReadonlyArray<Happened> =>
  printed.slice(0, printed.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Happened)

/** The successor's recording: begun under a higher epoch, from what was kept, whole, and the same when it is replayed. */
const wentOn = async (session: string, before: DurableState, printed: string): Promise<void> => {
  const [standing, taken, ended, ...more] = eventsOf(printed)
  expect([standing?.event, taken?.event, ended?.event, more]).toEqual(["standing_by", "taken", "ended", []])
  const epoch = taken?.authority_epoch ?? 0
  expect(epoch).toBeGreaterThan(before.authority_epoch)
  expect(ended).toMatchObject({ session_id: session, accepted_turns: 1 })
  const file = join("taken", `${session}.e${epoch}.timeline`)
  expect((await rspp(["timeline", "verify", file], { cwd })).code).toBe(0)
  expect((await rspp(["replay", file], { cwd })).code).toBe(0)
  const { stdout } = await rspp(["timeline", "show", file], { cwd })
  expect(stdout).toMatch(/session_resumed from_epoch \d+ turns \d+ accepted \d+ lines [1-9]\d* keys \d+\n/u)
  const records = await recordsOf(file)
  const [resumed] = records.flatMap(({ input }) => input?.type === "session_resumed" ? [input] : [])
  expect(resumed?.authority_epoch).toBeLessThan(epoch)
  expect(resumed?.turns).toBeGreaterThanOrEqual(before.turns)
  expect(resumed?.conversation?.length).toBeGreaterThanOrEqual(before.conversation.length)
  const signals = records.flatMap(({ signal }) => signal === undefined ? [] : [signal])
  expect(signals.map(({ signal }) => signal).slice(0, 4)).toEqual([
    "lease_rotated",
    "migration_start",
    "migration_finish",
    "session_handoff"
  ])
  expect(signals.filter(({ authority_epoch }) => authority_epoch < epoch)).toEqual([])
  expect(signals.filter(({ signal }) => signal === "playback_completed").length).toBeGreaterThan(0)
  expect(signals.map(({ signal }) => signal)).toContain("commit")
}

const killed = async (leases: string, client: Layer.Layer<SqlClient.SqlClient, unknown>): Promise<void> => {
  const standby = standsBy(leases)
  await until("it stands by", async () => standby.printed().includes("standing_by") ? true : undefined)
  const call = runs("killed", leases)
  const before = await midCall(client, "killed")
  call.child.kill("SIGKILL")
  const ended = await standby.ended
  expect([ended.stderr, ended.code]).toEqual(["", 0])
  await wentOn("killed", before, ended.stdout)
  // The session is over: nobody needs its words any more.
  expect(await kept(client, "killed")).toBeUndefined()
}

describe("rspp standby", () => {
  it(
    "goes on with a session whose process was killed, on SQLite",
    () => killed("sqlite:killed.db", NodeSqlite.layer(join(cwd, "killed.db"))),
    minutes
  )

  it("goes on with a session whose process was killed, on PostgreSQL", async (context) => {
    rmSync(join(cwd, "taken"), { recursive: true, force: true })
    rmSync(join(cwd, "killed.timeline"), { force: true })
    const server = postgresServer()
    if ("missing" in server) return context.skip(server.missing)
    try {
      await killed(server.url, Postgres.layer(Redacted.make(new URL(server.url))))
    } finally {
      server.stop()
    }
  }, minutes)

  it("goes on with a session whose process stands still, which emits nothing when it wakes", async () => {
    const database = NodeSqlite.layer(join(cwd, "stopped.db"))
    const standby = standsBy("sqlite:stopped.db")
    await until("it stands by", async () => standby.printed().includes("standing_by") ? true : undefined)
    const call = runs("stopped", "sqlite:stopped.db")
    const before = await midCall(database, "stopped")
    call.child.kill("SIGSTOP")
    const { code, stdout } = await standby.ended
    expect(code).toBe(0)
    await wentOn("stopped", before, stdout)
    call.child.kill("SIGCONT")
    await call.ended
    const records = await recordsOf("stopped.timeline")
    const lost = records.findIndex(({ input }) =>
      input?.type === "lease" && (input.status === "expired" || input.status === "revoked")
    )
    expect(lost).toBeGreaterThan(0)
    const heard = (some: ReadonlyArray<Told>) =>
      some.filter(({ input }) => /^(?:output_accepted|playback_started)$/u.test(input?.type ?? ""))
    expect(heard(records.slice(0, lost)).length).toBeGreaterThan(0)
    expect(heard(records.slice(lost))).toEqual([])
    expect(records.some(({ signal }) => signal?.reason === "authority_loss")).toBe(true)
    const taken = eventsOf(stdout).find(({ event }) => event === "taken")?.authority_epoch ?? 0
    expect(records.filter(({ signal }) => (signal?.authority_epoch ?? 0) >= taken)).toEqual([])
    // Nor does it leave any words behind where its successor has removed them.
    expect(await kept(database, "stopped")).toBeUndefined()
    expect((await rspp(["replay", "stopped.timeline"], { cwd })).code).toBe(0)
  }, minutes)

  it("runs sessions that are placed, which move when their process is killed, and when it leaves", async (context) => {
    const server = postgresServer()
    if ("missing" in server) return context.skip(server.missing)
    script("again-placed.json", [{ text: `I would like a table for two ${"by the window, ".repeat(12)}please.` }])
    const client = Postgres.layer(Redacted.make(new URL(server.url)))
    const joins = () =>
      started([
        "standby",
        "--placed",
        "--script",
        "again-{session}.json",
        "--timelines",
        "placed",
        ...shared(server.url)
      ])
    /** Who has the session under a higher epoch than this. */
    const owner = (above: number) =>
      until(
        `somebody has it above epoch ${above}`,
        async () =>
          runtimes.flatMap((one) =>
            eventsOf(one.printed()).filter(({ authority_epoch = 0, event }) =>
              (event === "begun" || event === "taken") && authority_epoch > above
            ).map((event) => ({ one, epoch: event.authority_epoch ?? 0, ...event }))
          ).at(0),
        () => runtimes.map((one) => one.printed()).join("\n")
      )
    const speaks = (epoch: number) =>
      until(`it speaks under epoch ${epoch}`, async () => {
        const records: ReadonlyArray<object> = decoded(join(cwd, "placed", `placed.e${epoch}.timeline`))?.records ?? []
        return JSON.stringify(records).includes("playback_started") ? true : undefined
      })
    const runtimes = [joins(), joins()]
    try {
      const placed = await rspp(["place", "placed", "--leases", server.url, "--json"], { cwd })
      expect([placed.stderr, placed.code]).toEqual(["", 0])
      expect(JSON.parse(placed.stdout)).toEqual({ event: "placed", session_id: "placed" })
      const first = await owner(0)
      expect(first.event).toBe("begun")
      await speaks(first.epoch)
      await until("it is kept", () => kept(client, "placed"))
      first.one.child.kill("SIGKILL")
      const second = await owner(first.epoch)
      expect(second.one).not.toBe(first.one)
      expect(second).toMatchObject({ event: "taken", turns: 1 })
      expect(second.conversation).toBeGreaterThan(0)
      await speaks(second.epoch)
      // It leaves, and what it had is for whoever comes.
      second.one.child.kill("SIGINT")
      expect((await second.one.ended).code).toBe(130)
      runtimes.push(joins())
      const last = await owner(second.epoch)
      expect(last).toMatchObject({ event: "taken", turns: 2 })
      expect(last.conversation).toBeGreaterThan(second.conversation ?? 0)
      const third = await until(
        "it has ended",
        async () => runtimes.find((one) => eventsOf(one.printed()).some(({ event }) => event === "ended"))
      )
      expect(third).toBe(last.one)
      third.child.kill("SIGINT")
      await third.ended
      expect(await kept(client, "placed")).toBeUndefined()
      // The first one's ends where it was killed.
      const files = readdirSync(join(cwd, "placed")).filter((file) => file.endsWith(".timeline")).sort()
      expect(files.length).toBeGreaterThanOrEqual(3)
      for (const file of files.slice(1)) {
        expect((await rspp(["timeline", "verify", join("placed", file)], { cwd })).code).toBe(0)
        expect((await rspp(["replay", join("placed", file)], { cwd })).code).toBe(0)
      }
    } finally {
      for (const { child } of runtimes) child.kill("SIGKILL")
      server.stop()
    }
  }, minutes)

  it("runs no more sessions at once than it may, placed ones and others counted together", async (context) => {
    const server = postgresServer()
    if ("missing" in server) return context.skip(server.missing)
    const client = Postgres.layer(Redacted.make(new URL(server.url)))
    script("one-placed.json", [{ text: `I would like a table for two ${"by the window, ".repeat(12)}please.` }])
    script("one-orphan.json", [{ text: "Are you still there?" }])
    const standby = started([
      ...["standby", "--placed", "--sessions", "1", "--abandoned-after", String(minutes)],
      ...["--script", "one-{session}.json", "--timelines", "one", ...shared(server.url)]
    ])
    const happened = (event: string, session: string) => () =>
      Promise.resolve(
        eventsOf(standby.printed()).find((one) => one.event === event && one.session_id === session)
      )
    try {
      expect((await rspp(["place", "placed", "--leases", server.url], { cwd })).code).toBe(0)
      await until("the placed one has begun", happened("begun", "placed"))
      await Effect.runPromise(
        Effect.flatMap(LeaseAuthority, (leases) => leases.acquire("orphan", "gone")).pipe(
          Effect.provide(
            LeaseAuthority.layerNoDeps({ ttlMs: minLeaseTtlMs }).pipe(
              Layer.provide(SqlLeaseStore.layer({ name: "test", answerWithinMs: 20_000 })),
              Layer.provide(LeaseTokens.layerSeeded(1)),
              Layer.provide(client)
            )
          )
        )
      )
      await until("the other one was taken over", happened("taken", "orphan"))
      expect(eventsOf(standby.printed()).map(({ event, session_id }) => `${event} ${session_id}`).slice(1, 4)).toEqual([
        "begun placed",
        "ended placed",
        "taken orphan"
      ])
    } finally {
      standby.child.kill("SIGINT")
      await standby.ended
      server.stop()
    }
  }, minutes)

  it("keeps no words of a session that it could not go on with", async () => {
    const database = NodeSqlite.layer(join(cwd, "failed.db"))
    const state = stateOf("unreadable")
    await leaves(database, state)
    expect(await kept(database, "unreadable")).toEqual(state)
    const standby = started([
      "standby",
      "--script",
      "nowhere-{session}.json",
      "--abandoned-after",
      String(minutes),
      ...shared("sqlite:failed.db")
    ])
    try {
      await until("it failed", async () => eventsOf(standby.printed()).find(({ event }) => event === "failed"))
      expect(await kept(database, "unreadable")).toBeUndefined()
    } finally {
      standby.child.kill("SIGINT")
    }
    expect((await standby.ended).code).toBe(130)
  }, minutes)

  it("leaves sessions of another pipeline, and those that are in rooms, to others, and says so once", async () => {
    const database = NodeSqlite.layer(join(cwd, "foreign.db"))
    const pipeline = { pipeline_id: "other", pipeline_version: "7", hash: "0".repeat(64) }
    const states = [stateOf("other"), stateOf("room")] as const
    await leaves(database, states[0], { pipeline })
    await leaves(database, states[1], { pipeline, room: { name: "lobby", identity: "agent" } })
    await leaves(database, stateOf("unknown"))
    const standby = started([
      ...["standby", "--script", "again-killed.json", "--once", "--abandoned-after", String(minutes)],
      ...shared("sqlite:foreign.db")
    ])
    expect((await standby.ended).code).toBe(0)
    const happened = eventsOf(standby.printed()).map(({ event, session_id = "" }) => `${event} ${session_id}`).sort()
    expect(happened).toEqual(["ended unknown", "foreign other", "foreign room", "standing_by ", "taken unknown"])
    for (const state of states) expect(await kept(database, state.session_id)).toEqual(state)
  }, minutes)

  it("asks a control plane for the snapshots of the session that it has taken over", async () => {
    await leaves(NodeSqlite.layer(join(cwd, "followed.db")), stateOf("followed"))
    const asked: Array<string | undefined> = []
    const server = createServer((request, response) => {
      asked.push(request.url)
      response.writeHead(503).end()
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    const standby = started([
      ...["standby", "--script", script("followed.json", [{ text: "Are you still there?" }])],
      ...["--abandoned-after", String(minutes), "--snapshots", `http://127.0.0.1:${port}`],
      ...shared("sqlite:followed.db")
    ], { RSPP_API_KEY: "rk_of_nobody" })
    try {
      expect(await until("it asks", async () => asked.at(0))).toBe("/v1/sessions/followed/snapshots")
    } finally {
      standby.child.kill("SIGINT")
      await standby.ended
      server.close()
    }
  }, minutes)

  it("follows snapshots once for all its sessions", async (context) => {
    const server = postgresServer()
    if ("missing" in server) return context.skip(server.missing)
    const client = Postgres.layer(Redacted.make(new URL(server.url)))
    const listeners = Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`SELECT pid FROM pg_stat_activity WHERE query ~* 'listen.*rspp_snapshots' AND pid <> pg_backend_pid()`
    )
    const sessions = ["both-a", "both-b"]
    const long = script("both.json", [{ text: `I would like a table for two ${"by the window, ".repeat(60)}please.` }])
    let standby: Started | undefined
    try {
      expect((await rspp(["snapshots", "publish", "--to", server.url, "--once"], { cwd })).code).toBe(0)
      for (const session of sessions) await leaves(client, stateOf(session))
      standby = started([
        ...["standby", "--script", long, "--timelines", "both", "--abandoned-after", String(minutes)],
        ...["--snapshots", server.url, ...shared(server.url)]
      ])
      for (const session of sessions) {
        await until(`${session} has a turn`, async () => {
          const files = existsSync(join(cwd, "both")) ? readdirSync(join(cwd, "both")) : []
          const file = files.find((name) => name.startsWith(`${session}.e`) && name.endsWith(".timeline"))
          const records = file === undefined ? [] : decoded(join(cwd, "both", file))?.records ?? []
          return JSON.stringify(records).includes("turn_open") ? true : undefined
        })
      }
      expect(await Effect.runPromise(Effect.provide(listeners, client))).toHaveLength(1)
    } finally {
      standby?.child.kill("SIGKILL")
      await standby?.ended
      server.stop()
    }
  }, minutes)

  it("says at once what is wrong with what it was given", async () => {
    for (
      const wrong of [
        ["--leases", "dir:leases", "--script", caller],
        ["--leases", "sqlite:l.db", "--script", caller, "--lease-ttl", "20"],
        ["--leases", "sqlite:l.db", "--script", caller, "--sessions", "0"],
        ["--leases", "sqlite:l.db", "--script", caller, "--snapshot-scope", "x"],
        ["--leases", "sqlite:l.db", "--script", caller, "--snapshots", "dir:x", "--max-staleness", "-1"],
        ["--leases", "sqlite:l.db", "--script", caller, "--placed"],
        ["--leases", "sqlite:l.db", "--input", "-"],
        ["--leases", "sqlite:l.db"]
      ]
    ) {
      expect([wrong, (await rspp(["standby", ...wrong], { cwd })).code]).toEqual([wrong, 2])
    }
    const nobody = await rspp(
      ["standby", "--script", caller, "--leases", "postgres://someone:sesame@127.0.0.1:9/calls"],
      { cwd }
    )
    expect(nobody.code).toBe(69)
    expect(nobody.stdout + nobody.stderr).not.toContain("sesame")
  }, minutes)
})
