import { AppendBuffer } from "@rspp/timeline/recorder/AppendBuffer"
import type { Emission } from "@rspp/timeline/recorder/RecordAssembler"
import { approximateBytes } from "@rspp/timeline/recorder/AppendBuffer"
import { fillToL1, PressureGauge } from "@rspp/timeline/recorder/PressureGauge"
import { FlushMarks } from "@rspp/timeline/store/FlushMarks"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"
import type { WorldTimer } from "../TimerQueue.ts"
import { PressureTruth } from "./PressureTruth.ts"
import type { SimCall } from "./SimCall.ts"

/**
 * Small enough that a disk which stands still fills it to 0.80 in 7 s of a call at L2, and large enough that evidence has
 * room up to 0.93, so that the level goes down before a turn ends for it.
 */
const simAppendLimits = { items: 4096, bytes: 384 * 1024 }

/** How often the simulated recorder looks at its disk and its store while one of them is behind, ms. */
const lookEveryMs = 100

/** What a disk needs of its recorder. */
export interface SimDiskOptions {
  readonly level: RecordingLevel
  /** What is written, in the order in which it is written. */
  readonly into: Array<Emission>
  /** Bytes that the open turns need for their evidence. */
  readonly reservedBytes: () => number
  readonly onPressure: (pressure: RecordingPressure) => void
}

/**
 * The disk of a simulated recorder and the store behind it, with the append buffer and the gauge of the real recorder in
 * front. While a disk stands still (`recorder.stalled`) what comes waits in the buffer, which really fills; while a store
 * takes nothing (`store.behind`) the export lag grows. Where neither fault is in the run everything is written at once.
 */
export class SimDisk {
  readonly #call: SimCall
  readonly #options: SimDiskOptions
  readonly #buffer = new AppendBuffer(simAppendLimits)
  readonly #gauge: PressureGauge | undefined
  readonly #truth: PressureTruth
  readonly #faulty: boolean
  readonly #marks = new FlushMarks()
  #written = 0
  #timer: WorldTimer | undefined

  constructor(call: SimCall, options: SimDiskOptions) {
    this.#call = call
    this.#options = options
    this.#faulty = call.faults.has("recorder.stalled") || call.faults.has("store.behind")
    this.#truth = new PressureTruth(options.level, (what) => {
      const { violations } = call.truth
      const message = `${call.world.nowMs.toFixed(3)} ms: ${what}`
      if (violations.length < 20) violations.push({ rule: "W03", message })
    })
    this.#gauge = this.#faulty && options.level !== "L0" ? new PressureGauge(options.level) : undefined
  }

  /** Detail and other records that had no room. */
  get lost(): { readonly detail: number; readonly records: number } {
    return { detail: this.#buffer.droppedDetail, records: this.#buffer.droppedRecords }
  }

  /** Whether the open turns can still be ended with their evidence. */
  hasRoom(): boolean {
    return this.#buffer.hasRoom(this.#options.reservedBytes())
  }

  append(emission: Emission): void {
    // A full disk has room for a turn's ending alone.
    if (this.#call.faults.during("recorder.full") !== undefined && emission.tier !== "baseline") return
    if (!this.#faulty) {
      this.#options.into.push(emission)
      return
    }
    this.#buffer.offer(emission, this.#options.reservedBytes())
    if (this.#call.faults.during("recorder.stalled") === undefined) this.#write()
    this.#look()
  }

  /** Writes all that waits, and looks no more. */
  close(): void {
    if (this.#timer !== undefined) this.#call.world.callOff(this.#timer)
    this.#timer = undefined
    if (this.#faulty) this.#write()
  }

  #write(): void {
    for (let batch = this.#buffer.take(); batch.length > 0; batch = this.#buffer.take()) {
      for (const emission of batch) {
        this.#options.into.push(emission)
        for (const record of emission.records) this.#written += approximateBytes(record)
      }
      this.#buffer.written()
      this.#marks.flushed(this.#written, this.#call.world.nowMs)
    }
  }

  #look(): void {
    const { faults, world } = this.#call
    if (faults.during("store.behind") === undefined) this.#marks.stored(this.#written)
    if (this.#gauge === undefined) {
      if (this.#buffer.waitingBytes > 0) this.#lookAgain()
      return
    }
    const nowMs = world.nowMs
    const oldest = this.#marks.oldestMs
    const reading = { nowMs, fill: this.#buffer.fill, lagMs: oldest === undefined ? 0 : nowMs - oldest }
    const said = this.#gauge.read(reading)
    this.#truth.seen({ ...reading, atMs: nowMs }, said)
    if (said !== undefined) this.#options.onPressure(said)
    const waits = this.#buffer.waitingBytes > 0 || oldest !== undefined || this.#buffer.fill >= fillToL1
    if (waits || this.#gauge.told !== this.#options.level) this.#lookAgain()
  }

  #lookAgain(): void {
    this.#timer ??= this.#call.world.after(lookEveryMs * 1e6, () => {
      this.#timer = undefined
      if (this.#call.faults.during("recorder.stalled") === undefined) this.#write()
      this.#look()
    })
  }
}
