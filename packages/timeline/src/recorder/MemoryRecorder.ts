import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import { Context, Effect, Exit, Layer, Queue } from "effect"
import type { Emission } from "./RecordAssembler.ts"
import { RecordAssembler } from "./RecordAssembler.ts"

/** Records of all sessions that are kept; past it evidence is refused and nothing but baseline is taken. */
export const memoryRecords = 1_000_000

/** What a session left in memory. */
export interface MemoryTimeline {
  readonly header: TimelineHeader
  /** Every record after the header; the end record is the last once the session's scope has closed. */
  readonly records: ReadonlyArray<TimelineRecord>
  /** The same records as they were emitted: groups together, with their tier. */
  readonly emissions: ReadonlyArray<Emission>
}

/** The timelines that the memory recorder has kept, by session id; a later session of the same id takes the place. */
export class MemoryTimelines extends Context.Service<MemoryTimelines, {
  readonly get: (sessionId: string) => MemoryTimeline | undefined
  readonly sessions: () => ReadonlyArray<string>
}>()("rspp/MemoryTimelines") {}

/**
 * The recorder in memory, for tests, simulations and virtual clocks: the same records as the file recorder's, no disk.
 *
 * `refuse` makes it refuse the evidence of the turns that it names (T9).
 */
export const layer = (options?: {
  readonly refuse?: (turnId: string) => boolean
}): Layer.Layer<Recorder | MemoryTimelines> =>
  Layer.effectContext(Effect.sync(() => {
    const timelines = new Map<string, MemoryTimeline>()
    let kept = 0
    const recorder = Recorder.of({
      open: ({ header, onAppended }) =>
        Effect.gen(function*() {
          const records: Array<TimelineRecord> = []
          const emissions: Array<Emission> = []
          timelines.set(header.session_id, { header, records, emissions })
          const answers = yield* Queue.bounded<readonly [string, "appended" | "refused"]>(256)
          let reason: CloseReason | undefined
          const lost = { detail: 0, records: 0 }
          const assembler = new RecordAssembler(header, {
            emit: (emission) => {
              if (kept >= memoryRecords && emission.tier !== "baseline") {
                lost[emission.tier === "detail" ? "detail" : "records"] += emission.records.length
                return
              }
              kept += emission.records.length
              records.push(...emission.records)
              emissions.push(emission)
            },
            appendRequested: (turnId, ready) => {
              const room = ready && kept < memoryRecords && options?.refuse?.(turnId) !== true
              Queue.offerUnsafe(answers, [turnId, room ? "appended" : "refused"])
            }
          })
          yield* Effect.addFinalizer((exit) =>
            Effect.sync(() => {
              assembler.finish()
              const why = Exit.isSuccess(exit) ? "ended" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
              records.push(assembler.end(reason ?? why, records.length + 1, lost))
            })
          )
          yield* Effect.forkScoped(
            Queue.take(answers).pipe(
              Effect.map(([turnId, result]) => onAppended(turnId, result)),
              Effect.forever
            )
          )
          return {
            audio: (sequence, sampleIndex, timestampMs) => assembler.audio(sequence, sampleIndex, timestampMs),
            input: (record) => assembler.input(record),
            outputs: (outputs) => assembler.outputs(outputs),
            payload: (handle, content) => assembler.payload(handle, content),
            callerAudio: (sampleIndex, samples) => assembler.callerAudio(sampleIndex, samples),
            closing: (why: CloseReason) => {
              reason ??= why
            }
          }
        })
    })
    const read = MemoryTimelines.of({
      get: (sessionId) => timelines.get(sessionId),
      sessions: () => [...timelines.keys()]
    })
    return Context.make(Recorder, recorder).pipe(Context.add(MemoryTimelines, read))
  }))
