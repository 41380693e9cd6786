// Judges what the processes of the hammer wrote down. It knows the files and nothing of the code that is tested.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Line } from "./Log.ts"

/**
 * - `two_writable` two epochs of a session could write at the same instant
 * - `epoch_back` an epoch came after a higher or equal one, or two processes had the same one
 * - `stale_accepted` a frame was accepted under an epoch that could not write when egress asked the clock, or after one of
 *   a higher epoch
 * - `orphaned` a session whose lease had ended was without a new epoch for more than one TTL
 * - `not_resumed` it had a new epoch, but gave no output within two TTLs of the end of the lease
 * - `never_served` a session never gave any output
 */
export type Rule = "two_writable" | "epoch_back" | "stale_accepted" | "orphaned" | "not_resumed" | "never_served"

export interface Violation {
  readonly rule: Rule
  readonly session: string
  readonly message: string
}

export interface Verdict {
  readonly violations: ReadonlyArray<Violation>
  readonly figures: {
    readonly processes: number
    readonly sessions: number
    readonly epochs: number
    readonly renewals: number
    readonly outputs: number
    readonly kills: number
    readonly pauses: number
    readonly database_crashes: number
    /** Leases that ended while their owner was dead, stopped, or cut off from the database. */
    readonly orphans: number
    /** Frames that egress allowed in time and that were out only after the process had been stopped: one a pause at most. */
    readonly in_flight: number
    /**
     * The longest time in which a process that held sessions, and was neither stopped nor dead nor without its database,
     * wrote nothing, ms: how much the machine was wanting.
     */
    readonly longest_silence_ms: number
    readonly takeover_ms: Spread
    readonly resumed_ms: Spread
  }
}

