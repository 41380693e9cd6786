import { describe, expect, it } from "vitest"
import type { SoakRecord } from "./Judge.ts"
import { judge } from "./Judge.ts"
import type { Sample } from "./Samples.ts"

const sample = (at_s: number, more: Partial<Sample> = {}): Sample => ({
  at_s,
  heap_mb: 60 + at_s % 3,
  rss_mb: 200 + at_s % 5,
  external_mb: 10,
  open_files: 40,
  threads: 20,
  resources: { PipeWrap: 1, Timeout: 12 },
  listeners: 11,
  sessions: 10,
  calls: at_s,
  ...more
})

const good: SoakRecord = {
  start: sample(0, { sessions: 0, listeners: 0 }),
  samples: Array.from({ length: 12 }, (_, i) => sample(20 * i)),
  idle: sample(241, { sessions: 0, listeners: 0, resources: { PipeWrap: 2 } }),
  exitCode: 0,
  ended: ["soak-0-0", "soak-1-0"],
  called: ["soak-0-0", "soak-1-0"],
  failures: [],
  recordings: []
}
const growing = (name: "heap_mb" | "rss_mb" | "external_mb" | "open_files" | "threads" | "listeners", by: number) => ({
  ...good,
  samples: good.samples.map((one, i) => ({ ...one, [name]: one[name] + by * i }))
})

describe("the judge of a soak", () => {
  it("has nothing against one in which nothing grew and everything was closed", () => {
    expect(judge(good)).toEqual([])
  })

  it("does not compare the files of thirds that are a call or two long", () => {
    const short = good.samples.map((one, i) => sample(5 * i, { open_files: one.open_files + 20 * i }))
    expect(judge({ ...good, samples: short })).toEqual([])
  })

  it.each<readonly [string, SoakRecord, RegExp]>([
    ["a heap that grows", growing("heap_mb", 2), /heap grew from/u],
    ["resident memory that grows", growing("rss_mb", 8), /rss grew from/u],
    ["buffers that grow", growing("external_mb", 2), /external grew from/u],
    ["files that stay open", growing("open_files", 2), /open_files grew from/u],
    ["threads that stay", growing("threads", 2), /threads grew from/u],
    ["listeners that stay", growing("listeners", 1), /listeners grew from/u],
    [
      "a timer at rest",
      { ...good, idle: sample(61, { sessions: 0, listeners: 0, resources: { Timeout: 1 } }) },
      /1 Timeout/u
    ],
    [
      "a socket at rest",
      { ...good, idle: sample(61, { sessions: 0, listeners: 0, resources: { TCPSocketWrap: 2 } }) },
      /2 TCP/u
    ],
    [
      "a file at rest",
      { ...good, idle: sample(61, { sessions: 0, listeners: 0, resources: {}, open_files: 61 }) },
      /open_files at rest: 61/u
    ],
    [
      "a thread at rest",
      { ...good, idle: sample(61, { sessions: 0, listeners: 0, resources: {}, threads: 41 }) },
      /threads at rest: 41/u
    ],
    ["agents that never began", { ...good, start: undefined }, /never began/u],
    ["a listener at rest", { ...good, idle: sample(61, { sessions: 0, listeners: 2, resources: {} }) }, /2 listeners/u],
    ["a session at rest", { ...good, idle: sample(61, { sessions: 1, listeners: 0, resources: {} }) }, /1 sessions/u],
    ["a writer that is stuck", { ...good, ended: ["soak-0-0"] }, /soak-1-0: the caller left, its session never ended/u],
    ["a process that stays", { ...good, exitCode: null }, /did not end by itself/u],
    ["agents that never came to rest", { ...good, idle: undefined }, /never came to rest/u],
    ["a session that failed", { ...good, failures: ["soak-1-0: no"] }, /soak-1-0: no/u],
    ["a recording that is not the same again", { ...good, recordings: ["rspp replay ended with 1"] }, /ended with 1/u],
    ["no calls", { ...good, called: [] }, /no call was held/u],
    ["too few samples", { ...good, samples: good.samples.slice(0, 2) }, /too few/u]
  ])("sees %s", (_, record, what) => {
    expect(judge(record).join("\n")).toMatch(what)
  })
})
