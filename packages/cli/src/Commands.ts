import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { exitCodeHelp } from "./ExitCode.ts"

// The command line of `rspp`: names, flags and help. What a command does is loaded when it runs, so that `--help` stays
// quick.

/** A flag that may be left out: its value, or undefined. */
const optional = <A>(flag: Flag.Flag<A>) => flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

const json = Flag.Boolean("json").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Print the result as JSON, for machines")
)

const files = Argument.String("FILE").pipe(Argument.withDescription("Timeline files"), Argument.atLeast(1))

const speed = (what: string) =>
  optional(
    Flag.Literals("speed", ["real", "max"]).pipe(
      Flag.withDescription(`real: as long as the call takes; max: as fast as the machine can. ${what}`)
    )
  )

const run = Command.make(
  "run",
  {
    input: optional(
      Flag.String("input").pipe(
        Flag.withDescription("What the caller says: a WAV file, or - for standard input")
      )
    ),
    script: optional(
      Flag.String("script").pipe(
        Flag.withDescription("A JSON file of what the caller says, and when; instead of --input")
      )
    ),
    output: optional(Flag.String("output").pipe(Flag.withDescription("Write the agent's speech to this WAV file"))),
    stereo: optional(
      Flag.String("stereo").pipe(
        Flag.withDescription("Write the whole call to this WAV file: caller left, agent right")
      )
    ),
    timeline: optional(
      Flag.String("timeline").pipe(
        Flag.withDescription("Record the session to this file or directory; an existing file is never overwritten")
      )
    ),
    pipeline: optional(
      Flag.String("pipeline").pipe(Flag.withDescription("A pipeline spec, .json or .yaml; default: the embedded one"))
    ),
    speed: speed("Default: real"),
    trace: optional(Flag.String("trace").pipe(Flag.withDescription("Write OpenTelemetry spans to this JSON file"))),
    rawRate: optional(
      Flag.Int("raw-rate").pipe(Flag.withDescription("--input is raw 16-bit PCM of this rate, in Hz"))
    ),
    rawChannels: optional(Flag.Int("raw-channels").pipe(Flag.withDescription("Channels of raw PCM; default 1"))),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Run.ts")), ({ runCall }) => runCall(flags))
).pipe(
  Command.withDescription("Run a spoken conversation: a recording in, a spoken reply out, live on the terminal"),
  Command.withExamples([
    {
      command: "rspp run --input question.wav --output reply.wav --timeline call.timeline",
      description: "One recording"
    },
    { command: "rspp run --script call.json --stereo call.wav --speed max", description: "A scripted call, fast" }
  ])
)

const demo = Command.make(
  "demo",
  {
    input: optional(Flag.String("input").pipe(Flag.withDescription("Your own recording instead of the shipped ones"))),
    speed: speed("Default: real on a terminal, max elsewhere"),
    out: optional(
      Flag.String("out").pipe(Flag.withDescription("Directory for the files; default .rspp/demo-<number>"))
    )
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Demo.ts")), ({ runDemo }) => runDemo(flags))
).pipe(
  Command.withDescription(
    "Run the conversation that RSPP comes with, check what it promises, and replay it (`make run`)"
  )
)

const replay = Command.make(
  "replay",
  {
    files,
    set: Flag.String("set").pipe(
      Flag.withMetavar("path=value"),
      Flag.withDescription("Replay under another session config, for example endpointing.min_ms=700; repeatable"),
      Flag.atLeast(0)
    ),
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/Replay.ts")), ({ replayFiles }) => replayFiles(flags))
).pipe(
  Command.withDescription(
    "Execute recorded sessions again and compare every record: identical, or the first divergence"
  )
)

const timelineFile = Argument.String("FILE").pipe(Argument.withDescription("A timeline file"))

const show = Command.make(
  "show",
  {
    file: timelineFile,
    turn: optional(Flag.String("turn").pipe(Flag.withDescription("Only this turn, for example 3 or turn_3"))),
    signal: optional(Flag.String("signal").pipe(Flag.withDescription("Only control signals of this name"))),
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/TimelineShow.ts")), ({ showTimeline }) => showTimeline(flags))
).pipe(Command.withDescription("Show a timeline, one record a line"))

const exporting = Command.make(
  "export",
  {
    file: timelineFile,
    format: Flag.Literals("format", ["jsonl", "perfetto"]).pipe(
      Flag.withDescription("jsonl: one record a line; perfetto: a trace for ui.perfetto.dev or chrome://tracing")
    ),
    output: optional(Flag.String("output").pipe(Flag.withDescription("The file to write; default: standard output")))
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineExport.ts")),
      ({ exportTimeline }) => exportTimeline(flags)
    )
).pipe(Command.withDescription("Write a timeline in a format that other tools read"))

const verify = Command.make(
  "verify",
  { files, json },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineVerify.ts")),
      ({ verifyTimelines }) => verifyTimelines(flags)
    )
).pipe(
  Command.withDescription(
    "Check that files are whole, that every record is valid, and that each accepted turn has evidence, one terminal and a close"
  )
)

const timeline = Command.make("timeline").pipe(
  Command.withDescription("Look into recorded sessions"),
  Command.withSubcommands([show, exporting, verify])
)

const validate = Command.make(
  "validate",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("JSON files of one artifact each, .jsonl files, timelines"),
      Argument.atLeast(1)
    ),
    kind: optional(
      Flag.String("kind").pipe(
        Flag.withDescription("The kind of artifact, for example control_signal; default: guessed")
      )
    ),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/ContractsValidate.ts")),
      ({ validateFiles }) => validateFiles(flags)
    )
).pipe(Command.withDescription("Check artifacts against the contract, one line per file"))

const schema = Command.make(
  "schema",
  {
    kind: Argument.String("KIND").pipe(
      Argument.withDescription("The kind of artifact; without it the kinds are listed"),
      Argument.optional,
      Argument.map(Option.getOrUndefined)
    ),
    list: Flag.Boolean("list").pipe(Flag.withDefault(false), Flag.withDescription("List the kinds"))
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/ContractsSchema.ts")), ({ showSchema }) => showSchema(flags))
).pipe(Command.withDescription("Print the JSON Schema (draft 2020-12) of a kind of artifact"))

const contracts = Command.make("contracts").pipe(
  Command.withDescription("The contract's artifacts: validate them, print their schemas"),
  Command.withSubcommands([validate, schema])
)

const doctor = Command.make(
  "doctor",
  { json },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Doctor.ts")), ({ examine }) => examine(flags))
).pipe(Command.withDescription("What is installed, which providers can run, what is missing and how to get it"))

/** The whole command line. */
export const rspp = Command.make("rspp").pipe(
  Command.withDescription(
    `Realtime Speech Pipeline Platform: runs voice agents, records every call, and executes it again. ${exitCodeHelp}`
  ),
  Command.withSubcommands([run, demo, replay, timeline, contracts, doctor])
)
