import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { Id, SchemaVersion, schemaVersion } from "@rspp/contracts/Identity"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { Effect, FileSystem, Schema } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { randomBytes } from "node:crypto"
import { syncDirectory } from "./SafeFile.ts"

/** The directory of keys cannot be used. */
export class KeyStoreFailure extends Schema.TaggedError<KeyStoreFailure>()("KeyStoreFailure", {
  directory: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

const KeyFile = Schema.Struct({
  schema_version: SchemaVersion,
  key_id: Id,
  session_id: Id,
  tenant_id: Id,
  secret_base64: Id
})

/** The secret of one recording, 32 random bytes; what seals and what makes tokens is derived from it. */
export interface RecordingKey {
  readonly key_id: string
  readonly secret: Uint8Array
}

const secretBytes = 32

const problem = (directory: string) => (cause: PlatformError) =>
  new KeyStoreFailure({
    directory,
    message: `the key store ${directory} cannot be used: ${cause.message}`,
    hint: "Give an existing directory that only you can read, outside of where recordings are kept."
  })

const pathOf = (directory: string, keyId: string): string => `${directory}/${encodeURIComponent(keyId)}.key`

/**
 * A new key for a recording, on the disk when this returns. A key store is a directory with one file for each recording,
 * readable by its owner only; it must not be backed up with the recordings, or destroying a key destroys nothing.
 */
export const createKey = Effect.fn("KeyStore.create")(function*(
  directory: string,
  { session_id, tenant_id }: Pick<TimelineHeader, "session_id" | "tenant_id">
): Effect.fn.Return<RecordingKey, KeyStoreFailure, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const key_id = `key_${randomBytes(8).toString("hex")}`
  const secret = randomBytes(secretBytes)
  const path = pathOf(directory, key_id)
  const content = {
    schema_version: schemaVersion,
    key_id,
    session_id,
    tenant_id,
    secret_base64: secret.toString("base64")
  }
  yield* Effect.scoped(
    Effect.flatMap(
      fs.open(path, { flag: "wx", mode: 0o600 }),
      (file) => Effect.andThen(file.writeAll(Buffer.from(`${canonicalJson(content)}\n`)), file.sync)
    )
  ).pipe(Effect.andThen(syncDirectory(path)), Effect.mapError(problem(directory)))
  return { key_id, secret }
})

/** The key of a recording, or undefined when it is not there: destroyed, or kept elsewhere. */
export const findKey = Effect.fn("KeyStore.find")(function*(
  directory: string,
  keyId: string
): Effect.fn.Return<RecordingKey | undefined, KeyStoreFailure, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(pathOf(directory, keyId)).pipe(
    Effect.catch((cause) => cause.reason._tag === "NotFound" ? Effect.succeed(undefined) : Effect.fail(cause)),
    Effect.mapError(problem(directory))
  )
  if (text === undefined) return undefined
  const file = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(KeyFile))(text).pipe(
    Effect.mapError(() =>
      new KeyStoreFailure({
        directory,
        message: `the key store ${directory} holds no readable key ${keyId}`,
        hint: "Its file was changed; take it from where you keep a copy."
      })
    )
  )
  return { key_id: file.key_id, secret: Buffer.from(file.secret_base64, "base64") }
})

const markOf = (directory: string, keyId: string): string => `${directory}/${encodeURIComponent(keyId)}.destroyed`

/** True when the key was in this store and was destroyed. */
export const wasDestroyed = Effect.fn("KeyStore.wasDestroyed")(function*(
  directory: string,
  keyId: string
): Effect.fn.Return<boolean, never, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.orElseSucceed(fs.exists(markOf(directory, keyId)), () => false)
})

/**
 * Destroys a key: its bytes are overwritten, synced and removed. True when it was there; an
 * empty file `<key>.destroyed` says so from then on. What a file system that copies on
 * write, or a backup, still has of it is out of reach.
 */
export const destroyKey = Effect.fn("KeyStore.destroy")(function*(
  directory: string,
  keyId: string
): Effect.fn.Return<boolean, KeyStoreFailure, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const path = pathOf(directory, keyId)
  return yield* Effect.scoped(Effect.gen(function*() {
    const file = yield* fs.open(path, { flag: "r+" })
    // First, so that a key that is gone can be told from one that was never here.
    yield* fs.writeFile(markOf(directory, keyId), new Uint8Array(), { mode: 0o600 })
    yield* file.writeAll(new Uint8Array(Number((yield* file.stat).size)))
    yield* file.sync
    yield* fs.remove(path)
    yield* syncDirectory(path)
    return true
  })).pipe(
    Effect.catch((cause) =>
      cause.reason._tag === "NotFound" ? Effect.succeed(false) : Effect.fail(problem(directory)(cause))
    )
  )
})
