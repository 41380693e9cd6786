import type { RetentionPolicy } from "@rspp/contracts/Privacy"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { read } from "../../src/format/TimelineReader.ts"
import { AuditLog, verifyAuditLog } from "../../src/privacy/AuditLog.ts"
import { destroyKey } from "../../src/privacy/KeyStore.ts"
import { retentionOf, sweep } from "../../src/privacy/Retention.ts"
import { makeHeader } from "../recorder/support/Fixture.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"
import { inDirectory, recordCall } from "./support.ts"

const start = 1_700_000_000_000
const day = 24 * 60 * 60 * 1000
const policy: RetentionPolicy = {
  schema_version: "v1.0",
  retention: [
    { tenant_id: "acme", payload_days: { audio_raw: 7, text_raw: 30 }, recording_days: 365 },
    { tenant_id: "*", payload_days: { audio_raw: 1 } }
  ]
}
const at = (nowMs: number, dryRun = false) => ({ policy, nowMs, dryRun })
const swept = (directory: string, options: Parameters<typeof sweep>[1]) =>
  sweep(directory, options).pipe(
    Effect.provide(AuditLog.layer(`${directory}/audit.jsonl`)),
    Effect.map((files) => files.map(({ action, file }) => `${file.slice(directory.length + 1)} ${action}`))
  )

describe("retention", () => {
  const decided = (tenant_id: string, ageMs: number) => {
    const { records } = recording(usualSession, { level: "L2" })
    const header = { ...makeHeader("L2"), tenant_id, wall_clock_start_ms: start }
    const { action, classes } = retentionOf(policy, { header, records }, start + ageMs)
    return [action, ...classes].join(" ")
  }

  it("counts full days from the session's start, by class", () => {
    assert.strictEqual(decided("acme", 7 * day - 1), "keep")
    assert.strictEqual(decided("acme", 7 * day), "strip audio_raw")
    assert.strictEqual(decided("acme", 30 * day), "strip audio_raw text_raw")
    assert.strictEqual(decided("acme", 365 * day), "remove")
  })

  it("is the tenant's own, else that of all others, else for ever", () => {
    assert.strictEqual(decided("globex", day), "strip audio_raw")
    assert.strictEqual(decided("globex", 9999 * day), "strip audio_raw")
    const { records } = recording(usualSession, { level: "L2" })
    const nobody = retentionOf({ ...policy, retention: [] }, { header: makeHeader("L2"), records }, 1e15)
    assert.strictEqual(nobody.action, "keep")
  })

  it("of a session that lies in the future is not over, whatever the clock says", () => {
    assert.strictEqual(decided("acme", -day), "keep")
  })
})

describe("a sweep", () => {
  it.live("strips and removes what is due, once, and writes both down", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory(`${directory}/sub`)
        yield* recordCall(`${directory}/a.timeline`)
        yield* recordCall(`${directory}/sub/b.timeline`, { tenant: "globex" })
        const before = yield* fs.readFile(`${directory}/a.timeline`)
        const due = at(start + 7 * day)
        assert.deepStrictEqual(yield* swept(directory, { ...due, dryRun: true }), [
          "a.timeline strip",
          "sub/b.timeline strip"
        ])
        assert.deepStrictEqual(yield* fs.readFile(`${directory}/a.timeline`), before)
        assert.isFalse(yield* fs.exists(`${directory}/audit.jsonl`))
        yield* swept(directory, due)
        const { records } = yield* read(`${directory}/a.timeline`, { validate: true })
        assert.isFalse(JSON.stringify(records).includes("pcm_base64"))
        assert.isTrue(JSON.stringify(records).includes("hello there"))
        assert.deepStrictEqual(yield* swept(directory, due), ["a.timeline keep", "sub/b.timeline keep"])
        assert.deepStrictEqual(yield* swept(directory, at(start + 365 * day)), [
          "a.timeline remove",
          "sub/b.timeline keep"
        ])
        assert.deepStrictEqual(yield* swept(directory, at(start + 366 * day)), ["sub/b.timeline keep"])
        const { entries, problems } = yield* verifyAuditLog(`${directory}/audit.jsonl`)
        assert.deepStrictEqual([entries, problems], [6, []])
      })
    ))

  it.live("leaves files alone that are not closed or cannot be read, says so, and goes on", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        for (const name of ["a", "b", "c"]) yield* recordCall(`${directory}/${name}.timeline`)
        const bytes = yield* fs.readFile(`${directory}/a.timeline`)
        yield* fs.writeFile(`${directory}/a.timeline`, bytes.subarray(0, bytes.length - 1))
        yield* fs.writeFileString(`${directory}/b.timeline`, "no timeline")
        assert.deepStrictEqual(yield* swept(directory, at(start + 7 * day)), [
          "a.timeline skip",
          "b.timeline skip",
          "c.timeline strip"
        ])
        assert.deepStrictEqual((yield* swept(directory, at(start + 365 * day)))[0], "a.timeline remove")
      })
    ))

  it.live("removes a sealed recording with its key, or not at all", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const [calls, keys, others] = [`${directory}/calls`, `${directory}/keys`, `${directory}/others`]
        for (const name of [calls, keys, others]) yield* fs.makeDirectory(name)
        yield* recordCall(`${calls}/a.timeline`, { keys })
        yield* recordCall(`${calls}/b.timeline`)
        const due = at(start + 365 * day)
        const told = (options: Parameters<typeof sweep>[1]) =>
          Effect.map(
            sweep(calls, options).pipe(Effect.provide(AuditLog.layer(`${directory}/audit.jsonl`))),
            (files) =>
              files.map(({ action, problem = "" }) => `${action} ${problem}`.trim().replace(/key_[0-9a-f]+/u, "K"))
          )
        for (const dryRun of [true, false]) {
          assert.deepStrictEqual(yield* told({ ...due, dryRun }), [
            "skip its key K would stay behind; say with --keys where it is",
            "remove"
          ])
        }
        assert.match(
          (yield* told({ ...due, keys: others }))[0] ?? "",
          /^skip its key K is not in the key store .*others/u
        )
        assert.lengthOf(yield* fs.readDirectory(keys), 1)
        assert.deepStrictEqual(yield* told({ ...due, keys }), ["remove"])
        const left = yield* fs.readDirectory(keys)
        assert.lengthOf(left, 1)
        assert.match(left[0] ?? "", /^key_[0-9a-f]+\.destroyed$/u)
        assert.strictEqual((yield* fs.readFile(`${keys}/${left[0]}`)).length, 0)
      })
    ))

  it.live("removes a sealed recording whose key was destroyed before", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const keys = `${directory}/keys`
        yield* fs.makeDirectory(keys)
        yield* recordCall(`${directory}/a.timeline`, { keys })
        const { header } = yield* read(`${directory}/a.timeline`)
        assert.isTrue(yield* destroyKey(keys, header.payload_key_id ?? ""))
        assert.deepStrictEqual(yield* swept(directory, { ...at(start + 365 * day), keys }), ["a.timeline remove"])
      })
    ))

  it.live("changes nothing when it cannot be written down", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* recordCall(`${directory}/a.timeline`)
        const before = yield* fs.readFile(`${directory}/a.timeline`)
        yield* fs.symlink("/dev/full", `${directory}/audit.jsonl`)
        const error = yield* Effect.flip(swept(directory, at(start + 365 * day)))
        assert.strictEqual(error._tag, "AuditUnavailable")
        assert.deepStrictEqual(yield* fs.readFile(`${directory}/a.timeline`), before)
      })
    ))
})
