import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { json, optional } from "./Flags.ts"

// The command line of the control plane: the server, and the commands that ask one; part of `Commands.ts`.

const backup = Command.make(
  "backup",
  {
    database: Flag.String("database").pipe(Flag.withDescription("The control plane's: sqlite:PATH or postgres://…")),
    to: Flag.String("to").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write it to this new file; a file that is there is never overwritten")
    ),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/ControlPlaneBackup.ts")),
      ({ backUp }) => backUp(flags)
    )
).pipe(
  Command.withDescription("Write everything that a control plane keeps to a file, while it runs"),
  Command.withExamples([{
    command: "rspp control-plane backup --database postgres://rspp@db/control --to control-2026-11-23.backup",
    description: "From either database; it can be restored into either"
  }])
)

const restore = Command.make(
  "restore",
  {
    database: Flag.String("database").pipe(
      Flag.withDescription("Into this database, without a control plane in it: sqlite:PATH or postgres://…")
    ),
    from: Flag.String("from").pipe(Flag.withMetavar("FILE"), Flag.withDescription("A file of control-plane backup")),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/ControlPlaneRestore.ts")),
      ({ restoreBackup }) => restoreBackup(flags)
    )
).pipe(
  Command.withDescription(
    "Restore a backup whole, or not at all; epochs and versions go on above all that were handed out before"
  )
)

/** `rspp control-plane`. */
export const controlPlane = Command.make(
  "control-plane",
  {
    database: Flag.String("database").pipe(
      Flag.withDescription("Where everything is kept: sqlite:PATH, or postgres://… for more than one machine")
    ),
    listen: Flag.String("listen").pipe(
      Flag.withDefault("127.0.0.1:7800"),
      Flag.withDescription("Address and port; port 0 takes a free one. Default: 127.0.0.1:7800")
    ),
    livekit: optional(
      Flag.String("livekit").pipe(
        Flag.withDescription(
          "The LiveKit server of the sessions, ws:// or wss://; its key pair is in LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
        )
      )
    ),
    agent: optional(
      Flag.String("agent").pipe(Flag.withDescription("The agent that LiveKit dispatches to the rooms of sessions"))
    ),
    snapshotTtl: optional(
      Flag.Int("snapshot-ttl").pipe(
        Flag.withDescription("How long runtimes may decide from a published snapshot, in ms; default 600000")
      )
    ),
    rate: Flag.Finite("rate").pipe(
      Flag.withDefault(100),
      Flag.withDescription("Requests a second that each API key may send here; 0: any number. Default: 100")
    ),
    burst: optional(
      Flag.Int("burst").pipe(
        Flag.withDescription("Requests that a key may send at once after a time without any; default: twice --rate")
      )
    ),
    runtimeRate: Flag.Finite("runtime-rate").pipe(
      Flag.withDefault(1000),
      Flag.withDescription("The --rate of keys of runtimes, which ask once a second for each session. Default: 1000")
    ),
    drainNotice: Flag.Int("drain-notice").pipe(
      Flag.withDefault(0),
      Flag.withDescription("When stopped, say so at /readyz for this time before no more is taken, in ms; default 0")
    ),
    drainWithin: Flag.Int("drain-within").pipe(
      Flag.withDefault(10_000),
      Flag.withDescription("When stopped, let running requests end within this time, in ms; default 10000")
    ),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/ControlPlaneServe.ts")),
      ({ serveControlPlane }) => serveControlPlane(flags)
    )
).pipe(
  Command.withDescription(
    "Serve the control plane: pipelines, policies, rollouts, sessions, leases, tenants and keys, over HTTP"
  ),
  Command.withExamples([
    { command: "rspp control-plane --database sqlite:control.sqlite", description: "On this machine" }
  ]),
  Command.withSubcommands([backup, restore])
)

/** Where the control plane is, and as whom it is asked. */
const server = {
  server: optional(
    Flag.String("server").pipe(
      Flag.withDescription("The control plane; default: RSPP_CONTROL_PLANE, else http://127.0.0.1:7800")
    )
  ),
  json
}
export interface ServerFlags {
  readonly server: string | undefined
  readonly json: boolean
}

type Client = typeof import("./command/ControlClient.ts")

const ask = <F, A, E, R>(run: (client: Client) => (flags: F) => Effect.Effect<A, E, R>) => (flags: F) =>
  Effect.flatMap(Effect.promise(() => import("./command/ControlClient.ts")), (client) => run(client)(flags))

