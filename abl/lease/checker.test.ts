// Each rule of the hammer's checker is shown a small history that breaks it, and the same without the break.
import { assert, describe, it } from "vitest"
import type { Rule } from "./Checker.ts"
import { check } from "./Checker.ts"
import type { Line } from "./Log.ts"

/** Milliseconds of the machine's clock, as the files have them. */
const at = (ms: number): string => String(BigInt(ms) * 1_000_000n)
const ttl = 1000

/** One process: lines that are put together from shorter words. */
class Log {
  readonly lines: Array<Line>
  #tries = 0

  constructor(p: string) {
    this.lines = [{ k: "begin", t: at(0), p, ttl_ms: ttl, sessions: 1 }]
  }
  /** Takes or renews the lease at `ms`; the answer comes 10 ms later. */
  lease(ms: number, e: number, until = ms + ttl): this {
    const n = ++this.#tries
    this.lines.push(
      { k: "try", t: at(ms), n, s: "ses_0", e },
      { k: "tried", t: at(ms + 10), n, won: true },
      { k: "lease", t: at(ms + 10), s: "ses_0", e, until: at(until) }
    )
    return this
  }
  /** Asks for the lease at `ms`, and never hears an answer. */
  asks(ms: number, e: number): this {
    this.lines.push({ k: "try", t: at(ms), n: ++this.#tries, s: "ses_0", e })
    return this
  }
  out(ms: number, e: number, outMs = ms): this {
    this.lines.push({ k: "out", b: at(ms), t: at(outMs), s: "ses_0", e })
    return this
  }
  closing(ms: number, e: number): this {
    this.lines.push({ k: "closing", t: at(ms), s: "ses_0", e })
    return this
  }
}

const driver = (...lines: ReadonlyArray<Line>): ReadonlyArray<Line> => [...lines, { k: "end", t: at(10_000) }]

const rules = (...files: ReadonlyArray<Log | ReadonlyArray<Line>>): ReadonlyArray<Rule> => [
  ...new Set(check(files.map((file) => file instanceof Log ? file.lines : file)).violations.map(({ rule }) => rule))
]

/** The first owner, which is killed at 1500: its lease ends at 2000. */
const first = () => new Log("a").lease(100, 1).out(200, 1).lease(1000, 1).out(1400, 1)
const killed = driver({ k: "kill", t: at(1500), p: "a" })
/** The second owner, from `ms` until the end. */
const second = (ms: number, e = 2) => {
  const log = new Log("b")
  for (let t = ms; t < 10_000; t += 400) log.lease(t, e).out(t + 300, e)
  return log
}

describe("the checker of the lease hammer", () => {
  it("finds nothing wrong with a takeover in time", () => {
    const { figures, violations } = check([first().lines, second(2200).lines, killed])
    assert.deepStrictEqual(violations, [])
    assert.deepInclude(figures, { epochs: 2, orphans: 1, kills: 1, in_flight: 0 })
    assert.deepInclude(figures.takeover_ms, { max: 210 })
    assert.deepInclude(figures.resumed_ms, { max: 500 })
  })

  it("finds two epochs that could write at once", () => {
    assert.deepStrictEqual(rules(first(), second(1900), killed), ["two_writable"])
  })

  it("finds an epoch that goes back, or is had twice", () => {
    assert.deepStrictEqual(rules(first(), second(2200, 1), killed), ["epoch_back"])
    const higher = new Log("a").lease(100, 5).out(200, 5)
    assert.deepStrictEqual(rules(higher, second(1300, 4), killed), ["epoch_back", "stale_accepted", "not_resumed"])
  })

  it("finds a frame of an epoch that is over", () => {
    assert.deepStrictEqual(rules(first().out(2001, 1), second(2200), killed), ["stale_accepted"])
    assert.deepStrictEqual(rules(first().out(4000, 1), second(2200), killed), ["stale_accepted"])
    assert.deepStrictEqual(rules(first(), second(2200).out(3000, 1), killed), ["stale_accepted"])
  })

  it("counts a frame that was allowed in time and out too late once for each pause, and no more", () => {
    const paused = driver({ k: "pause", t: at(1500), p: "a" }, { k: "resume", t: at(5000), p: "a" })
    assert.deepStrictEqual(rules(first().out(1999, 1, 5000), second(2200), paused), [])
    assert.deepStrictEqual(rules(first().out(1999, 1, 5000), second(2200), killed), ["stale_accepted"])
  })

  it("finds a session that was left alone too long, or for ever", () => {
    assert.deepStrictEqual(rules(first(), second(3100), killed), ["orphaned"])
    assert.deepStrictEqual(rules(first(), killed), ["orphaned"])
  })

  it("does not count what the database was away, nor a lease that somebody may have had without knowing", () => {
    const away = driver({ k: "db_down", t: at(1500) }, { k: "db_up", t: at(2600) })
    assert.deepStrictEqual(rules(first(), second(3500), away), [])
    assert.deepStrictEqual(rules(first(), second(3700), away), ["orphaned"])
    assert.deepStrictEqual(rules(first(), new Log("c").asks(2100, 2), second(3500, 3), killed), [])
  })

  it("finds a session that has a new epoch but no voice", () => {
    const silent = new Log("b")
    for (let t = 2200; t < 10_000; t += 400) silent.lease(t, 2)
    assert.deepStrictEqual(rules(first(), silent, killed), ["not_resumed"])
    assert.deepStrictEqual(
      rules(first(), silent, driver({ k: "kill", t: at(1500), p: "a" }, { k: "kill", t: at(3000), p: "b" })),
      []
    )
  })

  it("asks nothing of a session that was given back, and something of one that nobody had", () => {
    assert.deepStrictEqual(rules(first().closing(1500, 1), second(6000), driver()), [])
    assert.deepStrictEqual(rules(new Log("a"), driver()), ["never_served"])
  })
})
