import { Effect, FileSystem, Path } from "effect"
import { playCall } from "../Call.ts"
import { readCaller } from "../CallerInput.ts"
import type { CallerFlags } from "../CallerInput.ts"
import { checkTextOutput, checkWaveOutput, timelineFile } from "../OutputFiles.ts"
import { loadNodes } from "../NodesFile.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { Screen } from "../Screen.ts"
import { control } from "../Composition.ts"
import { makeSessionId } from "../SessionName.ts"
import { describeCall, judgeCall, showCall } from "../CallSummary.ts"

export interface RunFlags extends CallerFlags {
  readonly output: string | undefined
  readonly stereo: string | undefined
  readonly timeline: string | undefined
  readonly pipeline: string | undefined
  readonly nodes: string | undefined
  readonly speed: "real" | "max" | undefined
  readonly keys: string | undefined
  readonly trace: string | undefined
  readonly json: boolean
}

/** `rspp run`: one call, live, with the files that the flags ask for. */
export const runCall = Effect.fn("rspp.run")(function*(flags: RunFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { output, stereo } = flags
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const external = nodes?.file.nodes.map(({ id }) => id)
  const spec = yield* Effect.provide(loadPipeline(flags.pipeline, external), control)
  const caller = yield* readCaller(flags)
  const inputs = [flags.input, flags.script].filter((path) => path !== undefined && path !== "-") as ReadonlyArray<
    string
  >
  if (output !== undefined) yield* checkWaveOutput(output, inputs)
  if (stereo !== undefined) yield* checkWaveOutput(stereo, output === undefined ? inputs : [...inputs, output])
  if (flags.trace !== undefined) yield* checkTextOutput(flags.trace, inputs)
  const session_id = makeSessionId()
  const kept = flags.timeline === undefined ? undefined : yield* timelineFile(flags.timeline, session_id)
  for (const notice of caller.notices) screen.note(`${screen.style.yellow("notice:")} ${notice}`)

  yield* Effect.scoped(Effect.gen(function*() {
    // The table is computed from a timeline in any case; one that nobody asked for does not stay.
    const timeline = kept ?? paths.join(yield* fs.makeTempDirectoryScoped({ prefix: "rspp-" }), "call.timeline")
    const files = {
      ...(output === undefined ? {} : { reply: output }),
      ...(stereo === undefined ? {} : { stereo })
    }
    const result = yield* playCall({
      spec,
      script: caller.script,
      session_id,
      speed: flags.speed ?? "real",
      live: !flags.json,
      timeline,
      ...(nodes === undefined ? {} : { nodes }),
      ...files,
      ...(flags.keys === undefined ? {} : { keys: flags.keys }),
      ...(flags.trace === undefined ? {} : { trace: flags.trace })
    })
    const summary = yield* describeCall(result, {
      ...files,
      ...(kept === undefined ? {} : { timeline: kept }),
      ...(flags.trace === undefined ? {} : { trace: flags.trace })
    })
    if (flags.json) screen.line(JSON.stringify({ ...summary, notices: [...caller.notices, ...summary.notices] }))
    else showCall(screen, summary)
    yield* judgeCall(summary, caller.script)
  }))
})
