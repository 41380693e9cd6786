import { recordingsOf } from "@rspp/timeline/store/StoredRecording"
import type { StoredRecording } from "@rspp/timeline/store/StoredRecording"
import { TimelineStore } from "@rspp/timeline/store/TimelineStore"
import { Effect } from "effect"
import { Screen } from "../Screen.ts"
import { mustExist, parseStore, storeLayer } from "../StoreAddress.ts"

export interface StoredFlags {
  readonly from: string
  readonly json: boolean
}

/** `rspp timeline stored`: the recordings of a store, one a line. */
export const listStored = Effect.fn("rspp.timeline.stored")(function*({ from, json }: StoredFlags) {
  const screen = yield* Screen
  const address = yield* parseStore(from)
  yield* mustExist(address)
  yield* Effect.gen(function*() {
    const store = yield* TimelineStore
    const recordings = recordingsOf(yield* store.list())
    for (const recording of recordings) {
      screen.line(json ? JSON.stringify(recording) : lineOf(recording, screen.style.yellow))
    }
    if (recordings.length === 0 && !json) screen.note(`${store.name}: no recordings`)
  }).pipe(Effect.provide(storeLayer(address)))
})

const lineOf = (
  { bytes, closed, missing, segments, session_id, tenant_id }: StoredRecording,
  mark: (_: string) => string
) => {
  const state = missing !== undefined
    ? mark(`segment ${missing} is missing`)
    : closed
    ? "complete"
    : mark("not complete")
  return `${session_id}  tenant ${tenant_id}, ${segments} segments, ${bytes} bytes, ${state}`
}