const pages = {
  cursor: optional(Flag.String("cursor").pipe(Flag.withDescription("Where the page before ended"))),
  limit: optional(Flag.Int("limit").pipe(Flag.withDescription("Most entries, up to 200; default 50")))
}
const ifMatch = optional(
  Flag.String("if-match").pipe(
    Flag.withMetavar("r3"),
    Flag.withDescription("Only if it is at this revision; r0: only if there is none")
  )
)
const reason = (what: string) => Flag.String("reason").pipe(Flag.withDescription(what))
const named = (name: string, what: string) => Argument.String(name).pipe(Argument.withDescription(what))
const pipelineId = named("PIPELINE", "The id of a pipeline")
const sessionId = named("SESSION", "The id of a session")

const group = (name: string, what: string) => Command.make(name).pipe(Command.withDescription(what))

/** `rspp pipeline`. */
export const pipeline = group("pipeline", "Published pipelines of the control plane").pipe(
  Command.withSubcommands([
    Command.make("publish", {
      file: named("FILE", "A pipeline spec, .json or .yaml"),
      min: optional(
        Flag.String("min-contract").pipe(Flag.withDescription("Oldest version of the contract it runs under"))
      ),
      max: optional(
        Flag.String("max-contract").pipe(Flag.withDescription("Newest version of the contract it runs under"))
      ),
      ...server
    }, ask((client) => client.publishPipeline)).pipe(
      Command.withDescription("Publish a spec as an immutable version; the same content again is no change")
    ),
    Command.make("list", {
      pipeline: optional(Flag.String("pipeline").pipe(Flag.withDescription("Of this pipeline only"))),
      ...pages,
      ...server
    }, ask((client) => client.listPipelines))
      .pipe(Command.withDescription("List published versions")),
    Command.make("get", {
      pipeline: named("PIPELINE", "The id of a pipeline, or sha256:… for the version with this content"),
      version: Argument.String("VERSION").pipe(
        Argument.withDescription("A version of it; left out with sha256:…"),
        Argument.optional,
        Argument.map(Option.getOrUndefined)
      ),
      ...server
    }, ask((client) => client.getPipeline)).pipe(Command.withDescription("Show a published version, as JSON")),
    Command.make("deprecate", {
      pipeline: pipelineId,
      version: named("VERSION", "The version"),
      reason: reason("Why, and what to use instead"),
      ...server
    }, ask((client) => client.deprecatePipeline)).pipe(
      Command.withDescription("Mark a version: no new rollout takes it")
    )
  ])
)

/** `rspp policy`. */
export const policy = group("policy", "What sessions may do, and how many there may be").pipe(
  Command.withSubcommands([
    Command.make("list", { ...pages, ...server }, ask((client) => client.listPolicies)).pipe(
      Command.withDescription("List the bindings of policy")
    ),
    Command.make(
      "get",
      { policy: named("POLICY", "The id of a binding"), ...server },
      ask((client) => client.getPolicy)
    )
      .pipe(Command.withDescription("Show a binding, as JSON")),
    Command.make("put", {
      policy: named("POLICY", "The id of a binding"),
      file: named("FILE", "A JSON file: match, and what is decided"),
      ifMatch,
      ...server
    }, ask((client) => client.putPolicy)).pipe(Command.withDescription("Make or replace a binding")),
    Command.make(
      "remove",
      { policy: named("POLICY", "The id of a binding"), ifMatch, ...server },
      ask((client) => client.removePolicy)
    )
      .pipe(Command.withDescription("Remove a binding")),
    Command.make("admission", {
      file: Argument.String("FILE").pipe(
        Argument.withDescription("A JSON file of quotas, to set them; without it they are shown"),
        Argument.optional,
        Argument.map(Option.getOrUndefined)
      ),
      ifMatch,
      ...server
    }, ask((client) => client.admission)).pipe(Command.withDescription("Show or set the tenant's quotas"))
  ])
)

