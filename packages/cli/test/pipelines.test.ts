import { beforeAll, describe, expect, it } from "vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { recording, rspp } from "./support/Program.ts"
import type { Ended } from "./support/Program.ts"

// The pipelines that ship, through the real program, on the recordings that ship.
const pipeline = (name: string) => fileURLToPath(new URL(`../../../contracts/pipelines/${name}`, import.meta.url))
const cwd = mkdtempSync(join(tmpdir(), "rspp-pipelines-"))

interface Call {
  readonly conversation: ReadonlyArray<{ readonly who: string; readonly text: string }>
  readonly turns: ReadonlyArray<{
    readonly outcome: string
    readonly invocations: ReadonlyArray<
      { readonly node_id: string; readonly provider_id: string; readonly outcome_class: string }
    >
  }>
}
const call = ({ stdout }: Ended) => JSON.parse(stdout) as Call
const said = (ended: Ended) =>
  call(ended).conversation.filter(({ who }) => who === "agent").map(({ text }) => text).join(" ")
const nodes = (ended: Ended) =>
  new Set(call(ended).turns.flatMap((turn) => turn.invocations.map(({ node_id }) => node_id)))

describe("the pipelines that ship", () => {
  const run = (name: string, file: string, ...caller: ReadonlyArray<string>) => () =>
    rspp(
      ["run", "--pipeline", pipeline(file), "--speed", "max", "--json", "--timeline", `${name}.timeline`, ...caller],
      { cwd }
    )
  const runs = {
    screened: run("screened", "screened.yaml", "--input", recording("goforward")),
    typed: run("typed", "screened.yaml", "--script", "typed.json"),
    models: run("models", "two-models.yaml", "--input", recording("goforward"))
  }
  let ended: Record<keyof typeof runs, Ended>
  let replayed: Ended
  beforeAll(async () => {
    const steps = [{ text: "What about the number 4711?" }, { text: "Hello." }]
    writeFileSync(join(cwd, "typed.json"), JSON.stringify({ steps }))
    // One after the other: several recognisers at once are slow, and providers have only so much time.
    ended = { screened: await runs.screened(), typed: await runs.typed(), models: await runs.models() }
    replayed = await rspp(["replay", ...Object.keys(runs).map((name) => `${name}.timeline`)], { cwd })
    return () => rmSync(cwd, { recursive: true, force: true })
  }, 240_000)

  it("answer", () => {
    const outcomes = Object.entries(ended).map(([name, one]) => {
      expect({ name, ...one }).toMatchObject({ name, code: 0, stderr: "" })
      return call(one).turns.map(({ outcome }) => outcome)
    })
    expect(outcomes).toEqual([["committed"], ["committed", "committed"], ["committed"]])
  })

  it("screened: sends a question to one model and smalltalk to the other", () => {
    const models = call(ended.typed).turns.map((turn) =>
      turn.invocations.map(({ node_id }) => node_id).filter((id) => id === "thinker" || id === "chatter")
    )
    expect(models).toEqual([["thinker"], ["chatter"]])
    expect([...nodes(ended.screened)]).toEqual(expect.arrayContaining(["topic", "chatter", "sentences", "mask", "tts"]))
  })

  it("screened: reads out no number", () => {
    expect(said(ended.typed)).toContain("What about the number some number?")
    expect(said(ended.typed)).not.toMatch(/\d/u)
  })

  it("two-models: asks both, and hears one", () => {
    expect([...nodes(ended.models)]).toEqual(expect.arrayContaining(["careful", "quick"]))
    expect(said(ended.models).match(/go forward/gu)).toHaveLength(1)
  })

  it("replay identical", () => {
    expect(replayed).toMatchObject({ code: 0, stderr: "" })
    expect(replayed.stdout.match(/: identical/gu)).toHaveLength(Object.keys(runs).length)
  })
})
