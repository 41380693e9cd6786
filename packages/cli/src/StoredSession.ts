import { recordingsOf } from "@rspp/timeline/store/StoredRecording"
import { TimelineStore } from "@rspp/timeline/store/TimelineStore"
import { Effect } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** The one recording of a store that a session's name means. */
export const recordingOfSession = Effect.fnUntraced(function*(session: string, tenant: string | undefined) {
  const store = yield* TimelineStore
  const infos = yield* store.list({ session_id: session, ...(tenant === undefined ? {} : { tenant_id: tenant }) })
  const [recording, second] = recordingsOf(infos)
  if (recording === undefined) {
    return yield* new CliFailure({
      exit: "bad_input",
      message: `${store.name}: there is no recording of session ${session}${
        tenant === undefined ? "" : ` of tenant ${tenant}`
      }`,
      hint: "rspp timeline stored lists what there is."
    })
  }
  if (second !== undefined) {
    const tenants = recordingsOf(infos).map(({ tenant_id }) => tenant_id).join(", ")
    return yield* new CliFailure({
      exit: "usage",
      message: `${store.name}: several tenants have a session ${session}`,
      hint: `Say which with --tenant: ${tenants}.`
    })
  }
  return recording
})

/** Its key; a deletion that broke off is finished first, which may have left nothing of it. */
export const keyOfSession = Effect.fnUntraced(function*(session: string, tenant: string | undefined) {
  yield* (yield* TimelineStore).settle()
  const { session_id, tenant_id } = yield* recordingOfSession(session, tenant)
  return { session_id, tenant_id }
})