/** `rspp rollout`. */
export const rollout = group("rollout", "Which version of a pipeline sessions get").pipe(
  Command.withSubcommands([
    Command.make("list", { ...pages, ...server }, ask((client) => client.listRollouts)).pipe(
      Command.withDescription("List rollouts")
    ),
    Command.make("get", { pipeline: pipelineId, ...server }, ask((client) => client.getRollout)).pipe(
      Command.withDescription("Show a rollout, as JSON")
    ),
    Command.make("put", {
      pipeline: pipelineId,
      stable: Flag.String("stable").pipe(Flag.withDescription("The version that sessions get")),
      candidate: optional(Flag.String("candidate").pipe(Flag.withDescription("The version that some of them get"))),
      percent: optional(Flag.Finite("percent").pipe(Flag.withDescription("How many of a hundred; default 0"))),
      allow: Flag.String("allow").pipe(
        Flag.withMetavar("CALLER"),
        Flag.withDescription("A caller that gets the candidate whatever the share; repeatable"),
        Flag.atLeast(0)
      ),
      canary: Flag.String("canary-region").pipe(
        Flag.withMetavar("REGION"),
        Flag.withDescription("A region that gets the candidate whatever the share; repeatable"),
        Flag.atLeast(0)
      ),
      canaryFacets: Flag.String("canary").pipe(
        Flag.withMetavar("language=de,region=eu"),
        Flag.withDescription(
          "Sessions with all of these (language, region, cost_tier) get the candidate whatever the share; repeatable"
        ),
        Flag.atLeast(0)
      ),
      steps: Flag.String("step").pipe(
        Flag.withMetavar("TIME=PERCENT"),
        Flag.withDescription("From this time on the share is this, for example 2026-12-01T08:00Z=25; repeatable"),
        Flag.atLeast(0)
      ),
      ifMatch,
      ...server
    }, ask((client) => client.putRollout)).pipe(
      Command.withDescription("Set a rollout: all of it, so that what is not named is not in it any more"),
      Command.withExamples([{
        command: "rspp rollout put assistant --stable 1 --candidate 2 --percent 10",
        description: "A tenth of new sessions"
      }, {
        command: "rspp rollout put assistant --stable 1 --candidate 2 --percent 1 --step 2026-12-01T08:00Z=25",
        description: "One in a hundred now, a quarter from then on"
      }])
    ),
    Command.make("rollback", {
      pipeline: pipelineId,
      reason: reason("Why; it is in the audit log"),
      ifMatch,
      ...server
    }, ask((client) => client.rollback))
      .pipe(
        Command.withDescription("Take the candidate back: later turns, and all new sessions, get the stable version")
      )
  ])
)

/** `rspp session`. */
export const session = group("session", "Sessions, and the way into them").pipe(
  Command.withSubcommands([
    Command.make("create", {
      pipeline: pipelineId,
      caller: optional(Flag.String("caller").pipe(Flag.withDescription("Who speaks"))),
      language: optional(Flag.String("language").pipe(Flag.withDescription("For policy and rollout"))),
      region: optional(Flag.String("region").pipe(Flag.withDescription("For policy and rollout"))),
      tier: optional(Flag.String("cost-tier").pipe(Flag.withDescription("For policy, rollout and admission"))),
      ...server
    }, ask((client) => client.createSession)).pipe(
      Command.withDescription("Make a session: its version, and where LiveKit is configured the URL and a token")
    ),
    Command.make("list", {
      active: Flag.Boolean("active").pipe(
        Flag.withDefault(false),
        Flag.withDescription("Only those that have not ended")
      ),
      ...pages,
      ...server
    }, ask((client) => client.listSessions)).pipe(Command.withDescription("List sessions")),
    Command.make("get", { session: sessionId, ...server }, ask((client) => client.getSession)).pipe(
      Command.withDescription("Show a session, as JSON")
    ),
    Command.make("snapshots", { session: sessionId, ...server }, ask((client) => client.getSnapshots)).pipe(
      Command.withDescription("Show what the six snapshots of a placed session say, as JSON")
    ),
    Command.make("end", { session: sessionId, ...server }, ask((client) => client.endSession)).pipe(
      Command.withDescription("End a session: it takes no room any more")
    )
  ])
)

/** `rspp lease`. */
export const lease = group("lease", "Who may run a session").pipe(
  Command.withSubcommands([
    Command.make("get", { session: sessionId, ...server }, ask((client) => client.getLease)).pipe(
      Command.withDescription("Show the live lease of a session")
    ),
    Command.make("revoke", {
      session: sessionId,
      epoch: Flag.Int("epoch").pipe(Flag.withDescription("The epoch that is to end; another is left alone")),
      ...server
    }, ask((client) => client.revokeLease)).pipe(Command.withDescription("End an epoch: its placement stops"))
  ])
)

