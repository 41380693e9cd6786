import { read } from "@rspp/timeline/format/TimelineReader"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { evidenceCompleteness, formatIncomplete } from "@rspp/timeline/recorder/EvidenceCompleteness"
import { makeCallScript, singleCallScript } from "@rspp/transports/loopback/CallScript"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Effect, FileSystem, Path } from "effect"
import { fileURLToPath } from "node:url"
import { playCall } from "../Call.ts"
import { describeCall, judgeCall, showCall } from "../CallSummary.ts"
import { told } from "../CliFailure.ts"
import { control, loopback, replay } from "../Composition.ts"
import { makeDirectories, timelineFile } from "../OutputFiles.ts"
import { embeddedPipeline, normalizeSpec } from "../PipelineFile.ts"
import { exitOfReplay, replayFile } from "../ReplayCheck.ts"
import { Screen } from "../Screen.ts"
import { sessionIdOf } from "../SessionName.ts"
import { replayLines } from "../view/ReplayText.ts"

export interface DemoFlags {
  readonly input: string | undefined
  readonly speed: "real" | "max" | undefined
  readonly out: string | undefined
  readonly session: string | undefined
}

/** The recordings that come with RSPP. */
const recordings = new URL("../../../../test/recordings/", import.meta.url)

/** The fifth turn of the conversation is one too many: a quota refuses it before it opens. */
const demoQuota = 4

/** When the caller cuts in, ms after the agent began: in its second sentence. */
const cutAfterMs = 2500

/** The refusal has no sound; so long after the last words the caller hangs up, ms. */
const hangUpAfterMs = 3000

const demoScript = Effect.fnUntraced(function*() {
  const say = (name: string) =>
    Effect.map(readAudioFile(fileURLToPath(new URL(name, recordings))), ({ samples }) => samples)
  return makeCallScript([
    { say: yield* say("goforward.wav") },
    { say: yield* say("something.wav") },
    { say: yield* say("vm-savefolder.wav") },
    { say: yield* say("librivox-0880.wav"), at: { after: "agent_started", delay_ms: cutAfterMs } },
    { say: yield* say("conf-getpin.wav") }
  ], { hang_up: { after: "previous", delay_ms: hangUpAfterMs } })
})

/** `.rspp/demo-1`, `.rspp/demo-2` …: the first that does not exist. */
const freshDirectory = Effect.fnUntraced(function*() {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  for (let n = 1;; n++) {
    const directory = paths.join(".rspp", `demo-${n}`)
    if (!(yield* Effect.orElseSucceed(fs.exists(directory), () => false))) return directory
  }
})

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
  const directory = flags.out ?? (yield* freshDirectory())
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
  const sound = yield* verify(timeline)
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
  line(`  your own voice     make run INPUT=my.wav`)
  yield* judgeCall(summary, script)
  if (!sound) return yield* told("violation")
  return undefined
})

/** Checks in the file what RSPP promises of it, and says so in a line each. */
const verify = Effect.fnUntraced(function*(timeline: string) {
  const { line, style } = yield* Screen
  const { records } = yield* read(timeline, { validate: true })
  const turns = evidenceCompleteness(records)
  const incomplete = formatIncomplete(turns)
  const replayed = yield* Effect.provide(
    Replayer.use((replayer) => replayFile(timeline, { settings: { overrides: [] }, run: replayer.replay })),
    replay
  )
  const mark = (good: boolean) => good ? style.green("ok  ") : style.red("FAIL")
  line("Checked in the recording:")
  line(`  ${mark(true)}  each of its ${records.length + 1} records is valid by the contract`)
  line(
    turns.length === 0
      ? `  ${mark(true)}  no turn was accepted, so there is no evidence to check`
      : `  ${mark(incomplete.length === 0)}  ${turns.length} accepted turn${turns.length === 1 ? "" : "s"}, ${
        turns.length - incomplete.length
      } with complete evidence, exactly one terminal and a close`
  )
  for (const turn of incomplete) line(`        ${turn}`)
  const identical = exitOfReplay(replayed) === "ok"
  const [verdict = "", ...more] = replayLines(replayed, style)
  line(`  ${mark(identical)}  executed again: ${verdict.slice(timeline.length + 2)}`)
  for (const detail of more) line(`      ${detail}`)
  line("")
  return identical && incomplete.length === 0
})
