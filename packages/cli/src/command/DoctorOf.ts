import { Effect } from "effect"

export interface DoctorFlags {
  readonly database: string | undefined
  readonly controlPlane: string | undefined
  readonly json: boolean
}

/**
 * `rspp doctor`: looks at this machine, or at what is named instead; what is wrong with one keeps nobody from looking at
 * the other. Ends as the first does that did not end well.
 */
export const doctorOf = Effect.fnUntraced(function*({ controlPlane, database, json }: DoctorFlags) {
  if (database === undefined && controlPlane === undefined) {
    const { examine } = yield* Effect.promise(() => import("./Doctor.ts"))
    return yield* examine({ json })
  }
  const ofDatabase = Effect.gen(function*() {
    if (database === undefined) return
    const { examineDatabase } = yield* Effect.promise(() => import("./DoctorDatabase.ts"))
    yield* examineDatabase({ database, json })
  })
  const ofControlPlane = Effect.gen(function*() {
    if (controlPlane === undefined) return
    const { examineControlPlane } = yield* Effect.promise(() => import("./DoctorControlPlane.ts"))
    yield* examineControlPlane({ url: controlPlane, json })
  })
  const [first, second] = [yield* Effect.exit(ofDatabase), yield* Effect.exit(ofControlPlane)]
  yield* first
  return yield* second
})
