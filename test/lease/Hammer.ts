import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ContenderOptions } from "./contender.child.ts"
import { now, openLog } from "./Log.ts"

export interface HammerOptions {
  /** Where the files go; must be there. */
  readonly directory: string
  readonly processes: number
  readonly sessions: number
  readonly ttlMs: number
  readonly seconds: number
  readonly turnEveryMs: number
  readonly seed: number
  /** How hard they are struck; absent: as in `make lease`. */
  readonly strikes?: Strikes
  readonly progress: (text: string) => void
  /** True: stop early. */
  readonly interrupted: () => boolean
}

interface Range {
  readonly least: number
  readonly most: number
}

export interface Strikes {
  /** Processes that may be down at one time, as a part of all; those that go on have to take over what was theirs. */
  readonly part: number
  /** From one strike to the next, in parts of the TTL. */
  readonly every: Range
  /** How long a process is stopped, in parts of the TTL; some lose their leases by that, and some do not. */
  readonly pause: Range
}

/** Those of `make lease`. */
const usualStrikes: Strikes = {
  part: 0.4,
  every: { least: 0.1, most: 0.6 },
  pause: { least: 0.5, most: 2.5 }
}

const child = join(import.meta.dirname, "contender.child.ts")
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The time in which nothing is done to anybody: at the end, until all are back, and at the start at most, until all speak.
 * More than the two TTLs within which output has to come again, so that the last faults are judged too.
 */
const quietTtls = 3

/** The database is left alone for so long after a crash, at least; the first comes soon. */
const crashEveryTtls = 8

interface Process {
  readonly name: string
  readonly child: ChildProcess
}

/**
 * Lets processes contend for sessions while some are killed, stopped for longer than a lease lasts, and the database is
 * crashed and started again. What happened is in the files of `directory`; says why if there is no database to do it with.
 */
export const hammer = async (
  options: HammerOptions
): Promise<{ readonly missing: string } | "done" | "interrupted"> => {
  const server = postgresServer()
  if ("missing" in server) return server
  const { crash, start, stop, url } = server
  const { directory, interrupted, processes, progress, seed, sessions, strikes = usualStrikes, ttlMs, turnEveryMs } =
    options
  const stream = new RandomStreams(seed).of("hammer")
  const log = openLog(join(directory, "driver.ndjson"))
  const slots: Array<Process | undefined> = Array.from({ length: processes }, () => undefined)
  let lives = 0
  let broken: string | undefined

  const begin = (slot: number, begins?: ContenderOptions["begins"]): void => {
    const name = `p${slot}.${++lives}`
    const given: ContenderOptions = {
      url,
      name,
      log: join(directory, `${name}.ndjson`),
      sessions,
      ttlMs,
      turnEveryMs,
      seed: seed * 1000 + lives,
      ...(begins === undefined ? {} : { begins })
    }
    const started = spawn(process.execPath, [child, JSON.stringify(given)], {
      stdio: ["ignore", "ignore", "pipe"],
      // A process that is begun anew has little to compile.
      env: { ...process.env, NODE_COMPILE_CACHE: join(directory, "compiled") }
    })
    let said = ""
    started.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2000)
    })
    slots[slot] = { name, child: started }
    started.on("close", (_code, signal) => {
      if (slots[slot]?.child !== started || stopping) return
      slots[slot] = undefined
      broken ??= `${name} ended by itself (${signal ?? "no signal"}): ${said}`
    })
  }
  let stopping = false
  let databaseAway = false
  const busy = new Set<number>()
  const some = (): number | undefined => {
    const free = slots.flatMap((slot, i) => slot === undefined || busy.has(i) ? [] : [i])
    // Most go on, or nobody could take anything over.
    return busy.size >= Math.max(1, Math.floor(processes * strikes.part)) || free.length === 0
      ? undefined
      : free[stream.between(0, free.length - 1)]
  }

  const ttlsBetween = ({ least, most }: Range): number =>
    stream.between(Math.floor(ttlMs * least), Math.floor(ttlMs * most))
  /** Whether a session of the process has given output. */
  const speaks = (name: string): boolean => {
    const file = join(directory, `${name}.ndjson`)
    return existsSync(file) && readFileSync(file, "utf8").includes("\"k\":\"out\"")
  }

  const kill = async (): Promise<void> => {
    const slot = some()
    const victim = slot === undefined ? undefined : slots[slot]
    if (slot === undefined || victim === undefined) return
    busy.add(slot)
    slots[slot] = undefined
    log({ k: "kill", t: now(), p: victim.name })
    victim.child.kill("SIGKILL")
    await wait(stream.between(0, ttlMs))
    if (!stopping) begin(slot)
    busy.delete(slot)
  }
  const pause = async (): Promise<void> => {
    const slot = some()
    const victim = slot === undefined ? undefined : slots[slot]
    if (slot === undefined || victim === undefined) return
    busy.add(slot)
    log({ k: "pause", t: now(), p: victim.name })
    victim.child.kill("SIGSTOP")
    await wait(ttlsBetween(strikes.pause))
    log({ k: "resume", t: now(), p: victim.name })
    victim.child.kill("SIGCONT")
    busy.delete(slot)
  }
  const restartDatabase = async (): Promise<void> => {
    if (crash === undefined || start === undefined || databaseAway) return
    databaseAway = true
    log({ k: "db_down", t: now() })
    crash()
    await wait(stream.between(0, Math.floor(ttlMs * 1.5)))
    start()
    log({ k: "db_up", t: now() })
    databaseAway = false
  }

  const begun = performance.now()
  const endsAt = begun + options.seconds * 1000
  const quietMs = quietTtls * ttlMs
  const under: Set<Promise<void>> = new Set()
  try {
    for (let slot = 0; slot < processes; slot++) begin(slot, { from: slot, every: processes })
    const latest = begun + Math.min(quietMs, options.seconds * 250)
    while (performance.now() < latest && !slots.every((slot) => slot !== undefined && speaks(slot.name))) {
      await wait(200)
    }
    let told = 0
    let lastCrash = performance.now() - (crashEveryTtls - 1) * ttlMs
    while (performance.now() < endsAt - quietMs && !interrupted() && broken === undefined) {
      const dice = stream.between(1, 100)
      const crashNow = performance.now() - lastCrash > crashEveryTtls * ttlMs && dice <= 50
      if (crashNow) lastCrash = performance.now()
      const fault = crashNow ? restartDatabase() : stream.chance(0.5) ? kill() : pause()
      under.add(fault)
      void fault.finally(() => under.delete(fault))
      if (performance.now() - told > 10_000) {
        told = performance.now()
        progress(`${Math.round((told - begun) / 1000)} s of ${options.seconds}, ${lives} processes begun`)
      }
      await wait(ttlsBetween(strikes.every))
    }
    await Promise.all(under)
    if (!interrupted()) await wait(Math.max(0, endsAt - performance.now()))
    log({ k: "end", t: now() })
  } finally {
    stopping = true
    for (const slot of slots) {
      slot?.child.kill("SIGCONT")
      slot?.child.kill("SIGKILL")
    }
    await wait(100)
    stop()
  }
  if (broken !== undefined) throw new Error(broken)
  return interrupted() ? "interrupted" : "done"
}
