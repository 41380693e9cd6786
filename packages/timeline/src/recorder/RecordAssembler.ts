import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type {
  AudioRun,
  CallerAudioRecord,
  EndRecord,
  InputRecord,
  PayloadRecord,
  TimelineHeader,
  TimelineRecord
} from "@rspp/contracts/Timeline"
import { scrubSecrets } from "@rspp/contracts/Secrets"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { frameMs, frameSamples, sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import type { LostRecords } from "./CaptureLog.ts"
import { CaptureLog } from "./CaptureLog.ts"
import { EvidenceLedger, maxUnsealedTurns } from "./EvidenceLedger.ts"
import { handleOf, withoutHandleHash } from "../privacy/HandleHash.ts"
import type { Sealer } from "../privacy/Sealing.ts"
import { isTruthful, maskText, redactionFor } from "./Redaction.ts"

/** Frames of the longest audio run: 10 s, so that a crash loses no more than that of a silence. */
export const maxRunFrames = 500

/** Records that a group gathers before it is written without waiting for the close any longer. Four is usual. */
export const maxGroupRecords = 256

/** Samples of caller audio in one record: 1 s. */
export const callerChunkSamples = sampleRateHz

/** Samples of speech in one payload record; a longer payload takes several records of the same handle. 8 s. */
export const payloadChunkSamples = 8 * sampleRateHz

/**
 * What must go first when room runs out, and what last: `detail` (payloads, caller audio, telemetry events), `record`
 * (every other input and output), `baseline` (a turn's evidence with its terminal and close, supplements).
 */
export type Tier = "detail" | "record" | "baseline"

/** Records that are written together, as one frame, or not at all. */
export interface Emission {
  readonly tier: Tier
  readonly records: ReadonlyArray<TimelineRecord>
}

export interface AssemblerSink {
  readonly emit: (emission: Emission) => void
  /**
   * The kernel asked for room for a turn's evidence. `ready` is false when something that the evidence must hold has
   * not arrived, so that it could not be made.
   */
  readonly appendRequested: (turnId: string, ready: boolean) => void
}

export interface AssemblerOptions {
  /** Under its key, which the header names, payloads are kept. */
  readonly sealer?: Sealer
  /** Takes secrets out of texts that are kept; default: what has the shape of one. */
  readonly scrub?: (text: string) => string
}

interface Run {
  readonly firstSequence: number
  readonly firstSample: number
  readonly firstMs: number
  count: number
  lastMs: number
  /** One entry per frame after the first, from the first frame on that was not on time. */
  jitter: Array<number> | undefined
}

/** Terminal and close of a turn, gathered until both are there. */
interface Group {
  readonly turnId: string
  readonly records: Array<TimelineRecord>
  closeSeen: boolean
  closedSeen: boolean
}

/**
 * Turns the calls of a {@link SessionRecorder} into timeline records: audio runs, inputs, outputs, payloads as redaction
 * allows, evidence groups and supplements.
 *
 * The file recorder, the memory recorder and replay share it; it does no I/O and reads no clock. Guarantees: I-RECORD-SAME
 * the same calls give the same emissions; I-RECORD-ORDER sequence numbers of the records rise in the order of emission;
 * I-GROUP the evidence, the terminal and the close of a turn are one emission.
 */
export class RecordAssembler {
  readonly #sink: AssemblerSink
  readonly #ledger: EvidenceLedger
  readonly #captured: CaptureLog
  readonly #header: TimelineHeader
  readonly #sealer: Sealer | undefined
  readonly #scrub: (text: string) => string
  #run: Run | undefined
  #group: Group | undefined
  #caller: { readonly first: number; readonly chunks: Array<Int16Array>; samples: number } | undefined
  #lastSequence = 0
  #lastMs = 0

  constructor(header: TimelineHeader, sink: AssemblerSink, options: AssemblerOptions = {}) {
    this.#sink = sink
    this.#header = header
    this.#sealer = options.sealer
    this.#scrub = options.scrub ?? scrubSecrets
    this.#ledger = new EvidenceLedger(header)
    this.#captured = new CaptureLog(header.recording_level)
  }

  /** The recording level in force. */
  get level(): RecordingLevel {
    return this.#ledger.level
  }

  /** Bytes to keep free for the evidence of the turns that are open. */
  get reservedBytes(): number {
    return this.#ledger.reservedBytes
  }

  audio(sequence: number, sampleIndex: number, timestampMs: number): void {
    this.#ledger.audio()
    this.#seen(sequence, timestampMs)
    const run = this.#run
    if (
      run === undefined || run.count >= maxRunFrames || sequence !== run.firstSequence + run.count ||
      sampleIndex !== run.firstSample + run.count * frameSamples
    ) {
      this.#flushRun()
      this.#run = {
        firstSequence: sequence,
        firstSample: sampleIndex,
        firstMs: timestampMs,
        count: 1,
        lastMs: timestampMs,
        jitter: undefined
      }
      return
    }
    const late = timestampMs - run.lastMs - frameMs
    if (late !== 0 && run.jitter === undefined) run.jitter = Array.from({ length: run.count - 1 }, () => 0)
    run.jitter?.push(late)
    run.count++
    run.lastMs = timestampMs
  }

  input(record: InputRecord): void {
    this.#flushRun()
    this.#seen(record.runtime_sequence, record.runtime_timestamp_ms)
    this.#ledger.input(record)
    this.#captured.level(this.level)
    this.#put(withoutSecrets(record))
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): void {
    if (outputs.length > 0) this.#flushRun()
    for (const output of outputs) this.#output(output)
  }

  payload(handle: PayloadHandle, content: string | Int16Array): void {
    const { id: handle_id, payload_class } = handle
    const action = redactionFor(payload_class, this.level, this.#header)
    this.#captured.payload(payload_class, action)
    if (action !== "allow" && action !== "mask" && action !== "tokenize") return
    const fields = { record: "payload" as const, handle_id, payload_class, action }
    if (action === "tokenize") {
      if (typeof content !== "string" || this.#sealer === undefined) return
      this.#sink.emit({ tier: "detail", records: [{ ...fields, text: this.#sealer.token(content) }] })
    } else if (typeof content === "string") {
      this.#detail({ ...fields, text: action === "mask" ? maskText(content) : this.#scrub(content) })
    } else if (action === "allow") {
      for (let at = 0; at < content.length; at += payloadChunkSamples) {
        this.#detail({ ...fields, pcm_base64: base64(content.subarray(at, at + payloadChunkSamples)) })
      }
    }
  }

  callerAudio(sampleIndex: number, samples: Int16Array): void {
    const kept = redactionFor("audio_raw", this.level, this.#header) === "allow"
    this.#captured.callerAudio(samples.length, kept)
    if (!kept) return this.#flushCaller()
    const caller = this.#caller
    if (caller !== undefined && sampleIndex === caller.first + caller.samples) {
      caller.chunks.push(samples)
      caller.samples += samples.length
    } else {
      this.#flushCaller()
      this.#caller = { first: sampleIndex, chunks: [samples], samples: samples.length }
    }
    if ((this.#caller?.samples ?? 0) >= callerChunkSamples) this.#flushCaller()
  }

  /** Emits all that is still held: the last run, an open group, caller audio, supplements. Call it once, at the end. */
  finish(): void {
    this.#flushRun()
    this.#flushCaller()
    this.#flushGroup()
    for (const turnId of this.#ledger.unsealed) this.#seal(turnId, this.#lastMs)
  }

  /**
   * The end record; `records` counts the records that were kept before it. Its time is that of the last record. With what
   * was lost on the way to the disk it says what the recording does not have.
   */
  end(reason: CloseReason, records: number, lost: LostRecords = { detail: 0, records: 0 }): EndRecord {
    return {
      record: "end",
      last_sequence: this.#lastSequence,
      runtime_timestamp_ms: this.#lastMs,
      reason,
      records,
      not_captured: this.#captured.manifest(lost)
    }
  }

  #output(output: KernelOutput): void {
    switch (output.record) {
      case "signal":
        this.#seen(output.signal.runtime_sequence, output.signal.runtime_timestamp_ms)
        break
      case "event":
        this.#seen(output.event.runtime_sequence, output.event.runtime_timestamp_ms)
        break
      case "decision":
        this.#seen(output.runtime_sequence, output.decision.runtime_timestamp_ms)
        break
      default:
        this.#seen(output.runtime_sequence, output.runtime_timestamp_ms)
    }
    this.#ledger.output(output)
    this.#captured.level(this.level)
    if (output.record === "signal") {
      const { signal, turn_id } = output.signal
      // What came before it was still to be kept.
      if (signal === "recording_level_downgraded") this.#flushCaller()
      if (turn_id !== undefined && (signal === "commit" || signal === "abort")) {
        this.#flushGroup()
        this.#group = { turnId: turn_id, records: [], closeSeen: false, closedSeen: false }
      }
      this.#put(output)
      if (signal === "close" && turn_id === this.#group?.turnId) this.#closing("closeSeen")
      return
    }
    if (output.record === "event" && output.event.lane === "TelemetryLane") {
      this.#put(output, "detail")
      return
    }
    this.#put(output)
    if (output.record === "transition") {
      if (output.transition.to_state === "Closed" && output.turn_id === this.#group?.turnId) this.#closing("closedSeen")
    } else if (output.record === "command") {
      const { command } = output
      if (command.type === "append_evidence") {
        this.#sink.appendRequested(command.turn_id, this.#ledger.isReady(command.turn_id))
      } else if (command.type === "seal_supplement") {
        this.#seal(command.turn_id, output.runtime_timestamp_ms)
      }
    }
  }

  #seen(sequence: number, timestampMs: number): void {
    if (sequence > this.#lastSequence) this.#lastSequence = sequence
    if (timestampMs > this.#lastMs) this.#lastMs = timestampMs
  }

  #put(given: TimelineRecord, tier: Tier = "record"): void {
    const record = this.#withoutDroppedHash(given)
    if (this.#group === undefined) return this.#sink.emit({ tier, records: [record] })
    this.#group.records.push(record)
    if (this.#group.records.length >= maxGroupRecords) this.#flushGroup()
  }

  #detail(record: PayloadRecord | CallerAudioRecord): void {
    this.#sink.emit({ tier: "detail", records: [this.#sealer?.seal(record) ?? record] })
  }

  /** A payload that is dropped leaves no hash behind either. */
  #withoutDroppedHash(record: TimelineRecord): TimelineRecord {
    const handle = record.record === "input" || record.record === "command" ? handleOf(record) : undefined
    return handle?.hash !== undefined && isTruthful(this.#header) &&
        redactionFor(handle.payload_class, this.level, this.#header) === "drop"
      ? withoutHandleHash(record)
      : record
  }

  #closing(seen: "closeSeen" | "closedSeen"): void {
    const group = this.#group
    if (group === undefined) return
    group[seen] = true
    if (group.closeSeen && group.closedSeen) this.#flushGroup()
  }

  #flushGroup(): void {
    const group = this.#group
    if (group === undefined) return
    this.#group = undefined
    const evidence = this.#ledger.evidence(group.turnId)
    this.#captured.turn(group.turnId, this.#ledger.loweredTo(group.turnId))
    this.#sink.emit({
      tier: "baseline",
      records: evidence === undefined ? group.records : [{ record: "evidence", evidence }, ...group.records]
    })
    const { unsealed } = this.#ledger
    const [oldest] = unsealed
    if (unsealed.length > maxUnsealedTurns && oldest !== undefined) this.#seal(oldest, this.#lastMs)
  }

  #seal(turnId: string, sealedMs: number): void {
    const supplement = this.#ledger.seal(turnId, sealedMs)
    if (supplement !== undefined) this.#sink.emit({ tier: "baseline", records: [{ record: "supplement", supplement }] })
  }

  #flushRun(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    const record: AudioRun = {
      record: "audio",
      first_sequence: run.firstSequence,
      count: run.count,
      first_sample_index: run.firstSample,
      first_timestamp_ms: run.firstMs,
      ...(run.jitter === undefined ? {} : { jitter: run.jitter })
    }
    this.#put(record)
  }

  #flushCaller(): void {
    const caller = this.#caller
    if (caller === undefined) return
    this.#caller = undefined
    const samples = new Int16Array(caller.samples)
    let at = 0
    for (const chunk of caller.chunks) {
      samples.set(chunk, at)
      at += chunk.length
    }
    this.#detail({ record: "caller_audio", first_sample_index: caller.first, pcm_base64: base64(samples) })
  }
}

/** A lease's token proves authority; nothing that is decided depends on it, so no recording needs it. */
const withoutSecrets = (record: InputRecord): InputRecord => {
  if (record.input.type !== "lease" || record.input.lease_token === undefined) return record
  const { lease_token: _, ...input } = record.input
  return { ...record, input }
}

/** The samples as s16le in base64 (every machine that Node runs on is little-endian). */
const base64 = (samples: Int16Array): string =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString("base64")
