import type { SealedRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { PayloadClass } from "@rspp/contracts/Event"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { read } from "../../src/format/TimelineReader.ts"
import { createKey, destroyKey, findKey } from "../../src/privacy/KeyStore.ts"
import { opened } from "../../src/privacy/ReadRedaction.ts"
import { Sealer, unsealed } from "../../src/privacy/Sealing.ts"
import type { Script } from "../recorder/support/Script.ts"
import { plainText } from "../format/support/PlainText.ts"
import { inDirectory, recordCall } from "./support.ts"

const key = { key_id: "key_1", secret: new Uint8Array(32).fill(7) }
const payload: TimelineRecord = {
  record: "payload",
  handle_id: "h_1",
  payload_class: "text_raw",
  action: "allow",
  text: "hello there"
}
const sealed = () => new Sealer(key).seal(payload)
const isSealed = (record: TimelineRecord): record is SealedRecord => record.record === "sealed"

describe("a sealed payload", () => {
  it("opens under its key, and has no word of it in the clear", () => {
    assert.deepStrictEqual(unsealed(sealed(), key), payload)
    assert.notInclude(Buffer.from(sealed().data_base64, "base64").toString("latin1"), "hello")
  })

  it("does not open under another key, or when any field of it was changed", () => {
    assert.isUndefined(unsealed(sealed(), { ...key, secret: new Uint8Array(32).fill(8) }))
    const record = sealed()
    const data = Buffer.from(record.data_base64, "base64")
    data[0] = (data[0] ?? 0) ^ 1
    const changes: ReadonlyArray<Partial<SealedRecord>> = [
      { handle_id: "h_2" },
      { payload_class: "metadata" },
      { nonce: 1 },
      { data_base64: data.toString("base64") },
      { data_base64: "" }
    ]
    for (const change of changes) assert.isUndefined(unsealed({ ...record, ...change }, key), JSON.stringify(change))
  })

  it("never shares its nonce with another one of the recording", () => {
    const sealer = new Sealer(key)
    const nonces = Array.from({ length: 100 }, () => sealer.seal(payload).nonce)
    assert.strictEqual(new Set(nonces).size, 100)
  })
})

describe("a recording with a key store", () => {
  it.live("keeps no payload in the clear, and opens with its key to what it would have been without", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const [file, plain] = [`${directory}/a.timeline`, `${directory}/b.timeline`]
        yield* recordCall(plain)
        yield* recordCall(file, { keys: directory })
        const timeline = yield* read(file, { validate: true })
        assert.isFalse(timeline.records.some(({ record }) => record === "payload" || record === "caller_audio"))
        assert.notInclude(plainText(yield* fs.readFile(file)), "hello there")
        const found = yield* findKey(directory, timeline.header.payload_key_id ?? "")
        assert.deepStrictEqual(opened(timeline, found).records, (yield* read(plain)).records)
      })
    ))

  it.live("cannot be opened any more once its key is destroyed, and reads as before", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file, { keys: directory })
        const before = yield* read(file, { validate: true })
        const id = before.header.payload_key_id ?? ""
        const path = `${directory}/${id}.key`
        assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o600)
        // Another name for the same bytes shows what is left of them.
        yield* fs.link(path, `${directory}/other-name`)
        assert.isTrue(yield* destroyKey(directory, id))
        assert.isFalse(yield* destroyKey(directory, id))
        assert.isTrue((yield* fs.readFile(`${directory}/other-name`)).every((byte) => byte === 0))
        const after = opened(yield* read(file, { validate: true }), yield* findKey(directory, id))
        assert.deepStrictEqual(after, before)
        assert.isTrue(after.records.some(isSealed))
      })
    ))

  it.live("is not begun when no key can be made", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(recordCall(`${directory}/a.timeline`, { keys: `${directory}/nowhere` }))
        assert.strictEqual(error._tag, "RecorderFailure")
        assert.match(error.message, /the key store .*nowhere cannot be used/u)
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
      })
    ))

  it.live("has a new key each time", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const about = { session_id: "s", tenant_id: "t" }
        const [a, b] = [yield* createKey(directory, about), yield* createKey(directory, about)]
        assert.notStrictEqual(a.key_id, b.key_id)
        assert.notDeepEqual(a.secret, b.secret)
      })
    ))
})

describe("PII and PHI", () => {
  const say = (payload_class: PayloadClass, text: string) => (script: Script) => {
    const { turn, llm } = script.open()
    const hash = "ab".repeat(32)
    const handle = { id: "h_pii", payload_class, length: text.length, hash }
    script.input({ type: "text_delta", provider_invocation_id: llm, handle })
    script.payload(handle, text)
    script.ended(llm, "llm", { turn_id: turn })
    script.outputs(script.command({ type: "append_evidence", turn_id: turn }))
    script.input({ type: "evidence_appended", turn_id: turn, result: "appended" }).end(turn, "commit")
  }
  const told = Effect.fnUntraced(function*(file: string) {
    const { records } = yield* read(file, { validate: true })
    const kept = records.flatMap((record) =>
      record.record === "payload" && record.handle_id === "h_pii" ? [record] : []
    )
    const evidence = records.flatMap((record) => record.record === "evidence" ? record.evidence.payload_decisions : [])
    return {
      kept,
      decided: evidence.filter(({ payload_class }) => /P[IH]I/u.test(payload_class)).map(({ action }) => action)
    }
  })

  it.live("are not kept without a key, and the evidence says so", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        for (
          const [of, level, action] of [["PII", "L2", "hash"], ["PHI", "L2", "hash"], ["PHI", "L0", "drop"]] as const
        ) {
          const file = `${directory}/${of}-${level}.timeline`
          yield* recordCall(file, { level, play: say(of, "Ann Smith") })
          assert.deepStrictEqual(yield* told(file), { kept: [], decided: [action] })
          // What is dropped leaves no hash behind either.
          const fs = yield* FileSystem.FileSystem
          assert.strictEqual((plainText(yield* fs.readFile(file))).includes("ab".repeat(32)), action === "hash")
        }
      })
    ))

  it.live("PII is a token with a key: the same for the same words in a recording, another in the next", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const tokens: Array<string | undefined> = []
        for (const name of ["a", "b"]) {
          const file = `${directory}/${name}.timeline`
          yield* recordCall(file, { keys: directory, play: say("PII", "Ann Smith") })
          const { decided, kept } = yield* told(file)
          assert.deepStrictEqual([decided, kept.map(({ action }) => action)], [["tokenize"], ["tokenize"]])
          tokens.push(kept[0]?.text)
        }
        assert.match(tokens[0] ?? "", /^tok_[0-9a-f]{32}$/u)
        assert.notStrictEqual(tokens[0], tokens[1])
        const sealer = new Sealer(key)
        assert.strictEqual(sealer.token("Ann"), sealer.token("Ann"))
        assert.notStrictEqual(sealer.token("Ann"), sealer.token("Bob"))
      })
    ))
})
