import { Context } from "effect"

/** How far a store is behind a recording. */
export interface ExportLagProbe {
  /**
   * Age in ms of the oldest byte of the session's recording that is on disk and not in the store. 0 when nothing waits,
   * when no store is used, and when shipping was given up (then waiting does not help). Synchronous and quick.
   */
  readonly lagMs: (session_id: string) => number
}

/** Read by the recorder to lower the recording level; 0 for all sessions where nothing is shipped. */
export const ExportLag = Context.Reference<ExportLagProbe>("rspp/timeline/ExportLag", {
  defaultValue: () => ({ lagMs: () => 0 })
})

/** At this lag recording goes down to L1 … (CONTRACT section 7) */
export const lagToL1Ms = 2000

/** … and at this one to L0. */
export const lagToL0Ms = 5000
