import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { json, optional } from "./Flags.ts"

// The command line of what recordings keep, who may read them, and how they go; part of `Commands.ts`.

/** Flags of the commands that read a recording and give nothing of its payloads away. */
export const permission = {
  access: optional(
    Flag.String("access").pipe(
      Flag.withMetavar("policy.json"),
      Flag.withDescription(
        "Ask by this access policy, which also says where the access is audited; default: as the owner"
      )
    )
  ),
  /** `--as`, by another name where a command has that for something else. */
  as: (name: string) =>
    optional(
      Flag.String(name).pipe(
        Flag.withMetavar("name=value,…"),
        Flag.withDescription(
          "Who asks, with --access: tenant_id, principal_id, role, purpose, requested_scope and requested_fidelity"
        )
      )
    )
}

/** Flags of the commands that show a recording, or need what it keeps of payloads. */
export const access = {
  access: permission.access,
  as: permission.as("as"),
  keys: optional(
    Flag.String("keys").pipe(Flag.withDescription("The key store that opens sealed payloads, as the owner"))
  )
}

const auditVerify = Command.make(
  "verify",
  { log: Argument.String("LOG").pipe(Argument.withDescription("An audit log")), json },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineAuditVerify.ts")),
      ({ verifyAudit }) => verifyAudit(flags)
    )
).pipe(Command.withDescription("Check that no entry of an audit log was changed, removed, put in or cut off"))

/** `rspp timeline audit`. */
export const audit = Command.make("audit").pipe(
  Command.withDescription("The log of who read recordings, and of what was deleted"),
  Command.withSubcommands([auditVerify])
)

const auditLog = optional(
  Flag.String("audit").pipe(Flag.withDescription("The audit log; default: audit.jsonl beside the recordings"))
)
const keyStore = optional(
  Flag.String("keys").pipe(Flag.withDescription("The key store, where the keys of sealed recordings are destroyed"))
)

/** For what can be done to recordings in a store as well. */
const inStore = {
  store: optional(
    Flag.String("store").pipe(
      Flag.withDescription("In this store: dir:PATH, sqlite:PATH or postgres://…; needs --audit")
    )
  )
}

/** `rspp timeline delete`. */
export const deleting = Command.make(
  "delete",
  {
    file: Argument.String("FILE").pipe(Argument.withDescription("A timeline file; with --store a session")),
    ...inStore,
    tenant: optional(
      Flag.String("tenant").pipe(Flag.withDescription("With --store: of this tenant, if several have the session"))
    ),
    turn: optional(Flag.String("turn").pipe(Flag.withDescription("Only what was said in this turn"))),
    mode: Flag.Literals("mode", ["hard_delete", "crypto_inaccessible"]).pipe(
      Flag.withDescription(
        "hard_delete: from the file; crypto_inaccessible: by destroying the key that the session is sealed under"
      )
    ),
    keys: keyStore,
    audit: auditLog,
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineDelete.ts")),
      ({ deleteFromTimeline }) => deleteFromTimeline(flags)
    )
).pipe(Command.withDescription("Delete words and sound of a session or a turn; evidence stays, and it still replays"))

/** `rspp timeline sweep`. */
export const sweep = Command.make(
  "sweep",
  {
    directory: Argument.String("DIR").pipe(
      Argument.withDescription("A directory of recordings; or --store"),
      Argument.optional,
      Argument.map(Option.getOrUndefined)
    ),
    ...inStore,
    policy: Flag.String("policy").pipe(Flag.withDescription("A retention policy, JSON")),
    now: optional(
      Flag.String("now").pipe(Flag.withDescription("Sweep as if it were this time, for example 2026-12-31"))
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Say what would be done and change nothing")
    ),
    keys: keyStore,
    audit: auditLog,
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineSweep.ts")),
      ({ sweepTimelines }) => sweepTimelines(flags)
    )
).pipe(
  Command.withDescription("Remove what is past its time by a retention policy, class by class and tenant by tenant")
)
