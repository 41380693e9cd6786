import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { inspect } from "node:util"
import { parseStore } from "../src/StoreAddress.ts"

const urlOf = (text: string, environment = {}) =>
  Effect.map(
    parseStore(text, environment),
    (address) =>
      address.kind === "postgres" ? Redacted.value(address.url) : assert.fail(`${text} is no PostgreSQL store`)
  )

describe("the address of a store", () => {
  it.effect("is a kind and a place", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* parseStore("dir:a:b/c"), { kind: "dir", path: "a:b/c" })
      assert.deepStrictEqual(yield* parseStore("sqlite:/srv/calls.sqlite"), {
        kind: "sqlite",
        path: "/srv/calls.sqlite"
      })
      for (const text of ["postgres://u@host:6/db", "postgresql://u@host:6/db", "postgres:postgres://u@host:6/db"]) {
        const url = yield* urlOf(text)
        assert.deepStrictEqual([url.username, url.host, url.pathname], ["u", "host:6", "/db"])
      }
    }))

  it.effect("takes the password from the environment, if it has a user and no password", () =>
    Effect.gen(function*() {
      const environment = { PGPASSWORD: "a b@c" }
      assert.strictEqual(decodeURIComponent((yield* urlOf("postgres://u@host/db", environment)).password), "a b@c")
      assert.strictEqual((yield* urlOf("postgres://u:own@host/db", environment)).password, "own")
    }))

  it.effect("never shows a password, neither in what it gives nor in what it refuses", () =>
    Effect.gen(function*() {
      const address = yield* parseStore("postgres://u:sesame@host/db")
      assert.notInclude(`${inspect(address, { depth: 9 })} ${JSON.stringify(address)}`, "sesame")
      for (const text of ["postgres:u:sesame@host", "postgres://u:sesame@ho st/db", "http://u:sesame@host", "sesame"]) {
        const { hint, message } = yield* Effect.flip(parseStore(text))
        assert.notInclude(`${message} ${hint}`, "sesame")
      }
    }))
})
