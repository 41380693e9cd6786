import { speech } from "@rspp/providers/scripted/ScriptedVoiceActivity"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { CliFailure } from "../CliFailure.ts"
import { readCaller } from "../CallerInput.ts"
import type { LoadSetup } from "./LoadSetup.ts"

/** What the callers of a load do, by the flags. */
export interface LoadCallerFlags {
  readonly input: string | undefined
  readonly script: string | undefined
  readonly cutEvery: number
}

/** The recordings that come with RSPP, for pipelines whose recogniser wants real speech. */
const recordings = new URL("../../../../test/recordings/", import.meta.url)
const spoken = ["goforward.wav", "something.wav", "vm-savefolder.wav", "librivox-0880.wav"]

/** A scripted caller speaks for so long, ms: longer than what counts as a cut. */
const speechMs = 1000
/** Between the end of an answer and what the caller says next, ms. */
const thinkMs = 400
/** The agent has finished when it was quiet for so long, ms: longer than a voice needs between two sentences. */
const quietMs = 700
/** When a caller cuts in, ms after the agent began. */
const cutAfterMs = 800
/** How long a caller waits for the beginning of an answer, beyond what providers are scripted to take, ms. */
const patienceMs = 10_000
/** A turn takes longer than this, ms: as many steps as a call can have need. */
const shortestTurnMs = 1500

/**
 * A caller that talks until `callMs` are over: it says the next thing when the answer has ended, and each `cutEvery`th time
 * while the agent still speaks. The steps and their sound are shared by all calls.
 */
const talking = (
  says: ReadonlyArray<Int16Array>,
  cutEvery: number,
  callMs: number,
  replyTimeoutMs: number
): CallScript =>
  makeCallScript(
    Array.from({ length: Math.ceil(callMs / shortestTurnMs) + 1 }, (_, index) => ({
      say: says[index % says.length] ?? new Int16Array(0),
      at: index === 0
        ? { after: "start", delay_ms: thinkMs } as const
        : cutEvery > 0 && index % cutEvery === cutEvery - 1
        ? { after: "agent_started", delay_ms: cutAfterMs } as const
        : { after: "agent_finished", delay_ms: thinkMs } as const
    })),
    { agent_quiet_ms: quietMs, reply_timeout_ms: replyTimeoutMs }
  )

const recorded = Effect.forEach(
  spoken,
  (name) => Effect.map(readAudioFile(fileURLToPath(new URL(name, recordings))), ({ samples }) => samples)
).pipe(
  Effect.catchTag("WaveFileError", () =>
    Effect.fail(
      new CliFailure({
        exit: "usage",
        message: "there are no recordings here for what the callers say",
        hint: "Give --input FILE or --script FILE."
      })
    ))
)

/**
 * What each caller says, for calls of at most `callMs`: a script as it is, a recording again and again, and by default
 * what the providers want: a tone for scripted ones, else the recordings of the repository.
 */
export const loadCaller = Effect.fn("loadCaller")(function*(
  flags: LoadCallerFlags,
  { answerMs, scripted }: Pick<LoadSetup, "answerMs" | "scripted">,
  callMs: number
) {
  const { cutEvery, input, script } = flags
  const replyTimeoutMs = answerMs + patienceMs
  if (!Number.isInteger(cutEvery) || cutEvery < 0) {
    return yield* new CliFailure({
      exit: "usage",
      message: `--cut-every ${cutEvery} is no number of turns`,
      hint: "Give 0 for callers that never cut in, or every which answer is cut."
    })
  }
  if (input === undefined && script === undefined) {
    return talking(scripted ? [speech(speechMs)] : yield* recorded, cutEvery, callMs, replyTimeoutMs)
  }
  const caller = yield* readCaller({ input, script, rawRate: undefined, rawChannels: undefined }, true)
  if (script !== undefined) return caller.script
  return talking(
    caller.script.steps.flatMap((step) => "say" in step ? [step.say] : []),
    cutEvery,
    callMs,
    replyTimeoutMs
  )
})
