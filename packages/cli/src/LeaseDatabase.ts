import { defaultLeaseOptions, LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseStoreFailure } from "@rspp/control/LeaseStore"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { sqlReason } from "@rspp/sql/SqlReason"
import { Effect, Layer, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { CliFailure } from "./CliFailure.ts"
import { parseStore } from "./StoreAddress.ts"
import type { StoreAddress } from "./StoreAddress.ts"

/** A database that several processes share, as the command line names it. */
export type DatabaseAddress =
  | { readonly kind: "sqlite"; readonly path: string }
  | Extract<StoreAddress, { readonly kind: "postgres" }>

/** Where leases are kept, for how long one lasts, and who this process is among those that share them. */
export interface SharedLeases {
  readonly database: DatabaseAddress
  readonly ttlMs: number
  readonly placementId: string
}

const hint =
  "Give sqlite:PATH, or postgres://USER@HOST/DATABASE (its password may be in PGPASSWORD) for more than one machine."

/** Reads `sqlite:PATH` or `postgres:URL`: where leases are, and where a control plane keeps everything. */
export const parseLeases = (text: string): Effect.Effect<DatabaseAddress, CliFailure> =>
  Effect.gen(function*() {
    const address = yield* Effect.mapError(
      parseStore(text),
      ({ message }) => new CliFailure({ exit: "usage", message: message.replace("store", "database"), hint })
    )
    if (address.kind === "postgres") return address
    if (address.kind === "sqlite") return { kind: address.kind, path: address.path }
    return yield* new CliFailure({ exit: "usage", message: "a directory is no database", hint })
  })

/** Below this, one slow answer of a database costs a call its lease. */
const minSharedTtlMs = 500
/** Ten minutes without an owner is no takeover any more. */
const maxSharedTtlMs = 600_000

/** For how long a lease that processes share lasts, ms: what `--lease-ttl` says, or the default. */
export const sharedTtl = (leaseTtl = defaultLeaseOptions.ttlMs): Effect.Effect<number, CliFailure> =>
  leaseTtl >= minSharedTtlMs && leaseTtl <= maxSharedTtlMs ? Effect.succeed(leaseTtl) : Effect.fail(
    new CliFailure({
      exit: "usage",
      message: `a lease of ${leaseTtl} ms is not allowed`,
      hint: `--lease-ttl is ${minSharedTtlMs} to ${maxSharedTtlMs} ms.`
    })
  )

/** Unlike any other process's, also that of a successor with the same process id. */
export const makePlacementId = (): string => `${hostname()}/${process.pid}/${randomBytes(4).toString("hex")}`

const nameOf = (database: DatabaseAddress, postgres: (url: URL) => string): string =>
  database.kind === "sqlite" ? `sqlite ${database.path}` : postgres(Redacted.value(database.url))

/** The lease authority over a shared database; its code is loaded only then. */
export const sharedLeases = ({ database, ttlMs }: SharedLeases): Layer.Layer<LeaseAuthority, LeaseStoreFailure> =>
  Layer.unwrap(Effect.promise(async () => {
    const SqlLeaseStore = await import("@rspp/control/sql/SqlLeaseStore")
    const { nameOf: postgresName, layer: postgres } = await import("@rspp/sql/Postgres")
    const { listening } = await import("@rspp/sql/Listening")
    const name = nameOf(database, postgresName)
    const answerWithinMs = Math.max(100, Math.floor(ttlMs / 5))
    const store = database.kind === "sqlite"
      ? SqlLeaseStore.layer({ name, answerWithinMs }).pipe(
        Layer.provide((await import("@rspp/sql/NodeSqlite")).layer(database.path))
      )
      : Layer.unwrap(Effect.map(listening, (listen) => SqlLeaseStore.layer({ name, answerWithinMs, listen }))).pipe(
        Layer.provide(postgres(database.url)),
        Layer.catchTag("SqlError", (cause) =>
          Layer.effectContext(Effect.fail(
            new LeaseStoreFailure({
              store: name,
              message: `${name}: its leases cannot be reached (${sqlReason(cause)})`,
              cause
            })
          )))
      )
    return LeaseAuthority.layerNoDeps({ ttlMs }).pipe(Layer.provide(store), Layer.provide(LeaseTokens.layer))
  }))
