import { Effect } from "effect"
import { parseLeases } from "../LeaseDatabase.ts"
import { placementClient } from "../PlacementDatabase.ts"
import { Screen } from "../Screen.ts"
import { sessionIdOf } from "../SessionName.ts"

export interface PlaceFlags {
  readonly session: string
  readonly leases: string
  readonly json: boolean
}

/** `rspp place`: has a session run by one of the runtimes that share a database. */
export const placeSession = Effect.fn("rspp.place")(function*(flags: PlaceFlags) {
  const screen = yield* Screen
  const session_id = yield* sessionIdOf(flags.session)
  const { SessionPlacement, layer } = yield* placementClient(yield* parseLeases(flags.leases))
  yield* Effect.provide(Effect.flatMap(SessionPlacement, ({ place }) => place(session_id)), layer)
  screen.line(flags.json ? JSON.stringify({ event: "placed", session_id }) : `${session_id}: placed`)
})
