import { Effect, FileSystem, Path, Redacted } from "effect"
import { describeCall, judgeEvidence, showCall } from "../CallSummary.ts"
import { CliFailure } from "../CliFailure.ts"
import { control } from "../Composition.ts"
import { requiredLiveKitUrl } from "../LiveKitKeys.ts"
import { loadNodes } from "../NodesFile.ts"
import { timelineFile } from "../OutputFiles.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { joinCall } from "../RoomCall.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { sessionIdOf } from "../SessionName.ts"

export interface RoomJoinFlags {
  readonly url: string | undefined
  readonly token: string | undefined
  readonly pipeline: string | undefined
  readonly providers: string | undefined
  readonly nodes: string | undefined
  readonly session: string | undefined
  readonly timeline: string | undefined
  readonly json: boolean
}

/** The agent's token, as it is given. */
const tokenOf = ({ token = process.env["LIVEKIT_TOKEN"] ?? "" }: RoomJoinFlags) =>
  token === ""
    ? Effect.fail(
      new CliFailure({
        exit: "usage",
        message: "the agent's token for the room is missing",
        hint: "Give --token, or set LIVEKIT_TOKEN; rspp token mints one."
      })
    )
    : Effect.succeed(token)

const join = Effect.fn("rspp.room.join")(function*(flags: RoomJoinFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const url = yield* requiredLiveKitUrl({ url: flags.url, dev: false })
  const token = yield* tokenOf(flags)
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const spec = yield* Effect.provide(loadPipeline(flags.pipeline, nodes?.file.nodes.map(({ id }) => id)), control)
  const session_id = yield* sessionIdOf(flags.session)
  const kept = flags.timeline === undefined ? undefined : yield* timelineFile(flags.timeline, session_id)
  return yield* Effect.scoped(Effect.gen(function*() {
    const timeline = kept ?? paths.join(yield* fs.makeTempDirectoryScoped({ prefix: "rspp-" }), "call.timeline")
    const played = yield* joinCall({
      room: { url, token: Redacted.make(token) },
      spec,
      session_id,
      timeline,
      live: !flags.json,
      ...(nodes === undefined ? {} : { nodes })
    })
    const summary = yield* describeCall(played, kept === undefined ? {} : { timeline: kept })
    if (flags.json) screen.line(JSON.stringify(summary))
    else showCall(screen, summary)
    return yield* judgeEvidence(summary)
  }))
})

/** `rspp room join`: one session in one LiveKit room, until the caller leaves. */
export const joinRoom = (flags: RoomJoinFlags) => withProviders(flags.providers, join(flags))
