import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type { Placement } from "../RoutingView.ts"
import { placementTtlMs } from "../RoutingView.ts"
import { asked, controlClient } from "./ControlClient.ts"
import type { ControlServer } from "./ControlClient.ts"

/** A placement says that it is there so often, ms: twice it may go unheard. */
export const announceEveryMs = placementTtlMs / 3

/**
 * Says to a control plane that this placement is there (`PUT /v1/placements/{placement_id}`), at once and then every
 * {@link announceEveryMs}, as long as the layer. A control plane that is away is told when it is back; nothing waits for it.
 */
export const layer = (
  server: ControlServer,
  { placement_id, ...placement }: Placement
): Layer.Layer<never, never, HttpClient.HttpClient> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const client = yield* controlClient(server)
    let refused = false
    const announce = asked(
      server,
      client.runtimes.announce({ params: { placement_id }, payload: placement })
    ).pipe(
      Effect.catch((error) => {
        if (error.reason !== "refused" || refused) return Effect.void
        refused = true
        return Effect.logWarning(`this placement is not announced: ${error.message}`)
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(announce, Effect.sleep(announceEveryMs))))
  }))
