import { openSync, writeSync } from "node:fs"

/**
 * What a process of the hammer writes down, one JSON object a line, in its own file that only grows. Times are of the
 * machine's monotonic clock (CLOCK_MONOTONIC, the same for all its processes), in ns as decimal strings.
 */
export type Line =
  /** First of each file: whose it is, and how long a lease lasts. */
  | { readonly k: "begin"; readonly t: string; readonly p: string; readonly ttl_ms: number; readonly sessions: number }
  /** A row of a held lease is about to be written to the store; and whether it was (absent: nobody knows). */
  | { readonly k: "try"; readonly t: string; readonly n: number; readonly s: string; readonly e: number }
  | { readonly k: "tried"; readonly t: string; readonly n: number; readonly won: boolean }
  /** The runtime was told of its lease; with `until` it may write until then, without not any more. */
  | { readonly k: "lease"; readonly t: string; readonly s: string; readonly e: number; readonly until?: string }
  /** The session has ended here by itself, and its lease is about to be given back. */
  | { readonly k: "closing"; readonly t: string; readonly s: string; readonly e: number }
  /** A frame was accepted for the caller: egress asked the clock at `b` and took it for allowed, the frame was out at `t`. */
  | { readonly k: "out"; readonly b: string; readonly t: string; readonly s: string; readonly e: number }
  /** Of the driver: what was done to a process or to the database. */
  | { readonly k: "kill" | "pause" | "resume"; readonly t: string; readonly p: string }
  | { readonly k: "db_down" | "db_up" | "end"; readonly t: string }

export const now = (): string => String(process.hrtime.bigint())

/** Appends lines to a file; each is in the kernel's hands when the call returns, so that only the machine can lose it. */
export const openLog = (path: string): (line: Line) => void => {
  const fd = openSync(path, "a")
  return (line) => void writeSync(fd, `${JSON.stringify(line)}\n`)
}
