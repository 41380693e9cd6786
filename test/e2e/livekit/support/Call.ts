import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterAll, expect } from "vitest"
import { AgentProcess } from "./AgentProcess.ts"
import { CallerProcess } from "./CallerProcess.ts"
import type { EventOf, JoinOptions } from "./CallerProcess.ts"
import { Lobby } from "./Lobby.ts"

/** Attributes of LiveKit's conventions for agents. */
const stateAttribute = "lk.agent.state"
const finalAttribute = "lk.transcription_final"
const transcriptionTopic = "lk.transcription"

/** A directory for the files of one test file; removed at its end, unless RSPP_KEEP_CALLS names one to move it to. */
export const filesHere = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-livekit-e2e-"))
  const keep = process.env["RSPP_KEEP_CALLS"]
  afterAll(() => {
    if (keep !== undefined && keep !== "") {
      cpSync(directory, join(keep, basename(expect.getState().testPath ?? "", ".test.ts")), { recursive: true })
    }
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

/** The states of the agent that the caller saw since `from`, in order. */
export const statesSeen = (caller: CallerProcess, from = 0): ReadonlyArray<string> =>
  [
    ...caller.all("participant", from).map(({ attributes }) => attributes),
    ...caller.all("attributes", from).map(
      ({ changed }) => changed
    )
  ].flatMap((attributes) => attributes[stateAttribute] ?? [])

/** Waits for the agent to be in that state, at any time since `from`. */
export const agentIs = async (caller: CallerProcess, state: string, from = 0): Promise<void> => {
  await caller.facts.next(
    `the agent's state ${state}`,
    (fact) =>
      (fact.event === "attributes" && fact.changed[stateAttribute] === state) ||
      (fact.event === "participant" && fact.attributes[stateAttribute] === state),
    { from }
  )
}

/** Waits until an agent has come into the caller's room, listens, and each can hear the other. */
export const meetAgent = async (caller: CallerProcess): Promise<void> => {
  await caller.next("participant", ({ kind }) => kind === "AGENT")
  await Promise.all([caller.next("track"), caller.next("micSubscribed"), agentIs(caller, "listening")])
}

/** Waits until the agent has begun to speak since `from`, and until it can be heard. */
export const agentIsHeard = (caller: CallerProcess, from: number): Promise<EventOf<"hearing">> =>
  caller.next("hearing", undefined, { from })

/** Waits until the agent has answered: it spoke since `from`, listens again, and is not heard any more. */
export const agentHasAnswered = async (caller: CallerProcess, from: number): Promise<void> => {
  await agentIs(caller, "speaking", from)
  const speaking = caller.facts.all.findIndex((fact, i) =>
    i >= from && fact.event === "attributes" && fact.changed[stateAttribute] === "speaking"
  )
  await agentIs(caller, "listening", speaking)
  await caller.facts.next("the end of the reply's sound", () => {
    const ended = caller.all("heard", from).length
    return ended > 0 && ended === caller.all("hearing", from).length
  }, { from })
}

export type Transcript = EventOf<"text"> & { readonly final: boolean }

/** Transcripts of what `identity` said, as the caller was shown them. */
export const transcriptsOf = (caller: CallerProcess, identity: string): ReadonlyArray<Transcript> =>
  caller.all("text")
    .filter(({ from, topic }) => topic === transcriptionTopic && from === identity)
    .map((text) => ({ ...text, final: text.attributes[finalAttribute] === "true" }))

/** A call: a caller and an agent in a room of their own. */
export class Call {
  readonly room: string
  readonly cwd: string
  readonly caller: CallerProcess
  readonly agent: AgentProcess
  /** The timeline's file, in {@link cwd}. */
  readonly timeline: string

  private constructor(room: string, cwd: string, caller: CallerProcess, agent: AgentProcess, timeline: string) {
    this.room = room
    this.cwd = cwd
    this.caller = caller
    this.agent = agent
    this.timeline = timeline
  }

  /** The caller's and the agent's names in every call. */
  static readonly callerIdentity = "caller"
  static readonly agentIdentity = "agent"

  /**
   * Both are in the room, each has subscribed to the other, and the agent listens. `name` is unique among the calls of a
   * test file.
   */
  static async open(
    lobby: Lobby,
    cwd: string,
    name: string,
    environment: Readonly<Record<string, string>> = {},
    options: JoinOptions = {}
  ): Promise<Call> {
    const room = Lobby.roomName()
    const timeline = `${name}.timeline`
    const agent = AgentProcess.join(
      cwd,
      await lobby.seat(room, Call.agentIdentity, { agent: true }),
      timeline,
      environment
    )
    // What an agent that could not start says is worth more than that nobody came.
    const failed = agent.ended.then(({ code, stderr }) => {
      throw new Error(`the agent ended with ${code} before the call began: ${stderr}`)
    })
    failed.catch(() => {})
    const caller = await CallerProcess.join(await lobby.seat(room, Call.callerIdentity), options)
    const call = new Call(room, cwd, caller, agent, timeline)
    try {
      await Promise.race([
        failed,
        Promise.all([
          caller.next("track"),
          agentIs(caller, "listening"),
          ...(options.mic === false ? [] : [caller.next("micSubscribed")])
        ])
      ])
    } catch (error) {
      await call[Symbol.asyncDispose]()
      throw error
    }
    return call
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.caller.vanish(), this.agent[Symbol.asyncDispose]()])
  }
}
