import * as Context from "effect/Context"

/** Who makes a change, as the audit log names it. */
export interface ActorName {
  /** `key:<key id>`, or who runs the program. */
  readonly actor: string
  /** The request that made it, where there was one. */
  readonly request_id?: string
}

/** The actor of whatever runs under it; `local` is the program itself. */
export const Actor = Context.Reference<ActorName>("rspp/Actor", { defaultValue: () => ({ actor: "local" }) })
