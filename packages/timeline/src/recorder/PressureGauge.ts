import type { PressureReason } from "@rspp/contracts/SessionInput"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"
import { lagToL0Ms, lagToL1Ms } from "../store/ExportLag.ts"
import { detailFill } from "./AppendBuffer.ts"

/** At these fills of the append buffer, held for so long, recording goes down to L1 and to L0 (CONTRACT section 7). */
export const fillToL1 = 0.8
export const fillToL0 = 0.9
export const fillHoldsMs = 500

/** Pressure has gone when neither fill nor lag has reached its bound for so long: as long as it takes to count. */
export const calmMs = 500

if (!(fillToL1 < fillToL0 && fillToL0 < detailFill)) {
  throw new Error("the level must go down before detail is dropped")
}

/** What is looked at. */
export interface PressureReading {
  readonly nowMs: number
  /** Part of the append buffer that is used, 0 to 1. */
  readonly fill: number
  /** Age of the oldest byte that is on disk and not in the store, ms. */
  readonly lagMs: number
}

/** One bound of pressure: the level that it calls for, and since when fill is there, or nothing is. */
class Bound {
  readonly level: RecordingLevel
  readonly #fill: number
  readonly #lagMs: number
  #fullSince: number | undefined
  #calmSince: number | undefined

  constructor(level: RecordingLevel, fill: number, lagMs: number) {
    this.level = level
    this.#fill = fill
    this.#lagMs = lagMs
  }

  /** Why the level is to go down, if it is. */
  read({ fill, lagMs, nowMs }: PressureReading): Exclude<PressureReason, "eased"> | undefined {
    const full = fill >= this.#fill
    const late = lagMs >= this.#lagMs
    this.#fullSince = full ? this.#fullSince ?? nowMs : undefined
    this.#calmSince = full || late ? undefined : this.#calmSince ?? nowMs
    if (this.#fullSince !== undefined && nowMs - this.#fullSince >= fillHoldsMs) return "append_queue_fill"
    return late ? "export_lag" : undefined
  }

  isCalm(nowMs: number): boolean {
    return this.#calmSince !== undefined && nowMs - this.#calmSince >= calmMs
  }
}

/**
 * Notices when a recorder has to go down a level, and when it may go up again: a machine of its own, without a clock.
 *
 * Down to L1 at a fill of 0.80 for 500 ms or a lag of 2 s, to L0 at 0.90 for 500 ms or 5 s. A fill that dips below its
 * bound begins its 500 ms anew, so it is to be read at every dip. One step is told at a reading. `eased` is told once
 * nothing has reached a bound for 500 ms; the session then goes up at its next turn boundary, and if the bound is reached
 * again before that, the lower level is told again.
 *
 * Guarantees: I-PRESSURE-STEP what is told is one step below what was told before, or above it and `eased`; I-PRESSURE-TOP
 * never above the level that it began with.
 */
export class PressureGauge {
  readonly #top: RecordingLevel
  readonly #bounds = { L1: new Bound("L1", fillToL1, lagToL1Ms), L0: new Bound("L0", fillToL0, lagToL0Ms) }
  #told: RecordingLevel

  /** `top` is the level of the recording's header. */
  constructor(top: RecordingLevel) {
    this.#top = top
    this.#told = top
  }

  /** The level that was told last. */
  get told(): RecordingLevel {
    return this.#told
  }

  /** Reads once. Time never runs backwards between readings. */
  read(reading: PressureReading): RecordingPressure | undefined {
    const toL1 = this.#bounds.L1.read(reading)
    const toL0 = this.#bounds.L0.read(reading)
    if (this.#told === "L2" && toL1 !== undefined) return this.#tell("L1", toL1)
    if (this.#told === "L1" && toL0 !== undefined) return this.#tell("L0", toL0)
    const best = this.#best(reading.nowMs)
    return best === undefined ? undefined : this.#tell(best, "eased")
  }

  /** A level above the one that was told, at which the recorder keeps up again. */
  #best(nowMs: number): RecordingLevel | undefined {
    const { L0, L1 } = this.#bounds
    if (this.#told === this.#top) return undefined
    if (this.#top === "L2" && L1.isCalm(nowMs)) return "L2"
    return this.#told === "L0" && L0.isCalm(nowMs) ? "L1" : undefined
  }

  #tell(level: RecordingLevel, reason: PressureReason): RecordingPressure {
    this.#told = level
    return { level, reason }
  }
}
