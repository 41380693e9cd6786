// Running a control plane: backup and restore, what doctor finds, rates, and the commands of placements and providers.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { Effect, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { randomUUID } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { startControlPlane } from "./support/ControlServer.ts"
import type { ControlServer } from "./support/ControlServer.ts"
import { rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-operations-"))
const postgres = postgresServer({ durable: true })
/** Two databases on the server, which may be one that was given and holds other things. */
const suffix = randomUUID().replaceAll("-", "")
const databaseAt = (url: string, name: string): URL => {
  const address = new URL(url)
  address.pathname = `/rspp_${name}_${suffix}`
  return address
}
const onServer = (url: string, run: (sql: SqlClient.SqlClient, name: string) => Effect.Effect<unknown, unknown>) =>
  Effect.runPromise(
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => Effect.forEach(["from", "to"], (name) => run(sql, `rspp_${name}_${suffix}`), { discard: true })
    ).pipe(Effect.provide(Postgres.layer(Redacted.make(new URL(url)))))
  )
beforeAll(() =>
  "missing" in postgres ? undefined : onServer(postgres.url, (sql, name) => sql`CREATE DATABASE ${sql(name)}`)
)
afterAll(async () => {
  rmSync(cwd, { recursive: true, force: true })
  if ("missing" in postgres) return
  await onServer(postgres.url, (sql, name) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`)
  postgres.stop()
})

/** Cases for PostgreSQL; where there is none, they say so. */
const onPostgres = (cases: (at: (name: string) => string) => void) =>
  "missing" in postgres
    ? it(`was not run on PostgreSQL: ${postgres.missing}`, (context) => context.skip(postgres.missing))
    : cases((name) => databaseAt(postgres.url, name).href)

const here = (...args: ReadonlyArray<string>) => rspp(args, { cwd })
const as = (url: string, key: string, ...args: ReadonlyArray<string>) =>
  rspp(args, { cwd, env: { RSPP_CONTROL_PLANE: url, RSPP_API_KEY: key } })

interface Report {
  readonly rows: number
  readonly sha256: string
  readonly counter_floor: number
  readonly live_keys: number
  readonly audit: { readonly intact: boolean; readonly sequence: number; readonly hash: string }
}
const json = <A>(text: string) => JSON.parse(text) as A

/** A control plane that is backed up while it runs, restored somewhere else, and served from there. */
const thereAndBack = (name: string, from: () => string, to: () => string) =>
  it(`takes a backup of a control plane that runs, and restores it: ${name}`, async () => {
    const file = `${name.replaceAll(" ", "-")}.backup`
    const first = startControlPlane(cwd, from())
    const { platform_key: platform = "", url } = await first.said
    const owner = json<{ readonly owner: { readonly text: string } }>(
      (await as(url, platform, "tenant", "create", "acme", "--json")).stdout
    ).owner.text
    writeFileSync(
      join(cwd, "assistant.yaml"),
      "schema_version: v1.0\npipeline_id: assistant\npipeline_version: v1\n"
    )
    expect((await as(url, owner, "pipeline", "publish", "assistant.yaml")).code).toBe(0)
    const viewer = json<{ readonly text: string; readonly key: { readonly key_id: string } }>(
      (await as(url, owner, "tenant", "key", "desk", "--role", "viewer", "--json")).stdout
    )
    const backup = await here("control-plane", "backup", "--database", from(), "--to", file, "--json")
    expect([backup.code, backup.stderr]).toEqual([0, ""])
    expect(statSync(join(cwd, file)).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(cwd, file), "utf8")).not.toContain(owner.split("_")[2])
    // after the backup: lost, and the operator is told to do it again
    expect((await as(url, owner, "tenant", "revoke-key", viewer.key.key_id)).code).toBe(0)
    expect((await first.stop()).code).toBe(0)

    const restored = await here("control-plane", "restore", "--database", to(), "--from", file, "--json")
    expect([restored.code, restored.stderr]).toEqual([0, ""])
    const [taken, report] = [json<Report>(backup.stdout), json<Report>(restored.stdout)]
    expect([report.rows, report.sha256, report.live_keys]).toEqual([taken.rows, taken.sha256, 3])
    expect((await here("doctor", "--database", to())).code).toBe(0)

    const second = startControlPlane(cwd, to())
    const said = await second.said
    expect(said.platform_key).toBeUndefined()
    expect((await as(said.url, owner, "pipeline", "list")).stdout).toContain("assistant v1")
    expect((await as(said.url, viewer.text, "pipeline", "list")).code).toBe(0)
    const verified = await as(said.url, platform, "audit", "verify")
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^intact: /u)])
    expect((await as(said.url, owner, "rollout", "put", "assistant", "--stable", "v1", "--if-match", "r0")).code).toBe(
      0
    )
    expect((await second.stop()).code).toBe(0)
  }, 180_000)

describe("backup and restore", () => {
  thereAndBack("SQLite", () => "sqlite:from.sqlite", () => "sqlite:to.sqlite")
  onPostgres((at) => {
    thereAndBack("PostgreSQL into SQLite", () => at("from"), () => "sqlite:from-postgres.sqlite")
    thereAndBack("SQLite into PostgreSQL", () => "sqlite:to-postgres.sqlite", () => at("to"))
  })

  it("says what is wrong with what it was given, and leaves nothing behind", async () => {
    const before = readdirSync(cwd).sort()
    const said = async (...args: ReadonlyArray<string>) => {
      const { code, stderr } = await here("control-plane", ...args)
      return `${code} ${stderr}`
    }
    expect(await said("backup", "--database", "sqlite:gone.sqlite", "--to", "x")).toMatch(/^3 .*there is no such file/u)
    expect(await said("backup", "--database", "sqlite:to.sqlite", "--to", "SQLite.backup")).toMatch(
      /^3 .*there already/u
    )
    expect(await said("backup", "--database", "sqlite:to.sqlite", "--to", "none/x")).toMatch(/^3 .*no directory none/u)
    expect(await said("backup", "--database", "dir:x", "--to", "x")).toMatch(/^2 /u)
    expect(await said("backup", "--database", "postgres://u:sesame@127.0.0.1:9/db", "--to", "x")).toMatch(
      /^69 .*cannot be reached/u
    )
    expect(await said("restore", "--database", "sqlite:to.sqlite", "--from", "SQLite.backup")).toMatch(
      /^3 .*holds a control plane already/u
    )
    expect(await said("restore", "--database", "sqlite:new.sqlite", "--from", "gone")).toMatch(/^3 .*cannot be read/u)
    expect(await said("restore", "--database", "sqlite:new.sqlite", "--from", "assistant.yaml")).toMatch(
      /^3 .*is no backup/u
    )
    expect(readdirSync(cwd).sort()).toEqual(before)
    const text = readFileSync(join(cwd, "SQLite.backup"), "utf8")
    writeFileSync(join(cwd, "cut"), text.slice(0, -200))
    expect(await said("restore", "--database", "sqlite:new.sqlite", "--from", "cut")).toMatch(/^3 .*(?:cut off|line)/u)
    writeFileSync(join(cwd, "changed"), text.replace("desk", "disk"))
    expect(await said("restore", "--database", "sqlite:new.sqlite", "--from", "changed")).toMatch(/^3 .*was changed/u)
    expect(readdirSync(cwd).filter((name) => name.startsWith("new.sqlite"))).toEqual([])
  }, 120_000)

  it("ends with 1 when the audit log in the backup was not intact", async () => {
    const database = new DatabaseSync(join(cwd, "to.sqlite"))
    database.exec("UPDATE rspp_audit SET actor = 'nobody' WHERE sequence = 2")
    database.close()
    expect((await here("control-plane", "backup", "--database", "sqlite:to.sqlite", "--to", "bent")).code).toBe(0)
    const { code, stdout } = await here(
      "control-plane",
      "restore",
      "--database",
      "sqlite:bent.sqlite",
      "--from",
      "bent"
    )
    expect([code, stdout]).toEqual([1, expect.stringContaining("NOT intact: row 2 was changed")])
  }, 60_000)
})

describe("rspp doctor", () => {
  const findings = async (...args: ReadonlyArray<string>) => {
    const { code, stdout } = await here("doctor", ...args, "--json")
    const { findings } = json<{
      readonly findings: ReadonlyArray<{ readonly check: string; readonly ok: boolean; readonly message: string }>
    }>(stdout)
    return { code, wrong: findings.filter(({ ok }) => !ok).map(({ check, message }) => `${check}: ${message}`) }
  }

  it("finds a database that a newer program made, one that lacks a table, and a file that is damaged", async () => {
    const database = "sqlite:from.sqlite"
    expect(await findings("--database", database)).toEqual({ code: 0, wrong: [] })
    const change = (statement: string) => {
      const opened = new DatabaseSync(join(cwd, "from.sqlite"))
      opened.exec(statement)
      opened.close()
    }
    change("INSERT INTO rspp_control_migrations (migration_id, name) VALUES (9001, 'news')")
    expect(await findings("--database", database)).toEqual({
      code: 69,
      wrong: [expect.stringMatching(/^migrations: made by a newer program: 9001_news/u)]
    })
    change("DELETE FROM rspp_control_migrations WHERE migration_id IN (8, 9001)")
    expect(await findings("--database", database)).toEqual({
      code: 69,
      wrong: [expect.stringMatching(/^migrations: not there yet: 0008_sessions/u)]
    })
    change("PRAGMA journal_mode = DELETE")
    const path = join(cwd, "from.sqlite")
    const bytes = readFileSync(path)
    for (let page = 4; page * 4096 < bytes.length; page += 3) bytes.fill(0x5a, page * 4096, page * 4096 + 2000)
    writeFileSync(path, bytes)
    const { code, wrong } = await findings("--database", database)
    expect([code, wrong.join("\n")]).toEqual([69, expect.stringMatching(/damaged|malformed/u)])
  }, 60_000)

  onPostgres((from) => {
    it("finds a PostgreSQL that only takes reads, and one that does not keep what it commits", async () => {
      const at = (setting: string) => {
        const address = new URL(from("from"))
        address.searchParams.set("options", `-c ${setting}`)
        return address.href
      }
      expect(await findings("--database", from("from"))).toEqual({ code: 0, wrong: [] })
      expect(await findings("--database", at("default_transaction_read_only=on"))).toEqual({
        code: 69,
        wrong: [expect.stringMatching(/^writable: it only takes reads/u)]
      })
      expect(await findings("--database", at("synchronous_commit=off"))).toEqual({
        code: 69,
        wrong: [expect.stringMatching(/^durability: synchronous_commit off/u)]
      })
    }, 60_000)
  })

  /** Something that answers like a control plane, but for one thing. */
  const fake = async (answers: Readonly<Record<string, readonly [number, unknown]>>) => {
    const server = createServer((request, response) => {
      const [status, body] = answers[request.url ?? ""] ?? [404, {}]
      const value: unknown = typeof body === "function" ? (body as () => unknown)() : body
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => server.close() }
  }
  const good = {
    "/healthz": [200, { status: "ok" }],
    "/readyz": [200, () => ({ status: "ready", now_ms: Date.now() })],
    "/openapi.json": [200, { info: { version: "1.0.0" } }]
  } as const
  const examined = async (change: Readonly<Record<string, readonly [number, unknown]>>) => {
    const { stop, url } = await fake({ ...good, ...change })
    const result = await findings("--control-plane", url)
    stop()
    return result
  }

  it(
    "finds a control plane that is not ready, another program, an API of another version, and a clock that is off",
    async () => {
      expect(await examined({})).toEqual({ code: 0, wrong: [] })
      expect(await examined({ "/readyz": [503, { detail: "no database" }] })).toEqual({
        code: 69,
        wrong: ["ready: it is not ready: no database"]
      })
      expect(await examined({ "/healthz": [200, { hello: "world" }] })).toEqual({
        code: 69,
        wrong: [expect.stringMatching(/^connectivity: .*not as a control plane does/u)]
      })
      expect(await examined({ "/openapi.json": [200, { info: { version: "2.0.0" } }] })).toEqual({
        code: 69,
        wrong: [expect.stringMatching(/^api_version: its API has version 2.0.0/u)]
      })
      const late = () => ({ status: "ready", now_ms: Date.now() - 5000 })
      expect(await examined({ "/readyz": [200, late] })).toEqual({
        code: 69,
        wrong: [expect.stringMatching(/^clock_skew: its clock is \d+ ms behind/u)]
      })
      expect((await findings("--control-plane", "http://127.0.0.1:9")).wrong).toEqual([
        expect.stringMatching(/^connectivity: .*cannot be reached/u)
      ])
      expect((await here("doctor", "--control-plane", "nowhere")).code).toBe(2)
    },
    120_000
  )

  it("finds a control plane below a path of its host, and repeats no password of an address", async () => {
    const below = Object.fromEntries(Object.entries(good).map(([path, answer]) => [`/rspp${path}`, answer]))
    const { stop, url } = await fake(below)
    expect(await findings("--control-plane", `${url}/rspp/`)).toEqual({ code: 0, wrong: [] })
    stop()
    for (const args of [["doctor", "--control-plane"], ["session", "list", "--server"]]) {
      const { code, stderr, stdout } = await here(...args, "http://me:sesame@127.0.0.1:9")
      expect([args, code, stdout + stderr]).toEqual([args, 2, expect.not.stringContaining("sesame")])
    }
  }, 60_000)

  it("looks at a control plane also when the database is not as it should be", async () => {
    const { stop, url } = await fake(good)
    const { code, stdout } = await here("doctor", "--database", "sqlite:nowhere.sqlite", "--control-plane", url)
    stop()
    expect([code, stdout]).toEqual([69, expect.stringMatching(/there is no such file[^]*ready/u)])
  }, 60_000)
})

describe("a control plane with a rate", () => {
  let server: ControlServer
  let url = ""
  let platform = ""
  let owner = ""
  let runtime = ""
  beforeAll(async () => {
    server = startControlPlane(cwd, "sqlite:rate.sqlite", "--rate", "0.001", "--burst", "40")
    const said = await server.said
    url = said.url
    platform = said.platform_key ?? ""
    owner = json<{ readonly owner: { readonly text: string } }>(
      (await as(url, platform, "tenant", "create", "acme", "--json")).stdout
    ).owner.text
    runtime = json<{ readonly text: string }>(
      (await as(url, owner, "tenant", "key", "rt", "--role", "runtime", "--json")).stdout
    ).text
  }, 60_000)
  afterAll(() => server.stop())

  it("is looked at by rspp doctor, with a key that is accepted and one that is not", async () => {
    for (const key of [platform, owner]) {
      const { code, stdout } = await as("", key, "doctor", "--control-plane", url)
      expect([code, stdout]).toEqual([0, expect.stringContaining("is accepted")])
    }
    const { code, stdout } = await as("", `${owner.slice(0, -2)}zz`, "doctor", "--control-plane", url)
    expect([code, stdout]).toEqual([69, expect.stringContaining("is refused")])
  }, 60_000)

  it("has placements and provider health, from those who may say so", async () => {
    const put = (key: string) =>
      as(url, key, "placement", "put", "pod-1", "--endpoint", "wss://a", "--endpoint", "wss://b", "--region", "eu")
    expect((await put(owner)).code).toBe(69)
    expect((await put(runtime)).stdout).toBe("pod-1 is announced for 30 s\n")
    expect((await as(url, owner, "placement", "list")).stdout).toBe("pod-1  eu  wss://a wss://b\n")
    expect(json((await as(url, owner, "placement", "list", "--json")).stdout)).toEqual({
      items: [{ placement_id: "pod-1", region: "eu", endpoints: ["wss://a", "wss://b"] }]
    })
    expect((await as(url, owner, "provider", "health")).stdout).toBe("no provider was reported in the last minute\n")
    expect((await as(url, owner, "provider", "report", "whisper", "--failed", "20")).code).toBe(69)
    const first = [
      "--succeeded",
      "3",
      "--slow",
      "1",
      "--first-result",
      "40",
      "--first-result",
      "60",
      "--first-result",
      "900"
    ]
    for (const counts of [["--failed", "20"], first]) {
      const report = await as(url, runtime, "provider", "report", "whisper", ...counts)
      expect([report.code, report.stderr]).toEqual([0, ""])
    }
    expect((await as(url, owner, "provider", "health")).stdout).toBe(
      "whisper  open (too many calls fail)  23 calls, 87.0 % failed, 1 slow  first result 75 ms p50, 962 ms p95\n"
    )
    expect(json((await as(url, owner, "provider", "health", "--json")).stdout)).toEqual({
      providers: { whisper: "open" },
      windows: {
        whisper: {
          succeeded: 3,
          failed: 20,
          slow: 1,
          error_rate: 0.87,
          first_result_ms: { p50: 75, p95: 962 },
          because: "failures"
        }
      }
    })
  }, 60_000)

  it("takes schedules and canaries of rollouts from the command line", async () => {
    for (const version of ["v1", "v2"]) {
      const file = join(cwd, `${version}.yaml`)
      writeFileSync(file, `schema_version: v1.0\npipeline_id: assistant\npipeline_version: ${version}\n`)
      expect((await as(url, owner, "pipeline", "publish", file)).code).toBe(0)
    }
    const put = (...more: ReadonlyArray<string>) =>
      as(url, owner, "rollout", "put", "assistant", "--stable", "v1", "--candidate", "v2", ...more)
    const set = await put(
      ...["--percent", "1", "--step", "2026-12-01T08:00:00Z=25", "--step", "1798761600000=100"],
      ...["--canary", "language=de,region=eu", "--canary-region", "us"]
    )
    expect([set.code, set.stderr]).toEqual([0, ""])
    expect(json((await as(url, owner, "rollout", "get", "assistant", "--json")).stdout)).toMatchObject({
      body: {
        percent: 1,
        schedule: [{ at_ms: 1_796_112_000_000, percent: 25 }, { at_ms: 1_798_761_600_000, percent: 100 }],
        canary: [{ region: "us" }, { language: "de", region: "eu" }]
      }
    })
    const wrong = async (...more: ReadonlyArray<string>) => {
      const { code, stderr } = await put(...more)
      return `${code} ${stderr}`
    }
    expect(await wrong("--step", "soon=5")).toMatch(/^2 .*--step soon=5 is no step/u)
    expect(await wrong("--step", "2026-12-01")).toMatch(/^2 .*is no step/u)
    expect(await wrong("--canary", "country=de")).toMatch(/^2 .*--canary country=de names no sessions/u)
  }, 60_000)

  it("refuses a key that asks too much, and says for how long", async () => {
    let last = await as(url, platform, "tenant", "list")
    for (let n = 0; n < 60 && last.code === 0; n++) {
      // the API itself, so that sixty requests are no sixty programs
      const { status } = await fetch(`${url}/v1/tenants`, { headers: { authorization: `Bearer ${platform}` } })
      if (status === 429) last = await as(url, platform, "tenant", "list")
    }
    expect([last.code, last.stderr]).toEqual([3, expect.stringMatching(/ask again in \d+ ms/u)])
    expect((await as(url, runtime, "provider", "health")).code).toBe(0)
  }, 60_000)

  it("takes no limit that is none", async () => {
    for (
      const flags of [["--rate", "-1"], ["--rate", "5000"], ["--rate", "1", "--burst", "0"], [
        "--rate",
        "0",
        "--burst",
        "5"
      ]]
    ) {
      const { code, stderr } = await here("control-plane", "--database", "sqlite:none.sqlite", ...flags)
      expect([code, stderr]).toEqual([2, expect.stringContaining("is no limit")])
    }
  }, 60_000)
})
