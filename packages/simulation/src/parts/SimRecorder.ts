import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { Recorder, RecorderFailure } from "@rspp/runtime/ports/Recorder"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import type { Emission } from "@rspp/timeline/recorder/RecordAssembler"
import { RecordAssembler } from "@rspp/timeline/recorder/RecordAssembler"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Pipe } from "./Pipe.ts"
import type { SimCall } from "./SimCall.ts"
import { SimDisk } from "./SimDisk.ts"

/** What one session left: everything that happened, and what its disk kept of it. */
export interface SimTimeline {
  header: TimelineHeader | undefined
  /** Every record, whatever the disk did. Checkers read these. */
  readonly records: Array<TimelineRecord>
  /** What was written to the simulated disk, in groups as they were written. */
  readonly disk: Array<Emission>
  /** Records that had no room in front of it. */
  lost: number
}

export const emptyTimeline = (): SimTimeline => ({ header: undefined, records: [], disk: [], lost: 0 })

/**
 * The recorder of a simulated session: the assembler of the real recorders over a simulated disk. Where the disk is full
 * nothing but a turn's ending is written and evidence is refused; where it stands still, or its store does, the buffer
 * and the gauge of the real recorder are at work; answers may be refused or late.
 */
export const layer = (call: SimCall, into: SimTimeline): Layer.Layer<Recorder> =>
  Layer.succeed(Recorder, {
    open: ({ header, onAppended, onPressure }) =>
      Effect.gen(function*() {
        const { faults, scenario, world } = call
        if (scenario.refused === "recorder") {
          return yield* new RecorderFailure({ message: "the simulated disk takes no new file" })
        }
        into.header = header
        let reason: CloseReason | undefined
        const answers = yield* Effect.acquireRelease(
          Effect.sync(() => new Pipe(world)),
          (pipe) => Effect.sync(() => pipe.close())
        )
        const pressures = yield* Effect.acquireRelease(
          Effect.sync(() => new Pipe(world)),
          (pipe) => Effect.sync(() => pipe.close())
        )
        const disk: SimDisk = yield* Effect.acquireRelease(
          Effect.sync(() =>
            new SimDisk(call, {
              level: header.recording_level,
              into: into.disk,
              reservedBytes: () => assembler.reservedBytes,
              // Never in the same step: what a recorder says is an input of its own.
              onPressure: (pressure) => pressures.push(1e-6, () => onPressure?.(pressure))
            })
          ),
          (open) => Effect.sync(() => open.close())
        )
        const assembler: RecordAssembler = new RecordAssembler(header, {
          emit: (emission) => {
            for (const record of emission.records) into.records.push(record)
            disk.append(emission)
          },
          appendRequested: (turnId, ready) => {
            const room = ready && disk.hasRoom() && faults.during("recorder.full") === undefined &&
              !faults.strikes("recorder.refused")
            const slowMs = faults.strikes("recorder.slow") ? faults.stream("recorder.slow").between(1, 2000) : 0
            // Never in the same step: an answer is an input of its own.
            answers.push(Math.max(slowMs, 1e-6), () => onAppended(turnId, room ? "appended" : "refused"))
          }
        })
        yield* Effect.addFinalizer((exit) =>
          Effect.sync(() => {
            assembler.finish()
            const why = Exit.isSuccess(exit) ? "ended" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
            disk.close()
            into.lost = disk.lost.records
            // Checkers see all that was made; the disk says what it lacks of that.
            const closing = reason ?? why
            const count = into.records.length + 1
            into.records.push(assembler.end(closing, count))
            into.disk.push({ tier: "baseline", records: [assembler.end(closing, count, disk.lost)] })
          })
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
