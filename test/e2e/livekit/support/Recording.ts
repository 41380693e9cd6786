import { expect } from "vitest"
import { rspp } from "../../../support/Program.ts"

interface Stamped {
  readonly runtime_timestamp_ms: number
  readonly runtime_sequence: number
}
interface InputRecord extends Stamped {
  readonly record: "input"
  readonly input: {
    readonly type: string
    readonly turn_id?: string
    readonly segment_id?: string
    readonly state?: string
    readonly edge?: string
    readonly samples?: number
  }
}
interface SignalRecord extends Stamped {
  readonly record: "signal"
  readonly signal: Stamped & { readonly signal: string; readonly turn_id?: string; readonly reason?: string }
}
interface HeaderRecord {
  readonly record: "header"
  readonly session_id: string
  readonly wall_clock_start_ms: number
}
type AnyRecord = InputRecord | SignalRecord | HeaderRecord | { readonly record: "other" }

/** The timeline of a call, read by the program. */
export class Recording {
  readonly records: ReadonlyArray<AnyRecord>

  private constructor(records: ReadonlyArray<AnyRecord>) {
    this.records = records
  }

  static async read(cwd: string, file: string): Promise<Recording> {
    const { code, stderr, stdout } = await rspp(cwd, "timeline", "export", file, "--format", "jsonl")
    if (code !== 0) throw new Error(`${file} cannot be read: ${stderr}`)
    return new Recording(stdout.trim().split("\n").map((line) => JSON.parse(line) as AnyRecord))
  }

  get header(): HeaderRecord {
    const header = this.records.find((record) => record.record === "header")
    if (header === undefined) throw new Error("the timeline has no header")
    return header
  }

  inputs(type: string): ReadonlyArray<InputRecord["input"] & { readonly atMs: number }> {
    return this.records.flatMap((record) =>
      record.record === "input" && record.input.type === type
        ? [{ ...record.input, atMs: this.wallMs(record.runtime_timestamp_ms) }]
        : []
    )
  }

  signals(...names: ReadonlyArray<string>): ReadonlyArray<SignalRecord["signal"] & { readonly atMs: number }> {
    return this.records.flatMap((record) =>
      record.record === "signal" && names.includes(record.signal.signal)
        ? [{ ...record.signal, atMs: this.wallMs(record.signal.runtime_timestamp_ms) }]
        : []
    )
  }

  /** What becomes of the connection, in order. */
  get connection(): ReadonlyArray<string | undefined> {
    return this.inputs("connection").map(({ state }) => state)
  }

  /** A time of the session, by the clock of the machine. */
  private wallMs(sessionMs: number): number {
    return this.header.wall_clock_start_ms + sessionMs
  }
}

/**
 * Holds a timeline to what RSPP promises of every call: it is whole and valid, every accepted turn has complete evidence,
 * and it is executed again identically. Gives what is in it.
 */
export const soundRecording = async (
  cwd: string,
  file: string,
  turns?: number
): Promise<Recording> => {
  const [verified, replayed] = await Promise.all([
    rspp(cwd, "timeline", "verify", file, "--json"),
    rspp(cwd, "replay", file, "--json")
  ])
  const verdict = JSON.parse(verified.stdout) as { readonly turns: ReadonlyArray<unknown> }
  expect(verdict).toMatchObject({ ok: true, problems: [], open: [] })
  expect(verified.code).toBe(0)
  expect(JSON.parse(replayed.stdout)).toMatchObject({ identical: true, complete: true, verdict: "identical" })
  expect(replayed.code).toBe(0)
  if (turns !== undefined) expect(verdict.turns).toHaveLength(turns)
  return await Recording.read(cwd, file)
}
