import { Context } from "effect"

/** How far a recording has come on the disk. */
export interface RecordingProgress {
  readonly path: string
  readonly tenant_id: string
  readonly session_id: string
  /** Bytes from the start of the file that are written and will not change; they end between two frames. */
  readonly bytes: number
  /** Nothing more will be written. */
  readonly closed: boolean
}

/** Told after each write of a recorder. Synchronous, quick, and it must not throw. */
export type RecordingObserver = (progress: RecordingProgress) => void

/** Who is told how far recordings have come, by the recorders that are built under it; nobody by default. */
export const RecordingObservers = Context.Reference<ReadonlyArray<RecordingObserver>>(
  "rspp/timeline/RecordingObservers",
  { defaultValue: () => [] }
)
