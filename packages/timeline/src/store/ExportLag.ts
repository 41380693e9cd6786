import { Context } from "effect"

/** How far a store is behind a recording. */
export interface ExportLagProbe {
  /**
   * Age in ms of the oldest byte of the session's recording that is on disk and not in the store. 0 when nothing waits,
   * when no store is used, and when shipping was given up (then waiting does not help). Synchronous and quick.
   */
  readonly lagMs: (session_id: string) => number
}

/** Where nothing is shipped. */
export const noExport: ExportLagProbe = { lagMs: () => 0 }

/** For the recorder, which lowers its level by it; 0 for all sessions where nothing is shipped. */
export const ExportLag = Context.Reference<ExportLagProbe>("rspp/timeline/ExportLag", { defaultValue: () => noExport })

/** At these lags recording goes down to L1 and to L0 (CONTRACT section 7). */
export const lagToL1Ms = 2000
export const lagToL0Ms = 5000
