// Holds I-SIX, I-DENY, I-TENANT, I-AUDIT-FIRST, I-READ-REDACT.
import type { AccessFidelity, AccessPolicy } from "@rspp/contracts/Privacy"
import { accessAttributes } from "@rspp/contracts/Privacy"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import type { AccessRequest } from "../../src/privacy/AccessDecision.ts"
import { decideAccess } from "../../src/privacy/AccessDecision.ts"
import { AuditLog } from "../../src/privacy/AuditLog.ts"
import { redactedForReading } from "../../src/privacy/ReadRedaction.ts"
import { ReplayAccess } from "../../src/privacy/ReplayAccess.ts"
import { inDirectory, recordCall } from "./support.ts"

const policy: AccessPolicy = {
  schema_version: "v1.0",
  tenant_id: "acme",
  audit_log: "audit.jsonl",
  access_rules: [
    { roles: ["qa"], purposes: ["debugging"], scopes: ["session", "turn"], fidelities: ["metadata", "masked"] },
    { roles: ["legal"], principals: ["eve"], purposes: ["claim"], scopes: ["turn"], fidelities: ["raw_audio"] }
  ]
}
const request: AccessRequest = {
  tenant_id: "acme",
  principal_id: "ann",
  role: "qa",
  purpose: "debugging",
  requested_scope: "session",
  requested_fidelity: "masked"
}
const verdict = (change: AccessRequest, tenant = "acme") => {
  const decision = decideAccess(policy, { ...request, ...change }, tenant)
  return decision.granted ? "granted" : decision.reason
}

describe("a request", () => {
  it("is granted with all six attributes and a rule that permits them together", () => {
    assert.strictEqual(verdict({}), "granted")
    const claim = { role: "legal", purpose: "claim", requested_scope: "turn", requested_fidelity: "raw_audio" }
    assert.strictEqual(verdict({ ...claim, principal_id: "eve" }), "granted")
    assert.strictEqual(verdict({ ...claim, principal_id: "ann" }), "not_permitted")
  })

  it.each(accessAttributes)("is denied without %s, and with another one", (name) => {
    const { [name]: _, ...lacking } = request
    const decision = decideAccess(policy, lacking, "acme")
    assert.isTrue(!decision.granted && decision.reason === "attributes_missing")
    assert.strictEqual(verdict({ [name]: "" }), "attributes_missing")
    // The first rule names no principals: any of the role is meant.
    if (name !== "principal_id") assert.notStrictEqual(verdict({ [name]: "other" }), "granted")
  })

  it("is denied across tenants whatever the rules say", () => {
    assert.strictEqual(verdict({}, "globex"), "cross_tenant")
    assert.strictEqual(verdict({ tenant_id: "globex" }), "cross_tenant")
    assert.strictEqual(verdict({ tenant_id: "globex" }, "globex"), "cross_tenant")
  })

  it("is not put together from several rules", () => {
    assert.strictEqual(verdict({ requested_fidelity: "raw_audio" }), "not_permitted")
    assert.strictEqual(verdict({ role: "legal", principal_id: "eve" }), "not_permitted")
  })
})

describe("what a response shows", () => {
  const text = (payload_class: "text_raw" | "PII" | "PHI" | "derived_summary"): TimelineRecord => ({
    record: "payload",
    handle_id: "h_1",
    payload_class,
    action: "allow",
    text: "Ann 42"
  })
  const pcm = (payload_class: "audio_raw" | "PHI"): TimelineRecord => ({
    record: "payload",
    handle_id: "h_1",
    payload_class,
    action: "allow",
    pcm_base64: "AAAA"
  })
  const token: TimelineRecord = {
    record: "payload",
    handle_id: "h_1",
    payload_class: "PII",
    action: "tokenize",
    text: "tok_1"
  }
  const caller: TimelineRecord = { record: "caller_audio", first_sample_index: 0, pcm_base64: "AAAA" }
  const content = (record: TimelineRecord, fidelity: AccessFidelity) => {
    const shown = redactedForReading(record, fidelity)
    if (shown?.record === "caller_audio") return shown.pcm_base64
    return shown?.record === "payload" ? shown.text ?? shown.pcm_base64 : undefined
  }
  const rows: ReadonlyArray<readonly [string, TimelineRecord, ReadonlyArray<string | undefined>]> = [
    ["text_raw", text("text_raw"), [undefined, "*** **", "*** **", "*** **"]],
    ["PII", text("PII"), [undefined, "*** **", "*** **", "*** **"]],
    ["PHI", text("PHI"), [undefined, "*** **", "*** **", "*** **"]],
    ["a token", token, [undefined, undefined, "tok_1", undefined]],
    ["derived_summary", text("derived_summary"), [undefined, "Ann 42", "Ann 42", "Ann 42"]],
    ["speech", pcm("audio_raw"), [undefined, undefined, undefined, "AAAA"]],
    ["speech of class PHI", pcm("PHI"), [undefined, undefined, undefined, undefined]],
    ["caller audio", caller, [undefined, undefined, undefined, "AAAA"]]
  ]
  it.each(rows)("of %s is what the matrix says, at each fidelity", (_, record, expected) => {
    const fidelities = ["metadata", "masked", "tokenized", "raw_audio"] as const
    assert.deepStrictEqual(fidelities.map((fidelity) => content(record, fidelity)), [...expected])
  })
})

