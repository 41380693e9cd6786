import { shipperLimits } from "@rspp/timeline/store/ShipperLimits"
import * as Shipper from "@rspp/timeline/store/TimelineShipper"
import { Effect, Exit, Layer, References } from "effect"
import { endingOf, told } from "../CliFailure.ts"
import type { ExitName } from "../ExitCode.ts"
import { Screen } from "../Screen.ts"
import { parseStore, storeLayer } from "../StoreAddress.ts"
import { graver } from "../Verdict.ts"

export interface ShipFlags {
  readonly files: ReadonlyArray<string>
  readonly to: string
  readonly json: boolean
}

/** Without an answer a store is waited for so long, per file; ms. */
const patiencePerFileMs = 30_000

/** `rspp timeline ship`: what a store lacks of each file is put there; what it has is not sent again. */
export const shipTimelines = Effect.fn("rspp.timeline.ship")(function*({ files, json, to }: ShipFlags) {
  const screen = yield* Screen
  const address = yield* parseStore(to)
  let worst: ExitName = "ok"
  yield* Effect.gen(function*() {
    const shipper = yield* Shipper.TimelineShipper
    for (const file of files) {
      const exit = yield* Effect.exit(shipper.resume(file))
      if (Exit.isFailure(exit)) {
        const ending = endingOf(exit, false)
        if (ending.exit === "internal" || ending.exit === "interrupted") return yield* exit
        worst = graver(worst, ending.exit)
        if (json) screen.line(JSON.stringify({ path: file, state: "failed", problem: ending.lines.join("; ") }))
        else screen.note(ending.lines.join("\n      "))
        continue
      }
      // One at a time: the shipper bounds how many wait.
      const report = (yield* shipper.drain(patiencePerFileMs)).findLast(({ path }) => path === file)
      if (report === undefined) continue
      const { problem, recorded_bytes, segments, state } = report
      if (json) screen.line(JSON.stringify(report))
      else if (state === "stored") {
        screen.line(`${file}: ${screen.style.green("stored")}, ${recorded_bytes} bytes in ${segments} segments`)
      } else screen.note(`${file}: ${screen.style.red("not stored")}${problem === undefined ? "" : ` (${problem})`}`)
      if (state !== "stored") worst = graver(worst, state === "failed" ? "bad_input" : "unavailable")
    }
    return undefined
  }).pipe(
    Effect.provide(Shipper.layer(shipperLimits).pipe(Layer.provide(storeLayer(address)))),
    // What the shipper would log is said here, once, with the file that it is about.
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
