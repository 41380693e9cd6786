import type { TimelineStore } from "@rspp/timeline/store/TimelineStore"
import type { StoreRefused, StoreUnavailable } from "@rspp/timeline/store/TimelineStore"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import type { Path } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** Where recordings are stored, as the command line names it. */
export type StoreAddress =
  | { readonly kind: "dir" | "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: Redacted.Redacted<URL> }

const refuse = (message: string) =>
  new CliFailure({
    exit: "usage",
    message,
    hint: "A store is dir:PATH, sqlite:PATH, or postgres://USER@HOST/DATABASE (its password may be in PGPASSWORD)."
  })

/**
 * Reads `dir:PATH`, `sqlite:PATH` or `postgres:URL` (the URL may begin with `postgres://` itself). What is wrong with a
 * PostgreSQL URL is said without repeating it: it may hold a password.
 */
export const parseStore = (
  text: string,
  environment: Readonly<Record<string, string | undefined>> = process.env
): Effect.Effect<StoreAddress, CliFailure> => {
  const [scheme = "", ...rest] = text.split(":")
  const path = rest.join(":")
  if (rest.length === 0) return Effect.fail(refuse("the store has no kind in front of its place"))
  if (scheme === "dir" || scheme === "sqlite") {
    return path === ""
      ? Effect.fail(refuse(`the store ${scheme}: has no path`))
      : Effect.succeed({ kind: scheme, path })
  }
  if (scheme !== "postgres" && scheme !== "postgresql") {
    return Effect.fail(refuse(`there is no kind of store ${scheme}`))
  }
  const url = path.startsWith("//") ? URL.parse(text) : URL.parse(path)
  if (url === null || !["postgres:", "postgresql:"].includes(url.protocol)) {
    return Effect.fail(refuse("the URL of the PostgreSQL store cannot be read"))
  }
  const { PGPASSWORD } = environment
  if (url.password === "" && url.username !== "" && PGPASSWORD !== undefined) {
    url.password = encodeURIComponent(PGPASSWORD)
  }
  return Effect.succeed({ kind: "postgres", url: Redacted.make(url, { label: "PostgreSQL URL" }) })
}

/** Opens the store; its code is loaded only then. */
export const storeLayer = (
  address: StoreAddress
): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.promise(async () => {
    switch (address.kind) {
      case "dir":
        return (await import("@rspp/timeline/store/DirectoryStore")).layer(address.path)
      case "sqlite":
        return (await import("@rspp/timeline/store/SqliteStore")).layer(address.path)
      case "postgres":
        return (await import("@rspp/timeline/store/PostgresStore")).layer(address.url)
    }
  }))

/** The store that recordings are deleted from, and the log where that is written down: beside a store there is no place. */
export const deletionStore = Effect.fnUntraced(function*(store: string, audit: string | undefined) {
  const address = yield* parseStore(store)
  if (audit === undefined) {
    return yield* new CliFailure({
      exit: "usage",
      message: "a deletion from a store is written down in an audit log, and none is named",
      hint: "Add --audit LOG, the same for every deletion from this store."
    })
  }
  yield* mustExist(address)
  return { layer: storeLayer(address), log: audit }
})

/** A store to read from must be there: opening one would make it. */
export const mustExist = Effect.fnUntraced(function*(address: StoreAddress) {
  if (address.kind === "postgres") return undefined
  const fs = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(fs.exists(address.path), () => false)) return undefined
  return yield* new CliFailure({
    exit: "bad_input",
    message: `there is no store at ${address.path}`,
    hint: "Give the path that rspp run --store or rspp timeline ship --to was given."
  })
})
