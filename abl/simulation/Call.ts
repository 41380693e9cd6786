import { faultKinds } from "@rspp/simulation/Faults"
import type { FaultKind, FaultPlan } from "@rspp/simulation/Faults"
import type { SeedOptions, SeedResult } from "@rspp/simulation/Run"
import type { Scenario } from "@rspp/simulation/Scenario"
import type { ScriptedEvent } from "@rspp/simulation/Script"
import type { Told } from "./Told.ts"

/** A failure from the field, or a class of the failure matrix, as a call that is scripted to the instant. */
export interface NamedScenario {
  readonly id: string
  /** What must hold, in the words of SCENARIOS.md or CONTRACT.md. */
  readonly sentence: string
  readonly cases: ReadonlyArray<ScenarioCase>
}

/** One way in which a scenario comes about. */
export interface ScenarioCase {
  readonly name: string
  readonly script: ReadonlyArray<ScriptedEvent>
  /** What the author of the pipeline wrote, laid over the defaults. */
  readonly spec?: Readonly<Record<string, unknown>>
  /** What is different from the usual call. */
  readonly call?: Partial<Scenario>
  /** Another placement stands by and takes the session over when it is free; what is different there. */
  readonly takeover?: { readonly script: ReadonlyArray<ScriptedEvent>; readonly call?: Partial<Scenario> }
  /** Another call of the same tenant in the same process, from the same instant on; what is different there. */
  readonly beside?: { readonly script: ReadonlyArray<ScriptedEvent>; readonly call?: Partial<Scenario> }
  /** What is different in the shifted runs besides: a long call is made shorter. */
  readonly shiftedCall?: Partial<Scenario>
  /** Seeds of the world: the order of what happens in one instant. Three by default. */
  readonly seeds?: ReadonlyArray<number>
  /** Seeds of the shifted runs; the first of `seeds` by default. */
  readonly shiftSeeds?: ReadonlyArray<number>
  /** What must be in the timeline of the script as it stands. */
  readonly holds: (told: Told, result: SeedResult) => void
  /** What must have come about in one of the seeds of the script as it stands, or in each: order within an instant. */
  readonly together?: (all: ReadonlyArray<Told>) => void
  /** What must be in every timeline, shifted ones included, besides what the registered checkers ask. */
  readonly always?: (told: Told, result: SeedResult) => void
}

/** A latency that does not vary, in ms. */
export const fixed = (ms: number) => ({ name: "fixed", source: "scenario", firstMs: [[0, ms], [1, ms]] as const })

/** The time at which faults end and the caller says its last words, in ms. */
export const calmMs = 12_000

/** A call in which nothing is drawn: what does not stand in the script does not happen. */
const calm = (drawn: Scenario): Scenario => ({
  ...drawn,
  // As generous as without one.
  pool: {},
  policy: {},
  spec: calmSpec({}),
  fallbacks: {},
  actions: [],
  ending: "all_said",
  faultsUntilMs: calmMs,
  hangUpMs: calmMs + 60_000,
  latencies: { stt: fixed(150), llm: { ...fixed(200), perTokenMs: 10 }, tts: fixed(100) },
  outputQueueMs: 200,
  voiceActivityMs: 0,
  leaseTtlMs: 10_000,
  snapshotTtlMs: 600_000,
  preemptOps: 2048,
  replySentences: 2,
  reply: { sentences: [4, 4], chunkMs: 100, factor: 0.2 }
})

/** The pipeline of every scenario, with what one writes over it. */
export const calmSpec = (more: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
  schema_version: "v1.0",
  pipeline_id: "scenario",
  pipeline_version: "scenario-1",
  // Who writes a graph names the providers there.
  ...("nodes" in more ? {} : { providers: { stt: "sim/stt", llm: "sim/llm", tts: "sim/tts" } }),
  ...more
})

/** Faults that a script begins are part of the plan, but nothing of them is drawn. */
const planOf = (own: FaultPlan | undefined, script: ReadonlyArray<ScriptedEvent>): FaultPlan => {
  const begun = script.flatMap(({ act }): ReadonlyArray<FaultKind> =>
    act.does === "fault" && faultKinds[act.kind].comes === "episode" ? [act.kind] : []
  )
  // Rules that allow for a provider which takes its time to die ask whether there is one.
  const slowToDie = script.some(({ act }) =>
    act.does === "call" ? act.with.cancelMs !== undefined : act.does === "fault" && act.kind === "node.ignores_cancel"
  )
  const halts = script.some(({ act }) => act.does === "halt")
  const rates = {
    ...(halts ? { "runtime.stopped": 0 } : {}),
    ...Object.fromEntries(begun.map((kind) => [kind, 1])),
    ...(slowToDie ? { "provider.slow_cancel": 0 } : {})
  }
  return {
    kinds: [...new Set([...own?.kinds ?? [], ...begun])],
    rates: { ...rates, ...own?.rates },
    episodes: own?.episodes ?? []
  }
}

export const optionsOf = (
  { beside, call, spec: written, takeover }: ScenarioCase,
  script: ReadonlyArray<ScriptedEvent>,
  check?: SeedOptions["check"]
): SeedOptions => ({
  kinds: [],
  turns: 1,
  graph: false,
  ...(check === undefined ? {} : { check }),
  ...(beside === undefined ? {} : { sessions: 2 }),
  ...(takeover === undefined ? {} : { sessions: 2, takeover: true }),
  adapt: (drawn, session) => {
    const other = session === 0 ? undefined : takeover ?? beside
    const own = {
      ...calm(drawn),
      ...(written === undefined ? {} : { spec: calmSpec(written) }),
      ...call,
      ...other?.call,
      ...(takeover === undefined ? {} : { sessionId: "ses_0123456789ab" })
    }
    const acts = other?.script ?? script
    return { ...own, script: acts, faults: planOf(other === undefined ? call?.faults : undefined, acts) }
  }
})
