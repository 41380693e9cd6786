import type { Refusal } from "./JobSlots.ts"

/** What a worker tells whoever watches it. Names and values are those of `rspp worker --json`. */
export type WorkerEvent =
  /** The server has it in its list. `again`: after a connection that broke. */
  | {
    readonly event: "registered"
    readonly worker_id: string
    readonly server_version: string
    readonly again: boolean
  }
  /** There is no connection, and another attempt comes. */
  | { readonly event: "disconnected"; readonly message: string; readonly running: number }
  | { readonly event: "draining"; readonly running: number }
  | { readonly event: "accepted"; readonly job_id: string; readonly room: string }
  | { readonly event: "refused"; readonly job_id: string; readonly room: string; readonly reason: Refusal }
  /** It was accepted, and the server did not assign it: its place is free again. */
  | { readonly event: "unassigned"; readonly job_id: string; readonly room: string }
  | { readonly event: "started"; readonly job_id: string; readonly room: string }
  | { readonly event: "succeeded"; readonly job_id: string; readonly room: string }
  | { readonly event: "failed"; readonly job_id: string; readonly room: string; readonly message: string }
  /** The server ended it. */
  | { readonly event: "terminated"; readonly job_id: string; readonly room: string }
  /** It still ran when this worker stopped, and was interrupted. */
  | { readonly event: "cut"; readonly job_id: string; readonly room: string }
