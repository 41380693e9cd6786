import { Faults } from "../Faults.ts"
import type { RandomStreams } from "../RandomStreams.ts"
import type { Scenario } from "../Scenario.ts"
import type { Placement } from "../Takeover.ts"
import type { World } from "../World.ts"
import { Connections } from "./SimConnection.ts"
import { SpeechBook } from "./SpeechBook.ts"
import { SimScript } from "./SimScript.ts"
import { Truth } from "./Truth.ts"

/** One simulated call: what its parts share. */
export interface SimCall {
  readonly world: World
  readonly scenario: Scenario
  readonly streams: RandomStreams
  readonly faults: Faults
  readonly book: SpeechBook
  readonly truth: Truth
  readonly script: SimScript
  readonly connections: Connections
  /** Where it runs, when the session has more than one placement. */
  readonly placement: Placement | undefined
  /** Told in the step in which a turn asks for its evidence: its reply is complete. */
  readonly whenComplete: Array<() => void>
  /** Told when a frame of the agent has been passed to the transport; each is told once. */
  readonly whenSpeaking: Array<() => void>
  /** Told when a final text has come in; each is told once. */
  readonly whenHeard: Array<() => void>
  /** When the caller's side ended. */
  leftMs: number | undefined
  /** When the caller began to say its last words, after the faults. */
  saidLastMs: number | undefined
  /** When the session's own clock began. */
  zeroMs: number
}

export const makeCall = (
  world: World,
  scenario: Scenario,
  streams: RandomStreams,
  placement?: Placement
): SimCall => {
  const faults = new Faults(scenario.faults, streams, () => world.nowMs)
  return {
    world,
    scenario,
    streams,
    faults,
    book: new SpeechBook(),
    truth: new Truth(() => world.nowMs),
    script: new SimScript(world, faults, scenario.script ?? []),
    connections: new Connections(),
    placement,
    whenComplete: [],
    whenSpeaking: [],
    whenHeard: [],
    leftMs: undefined,
    saidLastMs: undefined,
    zeroMs: 0
  }
}
