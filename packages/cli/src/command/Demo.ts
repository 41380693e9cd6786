import { singleCallScript } from "@rspp/transports/loopback/CallScript"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Effect, Path } from "effect"
import { playCall } from "../Call.ts"
import { describeCall, judgeCall, showCall } from "../CallSummary.ts"
import { told } from "../CliFailure.ts"
import { control, loopback } from "../Composition.ts"
import { demoQuota, demoScript } from "../DemoScript.ts"
import { freshDirectory, makeDirectories, timelineFile } from "../OutputFiles.ts"
import { embeddedPipeline, normalizeSpec } from "../PipelineFile.ts"
import { checkRecording } from "../RecordingCheck.ts"
import { Screen } from "../Screen.ts"
import { sessionIdOf } from "../SessionName.ts"

export interface DemoFlags {
  readonly input: string | undefined
  readonly speed: "real" | "max" | undefined
  readonly out: string | undefined
  readonly session: string | undefined
}

/**
 * `rspp demo`: the shipped conversation (or one's own recording), live; then the files are read back, what RSPP promises
 * is checked in them, and the recording is replayed. Fails when anything is not as it should be.
 */
export const runDemo = Effect.fn("rspp.demo")(function*(flags: DemoFlags) {
  const screen = yield* Screen
  const { line, style } = screen
  const paths = yield* Path.Path
  const own = flags.input === undefined ? undefined : yield* readAudioFile(flags.input)
  const script: CallScript = own === undefined ? yield* demoScript() : singleCallScript(own.samples)
  const spec = yield* Effect.provide(
    normalizeSpec(
      own === undefined ? { ...embeddedPipeline, admission: { max_turns_per_session: demoQuota } } : embeddedPipeline
    ),
    control
  )
  const speed = flags.speed ?? (screen.isTerminal ? "real" : "max")
  const session_id = yield* sessionIdOf(flags.session)
  const directory = flags.out ?? (yield* freshDirectory("demo"))
  yield* makeDirectories(directory)
  const timeline = yield* timelineFile(paths.join(directory, "call.timeline"), session_id)
  const files = { reply: paths.join(directory, "reply.wav"), stereo: paths.join(directory, "stereo.wav"), timeline }
  const trace = paths.join(directory, "call.perfetto.json")

  line(
    own === undefined
      ? "A caller (recordings of real speech) talks with an agent. Everything runs on this machine: voice activity, speech"
      : `You (${flags.input}) talk with an agent. Everything runs on this machine: voice activity, speech`
  )
  line(`recognition, the answers, the voice. ${
    speed === "real"
      ? "In real time; --speed max does not wait."
      : "As fast as it goes (--speed real takes as long as the call)."
  }`)
  line("")
  for (const notice of own?.notices ?? []) screen.note(`${style.yellow("notice:")} ${notice}`)

  const { reply, stereo } = files
  const transport = loopback({ script, reply, stereo })
  const played = yield* playCall({ spec, transport, session_id, speed, live: true, timeline })
  const summary = yield* describeCall(played, files)
  showCall(screen, summary)
  line("")
  const sound = yield* checkRecording(timeline)
  line("What next:")
  line(`  hear the call      ${files.stereo} (caller left, agent right)`)
  line(`  execute it again   npx rspp replay ${timeline}`)
  line(`  with a what-if     npx rspp replay ${timeline} --set endpointing.min_ms=700`)
  // The third turn of the shipped conversation is the one that is cut.
  const turn = own === undefined ? "turn_3" : summary.turns[0]?.turn_id
  line(
    turn === undefined
      ? `  look at it         npx rspp timeline show ${timeline}`
      : `  look at a turn     npx rspp timeline show ${timeline} --turn ${turn.replace("turn_", "")}`
  )
  line(`  as a picture       npx rspp timeline export ${timeline} --format perfetto --output ${trace}`)
  line(`                     and open that file at https://ui.perfetto.dev`)
  line(`  your own voice     npx rspp demo --input my.wav`)
  yield* judgeCall(summary, script)
  if (!sound) return yield* told("violation")
  return undefined
})