describe("an access", () => {
  const ask = (file: string, log: string, change: AccessRequest = {}, turnId?: string, keys?: string) =>
    ReplayAccess.use((access) =>
      access.read(file, {
        action: "show",
        request: { ...request, ...change },
        ...(turnId === undefined ? {} : { turnId })
      })
    ).pipe(Effect.provide(Layer.provide(ReplayAccess.layerNoDeps(policy, keys), AuditLog.layer(log))))
  const texts = (records: ReadonlyArray<TimelineRecord>) =>
    records.flatMap((record) => record.record === "payload" && record.text !== undefined ? [record.text] : [])

  it.live("is written down whether granted or denied, before anything is handed out", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const [file, log] = [`${directory}/a.timeline`, `${directory}/audit.jsonl`]
        yield* recordCall(file)
        const { records } = yield* ask(file, log)
        assert.deepStrictEqual(texts(records), ["***** *****", "***** *****", "***** *****"])
        assert.isFalse(JSON.stringify(records).includes("pcm_base64"))
        assert.strictEqual((yield* Effect.flip(ask(file, log, { role: "intern" })))._tag, "AccessDenied")
        assert.strictEqual((yield* Effect.flip(ask(`${directory}/none`, log)))._tag, "TimelineMissing")
        const entries = (yield* fs.readFileString(log)).trim().split("\n").map((line) => JSON.parse(line))
        assert.deepStrictEqual(entries.map(({ outcome, reason }) => [outcome, reason]), [
          ["granted", undefined],
          ["denied", "not_permitted"],
          ["denied", "unreadable"]
        ])
      })
    ))

  it.live("fails, granted or not, when it cannot be written down", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const [file, log] = [`${directory}/a.timeline`, `${directory}/full.jsonl`]
        yield* recordCall(file)
        yield* fs.symlink("/dev/full", log)
        assert.strictEqual((yield* Effect.flip(ask(file, log)))._tag, "AuditUnavailable")
        assert.strictEqual((yield* Effect.flip(ask(file, log, { role: "intern" })))._tag, "AuditUnavailable")
      })
    ))

  it.live("of the scope turn shows that turn and no payload of another", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const [file, log] = [`${directory}/a.timeline`, `${directory}/audit.jsonl`]
        yield* recordCall(file)
        const turn = { requested_scope: "turn" }
        const { records } = yield* ask(file, log, turn, "turn_2")
        const handles = records.flatMap((record) => record.record === "payload" ? [record.handle_id] : [])
        assert.deepStrictEqual(handles, ["t_turn_2", "v_turn_2"])
        assert.match((yield* Effect.flip(ask(file, log, turn))).message, /no turn is named/u)
      })
    ))

  it.live("of a sealed recording shows what its key opens, masked, and nothing without the key", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const [file, log] = [`${directory}/a.timeline`, `${directory}/audit.jsonl`]
        yield* recordCall(file, { keys: directory })
        assert.deepStrictEqual(texts((yield* ask(file, log, {}, undefined, directory)).records).length, 3)
        const without = (yield* ask(file, log)).records
        assert.isFalse(without.some(({ record }) => record === "sealed" || record === "payload"))
      })
    ))
})