/** `rspp placement`. */
export const placement = group("placement", "Places that run sessions").pipe(
  Command.withSubcommands([
    Command.make("list", { ...server }, ask((client) => client.listPlacements)).pipe(
      Command.withDescription("List the placements that have announced themselves in the last 30 s")
    ),
    Command.make("put", {
      placement: named("PLACEMENT", "Its id"),
      endpoint: Flag.String("endpoint").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription("Where it can be reached, best first; repeatable"),
        Flag.atLeast(0)
      ),
      region: optional(Flag.String("region").pipe(Flag.withDescription("Where it stands, for routing"))),
      ...server
    }, ask((client) => client.putPlacement)).pipe(
      Command.withDescription("Announce a placement for the next 30 s (with a runtime's key)")
    )
  ])
)

/** `rspp provider`. */
export const provider = group("provider", "What runtimes have seen of providers").pipe(
  Command.withSubcommands([
    Command.make("health", { ...server }, ask((client) => client.providerHealth)).pipe(
      Command.withDescription(
        "Show each provider that was reported in the last minute: its circuit, error rate and first-result latencies"
      )
    ),
    Command.make("report", {
      provider: named("PROVIDER", "The id of a provider"),
      succeeded: Flag.Int("succeeded").pipe(Flag.withDefault(0), Flag.withDescription("Calls that went well")),
      failed: Flag.Int("failed").pipe(Flag.withDefault(0), Flag.withDescription("Calls that did not")),
      slow: Flag.Int("slow").pipe(
        Flag.withDefault(0),
        Flag.withDescription("Calls that went well and took more than three quarters of the first-result cap")
      ),
      firstResults: Flag.Int("first-result").pipe(
        Flag.withMetavar("MS"),
        Flag.withDescription("Time to the first result of a call that went well; repeatable"),
        Flag.atLeast(0)
      ),
      ...server
    }, ask((client) => client.reportProvider)).pipe(
      Command.withDescription("Report calls of a provider, as a runtime does")
    )
  ])
)

/** `rspp tenant`. */
export const tenant = group("tenant", "Tenants and their API keys").pipe(
  Command.withSubcommands([
    Command.make("create", {
      tenant: named("TENANT", "Its id: lower-case letters, digits, - and _"),
      name: optional(Flag.String("name").pipe(Flag.withDescription("What people call it; default: the id"))),
      ...server
    }, ask((client) => client.createTenant)).pipe(
      Command.withDescription("Make a tenant, and show the key of its owner, once (with a platform key)")
    ),
    Command.make("list", { ...pages, ...server }, ask((client) => client.listTenants)).pipe(
      Command.withDescription("List tenants (with a platform key)")
    ),
    Command.make("suspend", { tenant: named("TENANT", "Its id"), ...server }, ask((client) => client.suspendTenant))
      .pipe(
        Command.withDescription("Refuse the keys of a tenant (with a platform key)")
      ),
    Command.make("resume", { tenant: named("TENANT", "Its id"), ...server }, ask((client) => client.resumeTenant)).pipe(
      Command.withDescription("Accept the keys of a suspended tenant again (with a platform key)")
    ),
    Command.make("keys", { ...pages, ...server }, ask((client) => client.listKeys)).pipe(
      Command.withDescription("List the keys of the tenant, without their secrets")
    ),
    Command.make("key", {
      name: named("NAME", "What the key is for"),
      role: Flag.Literals("role", ["owner", "operator", "viewer", "runtime"]).pipe(
        Flag.withDescription("What it may do")
      ),
      scope: Flag.String("scope").pipe(
        Flag.withMetavar("ACTION"),
        Flag.withDescription("Narrow it to this action of its role; repeatable"),
        Flag.atLeast(0)
      ),
      ...server
    }, ask((client) => client.createKey)).pipe(Command.withDescription("Make a key, and show it, once")),
    Command.make("revoke-key", { key: named("KEY", "The id of a key"), ...server }, ask((client) => client.revokeKey))
      .pipe(
        Command.withDescription("Refuse a key from now on")
      )
  ])
)

/** `rspp audit`. */
export const audit = group("audit", "Who changed what at the control plane").pipe(
  Command.withSubcommands([
    Command.make("list", { ...pages, ...server }, ask((client) => client.listAudit)).pipe(
      Command.withDescription("List the changes of the tenant")
    ),
    Command.make("verify", { ...server }, ask((client) => client.verifyAudit)).pipe(
      Command.withDescription(
        "Check that no row was changed, removed or moved (with a platform key); exit 1 when one was"
      )
    )
  ])
)