interface Spread {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** An epoch of a session in a process: it could write from `from` until `until`. */
interface Tenure {
  readonly process: string
  readonly epoch: number
  readonly from: bigint
  until: bigint
  /** Given back by its owner. */
  closed: boolean
  /** How often it was extended. */
  renewals: number
  firstOut: bigint | undefined
}

interface Attempt {
  readonly session: string
  readonly epoch: number
  readonly t: bigint
  won: boolean | undefined
}

interface Output {
  readonly process: string
  readonly epoch: number
  readonly asked: bigint
  readonly out: bigint
}

type Of<K extends Line["k"]> = Extract<Line, { readonly k: K }>

const msOf = (ns: bigint): number => Math.round(Number(ns) / 1e5) / 10

const spreadOf = (values: Array<number>): Spread => {
  values.sort((a, b) => a - b)
  const at = (share: number) => values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** The lines of each file of a directory. A last line that a kill cut short is left out. */
export const readLogs = (directory: string): ReadonlyArray<ReadonlyArray<Line>> =>
  readdirSync(directory).filter((file) => file.endsWith(".ndjson")).sort().map((file) => {
    const text = readFileSync(join(directory, file), "utf8")
    return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line)
  })

const longestSilence = (
  files: ReadonlyArray<ReadonlyArray<Line>>,
  faults: ReadonlyArray<Of<"kill" | "pause" | "resume">>,
  outages: ReadonlyArray<{ readonly from: bigint; readonly until: bigint }>
): number => {
  let longest = 0n
  for (const [first, ...lines] of files) {
    if (first?.k !== "begin") continue
    const hits = faults.filter(({ p }) => p === first.p).map(({ t }) => BigInt(t))
    let before: bigint | undefined
    for (const { k, t } of lines) {
      const at = BigInt(t)
      const from = before
      before = k === "out" || k === "tried" ? at : before
      if (from === undefined || at - from <= longest) continue
      const excused = hits.some((hit) => hit > from && hit < at) ||
        outages.some((outage) => outage.until > from && outage.from < at)
      if (!excused) longest = at - from
    }
  }
  return msOf(longest)
}

export const check = (files: ReadonlyArray<ReadonlyArray<Line>>): Verdict => {
  const violations: Array<Violation> = []
  const blame = (rule: Rule, session: string, message: string) => void violations.push({ rule, session, message })
  const tenures = new Map<string, Array<Tenure>>()
  const attempts = new Map<string, Array<Attempt>>()
  const outputs = new Map<string, Array<Output>>()
  const faults: Array<Of<"kill" | "pause" | "resume">> = []
  const outages: Array<{ readonly from: bigint; until: bigint }> = []
  const into = <A>(map: Map<string, Array<A>>, key: string, value: A) => {
    const known = map.get(key)
    if (known === undefined) map.set(key, [value])
    else known.push(value)
  }
  let ttl = 0n
  let sessions = 0
  let processes = 0
  let end: bigint | undefined
  let last = 0n

  for (const file of files) {
    let process = "driver"
    const open = new Map<string, Tenure>()
    const tried = new Map<number, Attempt>()
    for (const line of file) {
      const t = BigInt(line.t)
      if (t > last) last = t
      switch (line.k) {
        case "begin": {
          process = line.p
          processes++
          ttl = BigInt(line.ttl_ms) * 1_000_000n
          sessions = line.sessions
          break
        }
        case "try": {
          const attempt = { session: line.s, epoch: line.e, t, won: undefined }
          tried.set(line.n, attempt)
          into(attempts, line.s, attempt)
          break
        }
        case "tried": {
          const attempt = tried.get(line.n)
          if (attempt !== undefined) attempt.won = line.won
          tried.delete(line.n)
          break
        }
        case "lease": {
          const tenure = open.get(line.s)
          if (line.until === undefined) {
            if (tenure?.epoch === line.e && t < tenure.until) tenure.until = t
            break
          }
          const until = BigInt(line.until)
          if (tenure?.epoch === line.e && !tenure.closed && t <= tenure.until) {
            if (until > tenure.until) tenure.until = until
            tenure.renewals++
            break
          }
          // An epoch that comes anew ends the one before it in the same process; and news that came too late is of none.
          if (tenure !== undefined && t < tenure.until) tenure.until = t
          if (until <= t) break
          const made = { process, epoch: line.e, from: t, until, closed: false, renewals: 0, firstOut: undefined }
          open.set(line.s, made)
          into(tenures, line.s, made)
          break
        }
        case "closing": {
          const tenure = open.get(line.s)
          if (tenure === undefined) break
          if (t < tenure.until) {
            tenure.until = t
            tenure.closed = true
          }
          open.delete(line.s)
          break
        }
        case "out":
          into(outputs, line.s, { process, epoch: line.e, asked: BigInt(line.b), out: t })
          break
        case "db_down":
          outages.push({ from: t, until: t })
          break
        case "db_up": {
          const outage = outages.at(-1)
          if (outage !== undefined) outage.until = t
          break
        }
        case "end":
          end = t
          break
        default:
          faults.push(line)
      }
    }
  }
  const over = end ?? last
  const pauses = faults.filter(({ k }) => k === "pause").length
  const takeovers: Array<number> = []
  const resumptions: Array<number> = []
  let inFlight = 0
  let orphans = 0

  /** The instant by which something was due `allowed` after `since`, not counting what the database was away. */
  const due = (since: bigint, allowed: bigint): bigint => {
    let from = since
    for (const outage of outages) {
      if (outage.until > from && outage.from < from + allowed) from = outage.until
    }
    return from + allowed
  }
  /** Whether a process was killed or stopped between two instants. */
  const hit = (process: string, from: bigint, until: bigint): boolean =>
    faults.some(({ p, t }) => p === process && BigInt(t) >= from && BigInt(t) <= until) ||
    outages.some((outage) => outage.until > from && outage.from < until)

  for (const [session, unsorted] of tenures) {
    const held = unsorted.sort((a, b) => (a.from < b.from ? -1 : 1))
    const said = (outputs.get(session) ?? []).sort((a, b) => (a.asked < b.asked ? -1 : 1))
    const asked = attempts.get(session) ?? []

    held.forEach((tenure, i) => {
      for (let j = i - 1; j >= 0; j--) {
        const before = held[j]
        if (before === undefined) break
        if (before.until > tenure.from && before !== tenure && before.epoch !== tenure.epoch) {
          blame(
            "two_writable",
            session,
            `epoch ${tenure.epoch} (${tenure.process}) could write ${
              msOf(before.until - tenure.from)
            } ms before epoch ${before.epoch} (${before.process}) had to stop`
          )
        }
      }
      const before = held[i - 1]
      const again = before?.epoch === tenure.epoch && before.process === tenure.process
      if (before !== undefined && tenure.epoch <= before.epoch && !again) {
        blame(
          "epoch_back",
          session,
          `epoch ${tenure.epoch} (${tenure.process}) came after epoch ${before.epoch} (${before.process})`
        )
      }
    })

    let highest = 0
    for (const output of said) {
      const ofIt = held.filter(({ epoch, process }) => epoch === output.epoch && process === output.process)
      const allowed = ofIt.find(({ from, until }) => output.asked >= from && output.asked < until)
      if (allowed === undefined) {
        const late = ofIt.findLast(({ until }) => until <= output.asked)
        const when = late === undefined ? "" : `, ${msOf(output.asked - late.until)} ms after its end`
        blame("stale_accepted", session, `a frame of epoch ${output.epoch} by ${output.process}${when}`)
      } else if (output.epoch < highest) {
        blame("stale_accepted", session, `a frame of epoch ${output.epoch} after one of epoch ${highest}`)
      } else if (output.out >= allowed.until) inFlight++
      else allowed.firstOut ??= output.out
      highest = Math.max(highest, output.epoch)
    }
    if (said.length === 0) blame("never_served", session, "no frame of it was ever accepted")

    held.forEach((tenure, i) => {
      const next = held[i + 1]
      // An owner that stood still for a moment, and nobody had missed it.
      const same = next?.epoch === tenure.epoch && next.process === tenure.process
      if (tenure.closed || same || tenure.until >= over) return
      // The lease in the store ends one TTL after its last writing at the latest, which began at or after it read the clock.
      const writes = asked.filter(({ t, won }) => won !== false && t < (next?.from ?? over) && t >= tenure.from - ttl)
      const lastWrite = writes.filter(({ epoch }) => next === undefined || epoch < next.epoch)
        .reduce((latest, { t }) => (t > latest ? t : latest), tenure.until - ttl)
      const ended = lastWrite + ttl
      orphans++
      const limit = due(ended, ttl)
      if (next === undefined ? limit < over : next.from > limit) {
        const waited = next === undefined ? "never" : `${msOf(next.from - ended)} ms later`
        blame("orphaned", session, `epoch ${tenure.epoch} (${tenure.process}) ended, and the next came ${waited}`)
      }
      if (next === undefined) return
      takeovers.push(Math.max(0, msOf(next.from - ended)))
      const resumeBy = due(ended, 2n * ttl)
      if (next.firstOut !== undefined) resumptions.push(Math.max(0, msOf(next.firstOut - ended)))
      const resumed = next.firstOut !== undefined && next.firstOut <= resumeBy
      const excused = resumeBy > over || next.closed || hit(next.process, ended - ttl, resumeBy)
      if (!resumed && !excused) {
        const when = next.firstOut === undefined ? "never spoke" : `spoke ${msOf(next.firstOut - ended)} ms later`
        blame("not_resumed", session, `epoch ${tenure.epoch} ended, and epoch ${next.epoch} (${next.process}) ${when}`)
      }
    })
  }
  for (let i = 0; i < sessions; i++) {
    if (!tenures.has(`ses_${i}`)) blame("never_served", `ses_${i}`, "nobody ever held it")
  }
  if (inFlight > pauses) {
    blame(
      "stale_accepted",
      "all",
      `${inFlight} frames were in flight when their epoch ended, but only ${pauses} pauses`
    )
  }
  const all = [...tenures.values()].flat()
  return {
    violations,
    figures: {
      processes,
      sessions: tenures.size,
      epochs: all.length,
      renewals: all.reduce((sum, { renewals }) => sum + renewals, 0),
      outputs: [...outputs.values()].reduce((sum, { length }) => sum + length, 0),
      kills: faults.filter(({ k }) => k === "kill").length,
      pauses,
      database_crashes: outages.length,
      orphans,
      in_flight: inFlight,
      longest_silence_ms: longestSilence(files, faults, outages),
      takeover_ms: spreadOf(takeovers),
      resumed_ms: spreadOf(resumptions)
    }
  }
}
