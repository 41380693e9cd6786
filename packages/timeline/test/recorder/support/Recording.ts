import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { RecordAssembler } from "../../../src/recorder/RecordAssembler.ts"
import { makeHeader } from "./Fixture.ts"
import { Script } from "./Script.ts"

/** A recording without a disk: the frames, each with its records, that the calls of a played session lead to. */
export const recording = (
  play: (script: Script) => void,
  options: { readonly level?: RecordingLevel; readonly skip?: ReadonlyArray<string> } = {}
): {
  readonly header: TimelineHeader
  readonly frames: ReadonlyArray<ReadonlyArray<TimelineRecord>>
  readonly records: ReadonlyArray<TimelineRecord>
} => {
  const header = makeHeader(options.level)
  const frames: Array<ReadonlyArray<TimelineRecord>> = [[header]]
  const assembler = new RecordAssembler(header, {
    emit: ({ records }) => frames.push(records),
    appendRequested: () => {}
  })
  play(new Script(assembler, header, options.skip))
  assembler.finish()
  frames.push([assembler.end("ended", frames.flat().length)])
  return { header, frames, records: frames.flat().slice(1) }
}

/** A session with a turn that commits, one that is cut, and one that no evidence could be kept for. */
export const usualSession = (script: Script): void => {
  script.input({ type: "session_started" }, "ControlLane").frames(30)
  script.committed()
  script.settled(script.cut())
  script.committed("refused")
  script.frames(4)
}
