// Sessions that are placed on runtimes by Effect's cluster layer: each runtime is a process of its own, on PostgreSQL.
import { afterAll, assert, it } from "@effect/vitest"
import * as Postgres from "@rspp/sql/Postgres"
import { Effect, Layer, Redacted } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SessionPlacement } from "../src/SessionPlacement.ts"
import { withPostgres } from "./support/LeaseStores.ts"

const directory = mkdtempSync(join(tmpdir(), "rspp-placed-"))
const log = join(directory, "log.ndjson")
const ttlMs = 3000
const sessions = Array.from({ length: 12 }, (_, i) => `ses_${i}`)

interface Line {
  readonly k: "ready" | "begin" | "over"
  readonly p: string
  readonly s: string
  readonly e: number
}

const lines = (): ReadonlyArray<Line> => {
  if (!existsSync(log)) return []
  const text = readFileSync(log, "utf8")
  return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line)
}

/** Who has each session: whoever has begun it under the highest epoch. */
const owners = (): ReadonlyMap<string, Line> => {
  const all = new Map<string, Line>()
  for (const line of lines()) {
    if (line.k === "begin" && (all.get(line.s)?.e ?? 0) < line.e) all.set(line.s, line)
  }
  return all
}
const ownedBy = (name: string) => sessions.filter((session) => owners().get(session)?.p === name)

const until = async (what: string, is: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 2400; tries++) {
    if (is()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`never: ${what}\n${lines().map((line) => JSON.stringify(line)).join("\n")}`)
}

withPostgres("placement", ({ stop, url }) => {
  const children: Array<ChildProcess> = []
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL")
    stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const begin = async (name: string, more: { readonly maxSessions?: number } = {}): Promise<ChildProcess> => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, "support/placed.child.ts"), JSON.stringify({ url, name, log, ttlMs, ...more })],
      { stdio: ["ignore", "ignore", "inherit"] }
    )
    children.push(child)
    await until(`${name} is ready`, () => lines().some(({ k, p }) => k === "ready" && p === name))
    return child
  }
  const place = (ids: ReadonlyArray<string>) =>
    Effect.runPromise(
      Effect.flatMap(
        SessionPlacement,
        (placement) => Effect.forEach(ids, (id) => placement.place(id), { discard: true })
      ).pipe(
        Effect.provide(
          SessionPlacement.layerClient({ goneAfterMs: ttlMs }).pipe(
            Layer.provide(Postgres.layer(Redacted.make(new URL(url))))
          )
        )
      )
    )

  it("begin as soon as another one is over, where there is room for one at a time", async () => {
    const narrow = await begin("narrow", { maxSessions: 1 })
    // A place that stayed taken for the minute in which the cluster remembers a session would make this ten of them.
    const short = Array.from({ length: 10 }, (_, i) => `short_${i}`)
    await place(short)
    const over = () => lines().filter(({ k, p }) => k === "over" && p === "narrow")
    await until("every one is over", () => over().length === short.length)
    const told = lines().filter(({ p, s }) => p === "narrow" && short.includes(s)).map(({ k }) => k)
    assert.deepStrictEqual(told, short.flatMap(() => ["begin", "over"]), "one at a time")
    narrow.kill("SIGKILL")
  }, 400_000)

  it("spread over the runtimes, move when one dies or stands still, and never run twice", async () => {
    const first = await begin("p1")
    await place([...sessions, "short"])
    await until("every session runs", () => sessions.every((session) => owners().has(session)))
    const second = await begin("p2")
    await until("the second runtime has some", () => ownedBy("p2").length > 0 && ownedBy("p1").length > 0)

    first.kill("SIGKILL")
    await until("what the first one had is the second one's", () => ownedBy("p2").length === sessions.length)

    await begin("p3")
    await until("the third runtime has some", () => ownedBy("p3").length > 0)
    second.kill("SIGSTOP")
    await until("what the second one had is the third one's", () => ownedBy("p3").length === sessions.length)
    second.kill("SIGCONT")
    await until("the second one has some again", () => ownedBy("p2").length > 0)

    // Each epoch is one runtime's, and each session's epochs only go up.
    const begun = lines().filter(({ k }) => k === "begin")
    assert.strictEqual(new Set(begun.map(({ e, s }) => `${s} ${e}`)).size, begun.length)
    for (const session of sessions) {
      const epochs = begun.filter(({ s }) => s === session).map(({ e }) => e)
      assert.deepStrictEqual(epochs, epochs.toSorted((a, b) => a - b), session)
    }
    // One that is over is not begun again, by whomever, also when it is placed again.
    await place(["short"])
    await place(["after"])
    await until("one that was placed later runs", () => owners().has("after"))
    assert.deepStrictEqual(lines().filter(({ s }) => s === "short").map(({ e, k }) => `${k} ${e}`), [
      "begin 1",
      "over 1"
    ])
  }, 400_000)
})
