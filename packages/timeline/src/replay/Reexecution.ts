import type { EndRecord, InputRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { KernelSession, SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import { RecordAssembler } from "../recorder/RecordAssembler.ts"

type AudioRunRecord = Extract<TimelineRecord, { readonly record: "audio" }>

/**
 * A fresh kernel and a fresh recorder at work on recorded inputs: what comes out of them is collected as timeline records.
 *
 * Every output record comes from executing the kernel; nothing of the recording's outputs is looked at here.
 */
export class Reexecution {
  readonly kernel: KernelSession
  readonly #assembler: RecordAssembler
  /** Output records since {@link takeOutputs} was last called, in the order of the recorder. */
  #outputs: Array<TimelineRecord> = []
  /** Turns that were opened. */
  turns = 0
  /** Stamp of the newest input, ms. */
  nowMs = 0

  constructor(kernels: SessionKernel["Service"], header: TimelineHeader) {
    this.kernel = kernels.open(header)
    this.#assembler = new RecordAssembler(header, {
      emit: ({ records }) => {
        for (const record of records) {
          if (record.record !== "audio" && record.record !== "input") this.#outputs.push(record)
        }
      },
      // How the recorder answered is a recorded input.
      appendRequested: () => {}
    })
  }

  /**
   * Feeds one run of caller frames, frame by frame, and returns how many were fed. `before` is called with the stamp of
   * each frame; an answer of false ends it there.
   */
  audio(run: AudioRunRecord, before?: (atMs: number) => boolean): number {
    const { count, first_sample_index, jitter } = run
    let at = run.first_timestamp_ms
    for (let frame = 0; frame < count; frame++) {
      if (frame > 0) at += frameMs + (jitter?.[frame - 1] ?? 0)
      if (before !== undefined && !before(at)) return frame
      const sampleIndex = first_sample_index + frame * frameSamples
      this.#assembler.audio(this.kernel.audio(sampleIndex, frameSamples, at), sampleIndex, at)
    }
    if (at > this.nowMs) this.nowMs = at
    return count
  }

  /** Applies one input at its stamp. Returns the kernel's outputs; throws what the kernel throws. */
  input(record: InputRecord): ReadonlyArray<KernelOutput> {
    const { input, lane, runtime_timestamp_ms } = record
    this.nowMs = runtime_timestamp_ms
    const { outputs, sequence } = this.kernel.step(input, runtime_timestamp_ms)
    this.#assembler.input({ record: "input", runtime_sequence: sequence, runtime_timestamp_ms, lane, input })
    this.#assembler.outputs(outputs)
    for (const output of outputs) this.#follow(output)
    return outputs
  }

  #follow(output: KernelOutput): void {
    if (output.record === "signal" && output.signal.signal === "turn_open") this.turns++
  }

  /** The recording was closed properly: what the recorder held back comes out now. */
  close(): void {
    this.#assembler.finish()
  }

  /** The end record that the recorder writes for this reason after so many records; what it could not keep is its to say. */
  end({ not_captured, reason, records }: EndRecord): EndRecord {
    const { not_captured: _, ...end } = this.#assembler.end(reason as CloseReason, records)
    return not_captured === undefined ? end : { ...end, not_captured }
  }

  takeOutputs(): ReadonlyArray<TimelineRecord> {
    const outputs = this.#outputs
    if (outputs.length > 0) this.#outputs = []
    return outputs
  }
}
