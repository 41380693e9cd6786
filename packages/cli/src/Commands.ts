import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { leaseTtl, pipelineFlags, rawFlags, recordingFlags, snapshotFlags } from "./CallFlags.ts"
import { exitCodeHelp } from "./ExitCode.ts"
import { json, optional } from "./Flags.ts"
import * as Control from "./ControlCommands.ts"
import { room } from "./RoomCommands.ts"
import * as Worker from "./WorkerCommands.ts"
import { providers } from "./ProviderCommands.ts"
import { release } from "./ReleaseCommands.ts"
import { slo } from "./SloCommands.ts"
import { spec } from "./SpecCommands.ts"
import { access, audit, deleting, permission, sweep } from "./PrivacyCommands.ts"

// The command line of `rspp`: names, flags and help. What a command does is loaded when it runs, so that `--help` stays
// quick.

const files = Argument.String("FILE").pipe(Argument.withDescription("Timeline files"), Argument.atLeast(1))

const speed = (what: string) =>
  optional(
    Flag.Literals("speed", ["real", "max"]).pipe(
      Flag.withDescription(`real: as long as the call takes; max: as fast as the machine can. ${what}`)
    )
  )

const metrics = optional(
  Flag.String("metrics").pipe(
    Flag.withMetavar("HOST:PORT"),
    Flag.withDescription("Answer GET /metrics there while it runs; port 0 takes a free one; default: nowhere")
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
    ...recordingFlags,
    store: optional(
      Flag.String("store").pipe(
        Flag.withDescription("Ship the recording there while it is written: dir:PATH, sqlite:PATH or postgres://…")
      )
    ),
    leases: optional(
      Flag.String("leases").pipe(
        Flag.withDescription("Hold the session's lease in a database that others share: sqlite:PATH or postgres://…")
      )
    ),
    leaseTtl,
    ...snapshotFlags(""),
    controlPlane: optional(
      Flag.String("control-plane").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription(
          "Run the --session of this control plane: its pipeline and snapshots come from there, and it is told of this runtime; the key is in RSPP_API_KEY"
        )
      )
    ),
    ...pipelineFlags,
    speed: speed("Default: real"),
    durability: optional(
      Flag.Literals("durability", ["terminal", "interval", "none"]).pipe(
        Flag.withDescription(
          "When the recording is forced onto the disk: with each turn that ends, each second, or at the end. Default: terminal"
        )
      )
    ),
    keys: optional(
      Flag.String("keys").pipe(
        Flag.withDescription("A directory for keys: the recording's payloads are sealed under a key of its own in it")
      )
    ),
    trace: optional(Flag.String("trace").pipe(Flag.withDescription("Write OpenTelemetry spans to this JSON file"))),
    metrics,
    ...rawFlags,
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

const standby = Command.make(
  "standby",
  {
    leases: Flag.String("leases").pipe(
      Flag.withDescription("Where the leases and the states of the sessions are: sqlite:PATH or postgres://…")
    ),
    leaseTtl,
    input: optional(
      Flag.String("input").pipe(
        Flag.withDescription(
          "What the caller says from then on: a WAV file; {session} in it stands for the session's id"
        )
      )
    ),
    script: optional(
      Flag.String("script").pipe(
        Flag.withDescription("A JSON file of what the caller says, and when; {session} stands for the session's id")
      )
    ),
    timelines: optional(
      Flag.String("timelines").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription("Record each session to DIR/SESSION.eEPOCH.timeline; default: not recorded")
      )
    ),
    ...snapshotFlags("; {session} stands for its id"),
    ...pipelineFlags,
    sessions: Flag.Int("sessions").pipe(
      Flag.withDefault(8),
      Flag.withDescription("How many sessions it runs at once, at most; default 8")
    ),
    metrics,
    abandonedAfter: Flag.Int("abandoned-after").pipe(
      Flag.withDefault(60_000),
      Flag.withDescription(
        "A session whose lease ended longer ago than this, in ms, is left alone: its caller has gone. Default 60000"
      )
    ),
    placed: Flag.Boolean("placed").pipe(
      Flag.withDefault(false),
      Flag.withDescription(
        "Also run sessions that rspp place hands out; they are spread over all that do. PostgreSQL only"
      )
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDefault(false),
      Flag.withDescription("End when one session that was taken over has ended; default: go on until interrupted")
    ),
    ...rawFlags,
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Standby.ts")), ({ standBy }) => standBy(flags))
).pipe(
  Command.withDescription(
    "Stand by for sessions whose runtime dies: take each over under the next epoch and go on with it from its state"
  ),
  Command.withExamples([
    {
      command: "rspp standby --leases postgres://rspp@db/rspp --script caller.json --timelines calls",
      description: "Until it is interrupted"
    }
  ])
)

const place = Command.make(
  "place",
  {
    session: Argument.String("SESSION").pipe(Argument.withDescription("The session's id")),
    leases: Flag.String("leases").pipe(Flag.withDescription("Where the runtimes meet: postgres://…")),
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/Place.ts")), ({ placeSession }) => placeSession(flags))
).pipe(
  Command.withDescription(
    "Have a session run by one of the runtimes that rspp standby --placed has started; does not wait until it is over"
  )
)

const demo = Command.make(
  "demo",
  {
    input: optional(Flag.String("input").pipe(Flag.withDescription("Your own recording instead of the shipped ones"))),
    speed: speed("Default: real on a terminal, max elsewhere"),
    session: optional(
      Flag.String("session").pipe(Flag.withDescription("The session's id; default: a new one, by the time"))
    ),
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

const load = Command.make(
  "load",
  {
    sessions: Flag.Int("sessions").pipe(
      Flag.withDefault(10),
      Flag.withDescription("How many sessions are held at one time; default 10")
    ),
    minutes: Flag.Finite("minutes").pipe(
      Flag.withDefault(1),
      Flag.withDescription("For how long, in minutes; default 1")
    ),
    rampMs: optional(
      Flag.Int("ramp-ms").pipe(
        Flag.withDescription(
          "Let the sessions begin within this time, in ms; default: ten a second, within a third of the time"
        )
      )
    ),
    callMinutes: Flag.Finite("call-minutes").pipe(
      Flag.withDefault(5),
      Flag.withDescription("A call ends after so many minutes, and another begins in its place; default 5")
    ),
    recogniserMs: optional(
      Flag.Int("recogniser-ms").pipe(
        Flag.withDescription("Scripted recogniser: ms from the end of speech to the final text; default 120")
      )
    ),
    modelMs: optional(
      Flag.Int("model-ms").pipe(Flag.withDescription("Scripted language model: ms to its first word; default 250"))
    ),
    voiceMs: optional(
      Flag.Int("voice-ms").pipe(Flag.withDescription("Scripted voice: ms to its first sound; default 120"))
    ),
    cutEvery: Flag.Int("cut-every").pipe(
      Flag.withDefault(4),
      Flag.withDescription("Callers cut in on every which answer; 0: never; default 4")
    ),
    input: optional(
      Flag.String("input").pipe(Flag.withDescription("What the callers say, again and again: a WAV file"))
    ),
    script: optional(
      Flag.String("script").pipe(
        Flag.withDescription("A JSON file of what each caller says, and when; one call of it after the other")
      )
    ),
    ...pipelineFlags,
    pipeline: optional(
      Flag.String("pipeline").pipe(
        Flag.withDescription("A pipeline spec, .json or .yaml, with its real providers; default: scripted ones")
      )
    ),
    timelines: optional(
      Flag.String("timelines").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription("Keep the recordings there; default: they are removed at the end")
      )
    ),
    metrics,
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Load.ts")), ({ holdLoad }) => holdLoad(flags))
).pipe(
  Command.withDescription(
    "Hold many sessions in this process for some minutes, and judge their recordings by the gates"
  ),
  Command.withExamples([
    { command: "rspp load --sessions 100 --minutes 5", description: "Scripted providers: what this machine holds" },
    {
      command: "rspp load --sessions 4 --minutes 2 --pipeline assistant.yaml --timelines calls",
      description: "The pipeline's own providers, and recordings to look at"
    }
  ])
)

const replay = Command.make(
  "replay",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("Timeline files, or directories of them"),
      Argument.atLeast(1)
    ),
    mode: optional(
      Flag.Literals("mode", [
        "playback_recorded_provider_outputs",
        "replay_decisions",
        "recompute_decisions",
        "re_simulate_nodes"
      ]).pipe(
        Flag.withDescription("What is done again and compared; default playback_recorded_provider_outputs: everything")
      )
    ),
    set: Flag.String("set").pipe(
      Flag.withMetavar("path=value"),
      Flag.withDescription("Replay under another session config, for example endpointing.min_ms=700; repeatable"),
      Flag.atLeast(0)
    ),
    policy: optional(
      Flag.String("policy").pipe(
        Flag.withDescription("Replay under another policy: a JSON file, the body of a policy resolution snapshot")
      )
    ),
    spec: optional(
      Flag.String("spec").pipe(Flag.withDescription("Replay under another pipeline: a spec, .json or .yaml"))
    ),
    expect: optional(
      Flag.String("expect").pipe(
        Flag.withDescription(
          "What is expected to differ, a JSON file; default: NAME.expected.json beside NAME.timeline"
        )
      )
    ),
    gate: optional(
      Flag.Literals("gate", ["smoke", "full"]).pipe(
        Flag.withDescription(
          "smoke: only recordings that NAME.expected.json beside them marks as smoke; full: all. Default: all"
        )
      )
    ),
    report: optional(
      Flag.String("report").pipe(Flag.withDescription("Write report.json and report.md to this directory"))
    ),
    to: optional(
      Flag.String("to").pipe(
        Flag.withMetavar("PLACE"),
        Flag.withDescription("Stop behind sequence=N, turn=ID or signal=NAME, and show that step")
      )
    ),
    cursor: optional(
      Flag.String("cursor").pipe(
        Flag.withDescription(
          "With --to: go on from the place in this file when it is there, and save the new one in it"
        )
      )
    ),
    ...access,
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/Replay.ts")), ({ replayFiles }) => replayFiles(flags))
).pipe(
  Command.withDescription(
    "Execute recorded sessions again and compare every record: identical, or the first divergence"
  ),
  Command.withExamples([
    { command: "rspp replay calls --report out", description: "Every timeline in a directory, with a report" },
    { command: "rspp replay call.timeline --set endpointing.min_ms=700", description: "What would have been different" }
  ])
)

const timelineFile = Argument.String("FILE").pipe(Argument.withDescription("A timeline file"))

const show = Command.make(
  "show",
  {
    file: timelineFile,
    turn: optional(Flag.String("turn").pipe(Flag.withDescription("Only this turn, for example 3 or turn_3"))),
    signal: optional(Flag.String("signal").pipe(Flag.withDescription("Only control signals of this name"))),
    lane: optional(
      Flag.Literals("lane", ["control", "data", "telemetry"]).pipe(Flag.withDescription("Only records of this lane"))
    ),
    from: optional(
      Flag.String("from").pipe(
        Flag.withMetavar("TIME"),
        Flag.withDescription("Only from this session time on: 3.4 (seconds), 00:03.412 or 3412ms")
      )
    ),
    to: optional(
      Flag.String("to").pipe(Flag.withMetavar("TIME"), Flag.withDescription("Only up to this session time"))
    ),
    ...access,
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/TimelineShow.ts")), ({ showTimeline }) => showTimeline(flags))
).pipe(Command.withDescription("Show a timeline, one record a line"))

const exporting = Command.make(
  "export",
  {
    file: timelineFile,
    format: Flag.Literals("format", ["jsonl", "perfetto", "otlp"]).pipe(
      Flag.withAlias("to"),
      Flag.withDescription(
        "jsonl: one record a line; perfetto: a trace for ui.perfetto.dev or chrome://tracing; otlp: OpenTelemetry spans as OTLP/JSON"
      )
    ),
    output: optional(Flag.String("output").pipe(Flag.withDescription("The file to write; default: standard output"))),
    ...access
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineExport.ts")),
      ({ exportTimeline }) => exportTimeline(flags)
    )
).pipe(Command.withDescription("Write a timeline in a format that other tools read"))

const from = Flag.String("from").pipe(Flag.withDescription("The store: dir:PATH, sqlite:PATH or postgres://…"))

const stored = Command.make(
  "stored",
  { from, json },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/TimelineStored.ts")), ({ listStored }) => listStored(flags))
).pipe(
  Command.withDescription("List the recordings of a store"),
  Command.withExamples([{ command: "rspp timeline stored --from sqlite:calls.sqlite", description: "One line each" }])
)

const fetching = Command.make(
  "fetch",
  {
    session: Argument.String("SESSION").pipe(Argument.withDescription("The session, as rspp timeline stored lists it")),
    from,
    to: Flag.String("to").pipe(
      Flag.withDescription("The file or directory to write; an existing file is never overwritten")
    ),
    tenant: optional(Flag.String("tenant").pipe(Flag.withDescription("Of this tenant, if several have the session")))
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineFetch.ts")),
      ({ fetchTimeline }) => fetchTimeline(flags)
    )
).pipe(Command.withDescription("Put a stored recording together again, byte for byte"))

const ship = Command.make(
  "ship",
  {
    files,
    to: Flag.String("to").pipe(Flag.withDescription("The store: dir:PATH, sqlite:PATH or postgres://…")),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineShip.ts")),
      ({ shipTimelines }) => shipTimelines(flags)
    )
).pipe(Command.withDescription("Ship recordings to a store, whatever of them is not there yet"))

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

const repair = Command.make(
  "repair",
  {
    file: timelineFile,
    to: optional(Flag.String("to").pipe(Flag.withDescription("The file to write; default: FILE.repaired.timeline"))),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineRepair.ts")),
      ({ repairTimeline }) => repairTimeline(flags)
    )
).pipe(
  Command.withDescription(
    "Write what can be read of a torn timeline as a whole file; the torn one stays as it is, and nothing is invented"
  )
)

const promote = Command.make(
  "promote",
  {
    file: timelineFile,
    as: Flag.String("as").pipe(Flag.withMetavar("NAME"), Flag.withDescription("What the fixture is called")),
    to: Flag.String("to").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDefault("fixtures"),
      Flag.withDescription("The directory to write to, which is created; default: fixtures")
    ),
    gate: Flag.Literals("gate", ["smoke", "full"]).pipe(
      Flag.withDefault("full"),
      Flag.withDescription("Which verification replays it: smoke, the quick one and the full one; full, the full one")
    ),
    access: permission.access,
    request: permission.as("request"),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelinePromote.ts")),
      ({ promoteTimeline }) => promoteTimeline(flags)
    )
).pipe(
  Command.withDescription(
    "Make a regression fixture of a recorded call: without the words and the sound, and only when it replays identical"
  ),
  Command.withExamples([
    { command: "rspp timeline promote call.timeline --as cut-off-greeting", description: "To fixtures/" },
    { command: "rspp replay fixtures/*.timeline", description: "And what CI runs from then on" }
  ])
)

const summary = Command.make(
  "summary",
  {
    files,
    prices: optional(
      Flag.String("prices").pipe(
        Flag.withMetavar("P.json"),
        Flag.withDescription("What providers take, to estimate the cost; default: not estimated")
      )
    ),
    access: permission.access,
    as: permission.as("as"),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineSummary.ts")),
      ({ summarizeTimelines }) => summarizeTimelines(flags)
    )
).pipe(
  Command.withDescription(
    "Recordings in numbers: turns, latencies, provider calls, characters and audio, losses, cost; and all together"
  )
)

const diff = Command.make(
  "diff",
  {
    a: Argument.String("A").pipe(Argument.withDescription("A timeline file")),
    b: Argument.String("B").pipe(Argument.withDescription("The timeline file to compare it with")),
    ...access,
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/TimelineDiff.ts")),
      ({ diffTimelines }) => diffTimelines(flags)
    )
).pipe(
  Command.withDescription(
    "Where two recordings first differ, and the turns and control signals that do; exit 1 then (3 where one is torn and only lacks the rest)"
  )
)

const timeline = Command.make("timeline").pipe(
  Command.withDescription("Look into recorded sessions"),
  Command.withSubcommands([
    show,
    summary,
    diff,
    exporting,
    verify,
    repair,
    promote,
    deleting,
    sweep,
    audit,
    stored,
    fetching,
    ship
  ])
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
).pipe(Command.withDescription(
  "Check the form of artifacts against the contract, one line per file; whether the settings of a spec go together, spec validate says"
))

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
  {
    database: optional(
      Flag.String("database").pipe(
        Flag.withDescription(
          "Look at a control plane's database instead: can it be reached and written, has it the tables, does its clock agree"
        )
      )
    ),
    controlPlane: optional(
      Flag.String("control-plane").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription(
          "Look at a control plane instead: is it ready, does it take the key in RSPP_API_KEY, does its clock agree"
        )
      )
    ),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/DoctorOf.ts")), ({ doctorOf }) => doctorOf(flags))
).pipe(Command.withDescription(
  "What is installed, which providers can run, what is missing and how to get it; or how a database or a control plane is"
))

const kinds = optional(
  Flag.String("kinds").pipe(
    Flag.withMetavar("a,b"),
    Flag.withDescription("Only these kinds of fault, in every seed; none, or media.* for a family; default: drawn")
  )
)
const turns = optional(
  Flag.Int("turns").pipe(Flag.withDescription("Turns that the caller takes; default: drawn"))
)
const keepActions = optional(
  Flag.String("keep-actions").pipe(
    Flag.withMetavar("0,3"),
    Flag.withDescription("Of what the caller does only these, by place (what sim shrink prints)")
  )
)
const keepEpisodes = optional(
  Flag.String("keep-episodes").pipe(
    Flag.withMetavar("0,3"),
    Flag.withDescription("Of the episodes of faults only these, by place (what sim shrink prints)")
  )
)
const seedLimit = Flag.Finite("seed-limit").pipe(
  Flag.withDefault(60),
  Flag.withDescription("Real seconds that a seed may take; one that takes longer fails; default 60")
)
const firstSeed = optional(Flag.Int("first").pipe(Flag.withDescription("The first seed; default 1")))
const oneSeed = (what: string) => Flag.Int("seed").pipe(Flag.withDescription(what))

const shrink = Command.make(
  "shrink",
  { seed: oneSeed("The seed that fails"), kinds, turns, keepActions, keepEpisodes, seedLimit, json },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/SimShrink.ts")), ({ shrinkSeed }) => shrinkSeed(flags))
).pipe(
  Command.withDescription(
    "Make a failing seed smaller: fewer kinds of fault, fewer episodes, fewer things that the caller does, still failing"
  ),
  Command.withExamples([{
    command: "rspp sim shrink --seed 17",
    description: "And the command that repeats the small one"
  }])
)

const meta = Command.make(
  "meta",
  {
    seeds: Flag.Int("seeds").pipe(Flag.withDefault(20), Flag.withDescription("How many seeds; default 20")),
    first: firstSeed,
    node: optional(
      Flag.String("node").pipe(
        Flag.withDescription("The node program of the second process; default: the same as this one's")
      )
    ),
    kinds,
    turns,
    keepActions,
    keepEpisodes,
    seedLimit,
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/SimMeta.ts")), ({ compareSeeds }) => compareSeeds(flags))
).pipe(
  Command.withDescription("Run each seed twice in one process and once in a second one, and compare byte for byte"),
  Command.withExamples([
    { command: "rspp sim meta --seeds 50 --node ~/node-26/bin/node", description: "The second process on another Node" }
  ])
)

const sim = Command.make(
  "sim",
  {
    seeds: optional(Flag.Int("seeds").pipe(Flag.withDescription("How many seeds; default 100"))),
    first: firstSeed,
    seed: optional(oneSeed("One seed, with a live trace in simulated time")),
    seconds: optional(
      Flag.Finite("seconds").pipe(
        Flag.withDescription("As many seeds as there is time for, instead of --seeds or with it")
      )
    ),
    jobs: optional(Flag.Int("jobs").pipe(Flag.withDescription("Processes; default: one for each core"))),
    kinds,
    turns,
    keepActions,
    keepEpisodes,
    seedLimit,
    meta: Flag.Int("meta").pipe(
      Flag.withDefault(20),
      Flag.withDescription("Seeds that are first compared byte for byte, as sim meta does; default 20")
    ),
    out: optional(
      Flag.String("out").pipe(
        Flag.withDescription("With --seed: write its timeline to this file or directory, for rspp timeline and replay")
      )
    ),
    requireAll: Flag.Boolean("require-all").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Exit 1 unless all of the sometimes list happened")
    ),
    failFast: Flag.Boolean("fail-fast").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Stop at the first seed that breaks a rule")
    ),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Sim.ts")), ({ simulate }) => simulate(flags))
).pipe(
  Command.withDescription(
    "Run the real kernel in the seeded world: callers, networks, providers and faults are drawn from a seed, and every rule is checked on the timeline"
  ),
  Command.withExamples([
    { command: "rspp sim --seeds 1000", description: "Seeds 1 to 1000 on every core" },
    { command: "rspp sim --seed 17 --out seed-17.timeline", description: "One seed, line by line" },
    { command: "rspp sim --seconds 60 --kinds provider.*,media.loss", description: "A minute of chosen faults" }
  ]),
  Command.withSubcommands([shrink, meta])
)

const publish = Command.make(
  "publish",
  {
    to: Flag.String("to").pipe(Flag.withDescription("Where: dir:PATH, sqlite:PATH or postgres://…")),
    scope: optional(
      Flag.String("scope").pipe(Flag.withDescription("Under which name; default: the pipeline's id"))
    ),
    pipeline: pipelineFlags.pipeline,
    ttl: optional(
      Flag.Int("ttl").pipe(Flag.withDescription("How long each counts as fresh, in ms; default 600000"))
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Publish each once and end; default: issue them anew until interrupted")
    ),
    json
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./command/SnapshotsPublish.ts")),
      ({ publishSnapshots }) => publishSnapshots(flags)
    )
).pipe(
  Command.withDescription("Publish what runtimes decide from, where they follow it with rspp run --snapshots")
)

const snapshots = Command.make("snapshots").pipe(
  Command.withDescription("What runtimes decide from: the six snapshots of the control plane"),
  Command.withSubcommands([publish])
)

/** The whole command line. */
export const rspp = Command.make("rspp").pipe(
  Command.withDescription(
    `Realtime Speech Pipeline Platform: runs voice agents, records every call, and executes it again. ${exitCodeHelp}`
  ),
  Command.withSubcommands([
    run,
    standby,
    place,
    room,
    Worker.worker,
    Worker.token,
    Worker.dispatch,
    demo,
    replay,
    timeline,
    slo,
    contracts,
    spec,
    snapshots,
    sim,
    load,
    doctor,
    release,
    providers,
    Control.controlPlane,
    Control.pipeline,
    Control.policy,
    Control.rollout,
    Control.session,
    Control.lease,
    Control.placement,
    Control.provider,
    Control.tenant,
    Control.audit
  ])
)
