/** What a process that runs sessions says of itself, now and then. */
export interface Sample {
  readonly at_s: number
  readonly heap_mb: number
  readonly rss_mb: number
  readonly external_mb: number
  readonly open_files: number
  readonly threads: number
  /** Timers, sockets, pipes and the like that keep the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>
  /** Listeners of the native client. */
  readonly listeners: number
  readonly sessions: number
  readonly calls: number
}

/** What the agents tell, one JSON object a line. */
export type AgentsSaid =
  | { readonly said: "start" | "sample" | "idle"; readonly sample: Sample }
  | { readonly said: "ended"; readonly session_id: string; readonly lost_frames: number }
  | { readonly said: "failed"; readonly session_id: string; readonly message: string }

/** What the callers tell. */
export type CallersSaid =
  | { readonly said: "called"; readonly room: string; readonly heard: number; readonly notices: ReadonlyArray<string> }
  | { readonly said: "failed"; readonly room: string; readonly message: string }
  | { readonly said: "done" }

/** The room of a line's n-th call, and the session in it. */
export const roomOf = (line: number, call: number): string => `soak-${line}-${call}`

/** Resources of a process in which nothing is open any more: its standard streams. */
const standing = new Set(["PipeWrap", "TTYWrap", "FSReqPromise", "SignalWrap"])

/** What a process has open that it should not have when its sessions are over, in words. */
export const leftOpen = ({ listeners, resources, sessions }: Sample): ReadonlyArray<string> => [
  ...(sessions === 0 ? [] : [`${sessions} sessions`]),
  ...(listeners === 0 ? [] : [`${listeners} listeners of the native client`]),
  ...Object.entries(resources).flatMap(([kind, count]) => standing.has(kind) ? [] : [`${count} ${kind}`])
]

export const isAtRest = (sample: Sample): boolean => leftOpen(sample).length === 0
