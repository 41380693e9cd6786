import { existsSync, readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import { runCampaign } from "../mutants/Campaign.ts"
import { catalogue } from "../mutants/Catalogue.ts"
import type { Mutant } from "../mutants/Mutant.ts"
import { editsOf, planted, StaleMutant } from "../mutants/Mutant.ts"
import { Workshop } from "../mutants/Workshop.ts"

const repository = dirname(dirname(import.meta.dirname))
const contextFile = "packages/runtime/src/kernel/KernelContext.ts"

const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith("rspp-mutants-")).sort()

const campaign = (
  mutants: ReadonlyArray<Mutant>,
  signal = new AbortController().signal,
  sources = repository
) =>
  runCampaign({
    repository: sources,
    mutants,
    seeds: 3,
    scenarios: false,
    cpuSeconds: 30,
    unmutatedSeeds: 3,
    jobs: 1,
    signal
  })

/** A find that stands once, and a replacement. */
const inContext = (id: string, replace: string): Mutant => ({
  id,
  file: contextFile,
  what: "for this test",
  find: "      runtime_sequence: this.takeSequence(),",
  replace
})

describe("the list of mutants", () => {
  it("has at least 24, each with an id of its own", () => {
    expect(catalogue.length).toBeGreaterThanOrEqual(24)
    expect(new Set(catalogue.map(({ id }) => id)).size).toBe(catalogue.length)
  })

  it.each(catalogue)("$id fits the sources in exactly one place and changes it", (mutant) => {
    for (const edit of editsOf(mutant)) {
      const path = join(repository, edit.file)
      expect(existsSync(path)).toBe(true)
      const text = readFileSync(path, "utf8")
      expect(planted(mutant.id, edit, text)).not.toBe(text)
    }
  })

  it("says so when a mutant fits no place, or two", () => {
    const edit = { file: "f.ts", find: "a", replace: "b" }
    expect(() => planted("m", edit, "xyz")).toThrow(StaleMutant)
    expect(() => planted("m", edit, "xyz")).toThrow(/m: what it replaces no longer stands in f\.ts/u)
    expect(() => planted("m", edit, "aba")).toThrow(/stands 2 times/u)
  })
})

describe("a campaign", () => {
  it("catches a defect, lets one survive that changes nothing, gives none to one that does not load", async () => {
    const before = copies()
    const result = await campaign([
      inContext("repeats", "      runtime_sequence: this.nextSequence,"),
      inContext("nothing", "      runtime_sequence: this.takeSequence(), // the same"),
      inContext("unloadable", "      runtime_sequence: this.takeSequence(")
    ])
    expect(result).toMatchObject({
      is: "done",
      verdicts: [
        { is: "caught", seed: 1, rule: "L02" },
        { is: "survived", seeds: 3, changed: 0, compared: 3 },
        { is: "invalid" }
      ]
    })
    expect(copies()).toEqual(before)
  }, 60_000)

  it("says that it is worthless when the sources break a rule as they are", async () => {
    const broken = new Workshop(repository)
    try {
      broken.plant(inContext("repeats", "      runtime_sequence: this.nextSequence,"))
      const outcome = { is: "caught", seed: 1, rule: "L02" }
      expect(await campaign([], undefined, broken.directory)).toMatchObject({ is: "worthless", outcome })
    } finally {
      broken.remove()
    }
  }, 60_000)

  it("runs nothing when a mutant no longer fits", async () => {
    const before = copies()
    const stale = { ...inContext("stale", ""), find: "no such line" }
    await expect(campaign([stale])).rejects.toThrow(StaleMutant)
    expect(copies()).toEqual(before)
  })

  it("leaves no copy behind when it is stopped", async () => {
    const before = copies()
    const stop = new AbortController()
    const running = campaign([inContext("nothing", "      runtime_sequence: this.takeSequence(), //")], stop.signal)
    setTimeout(() => stop.abort(), 300)
    expect(await running).toEqual({ is: "stopped" })
    expect(copies()).toEqual(before)
  }, 60_000)
})
