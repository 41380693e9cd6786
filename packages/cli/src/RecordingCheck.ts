import { evidenceCompleteness, formatIncomplete } from "@rspp/timeline/recorder/EvidenceCompleteness"
import { read } from "@rspp/timeline/format/TimelineReader"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { Effect } from "effect"
import { replay } from "./Composition.ts"
import { exitOfReplay, replayFile } from "./ReplayCheck.ts"
import { Screen } from "./Screen.ts"
import { replayLines } from "./view/ReplayText.ts"

/** Checks in the file what RSPP promises of it, and says so in a line each; whether all of it holds. */
export const checkRecording = Effect.fnUntraced(function*(timeline: string) {
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
