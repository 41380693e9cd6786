import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"

/** CONTRACT section 7, as it is written there; nothing of the recorder's own is used here. */
const bounds = { L1: { fill: 0.8, lagMs: 2000 }, L0: { fill: 0.9, lagMs: 5000 } } as const
const holdsMs = 500
/** A recorder that looks ten times a second may be so late. */
const lateMs = 250

interface Reading {
  readonly atMs: number
  readonly fill: number
  readonly lagMs: number
}

/**
 * W03: a recorder says that it is under pressure when its buffer or its store is, and only then.
 *
 * It is shown every state that the simulated disk goes through, and what the recorder said in it; a timeline has neither.
 */
export class PressureTruth {
  readonly #broken: (what: string) => void
  #told: RecordingLevel
  #readings: Array<Reading> = []

  constructor(level: RecordingLevel, broken: (what: string) => void) {
    this.#told = level
    this.#broken = broken
  }

  seen(reading: Reading, said: RecordingPressure | undefined): void {
    this.#readings.push(reading)
    // What is older than the last that says anything is not needed any more.
    if (this.#readings.length > 4096) this.#readings = this.#readings.slice(-2048)
    const { lagMs } = reading
    if (said === undefined) return this.#missed(reading)
    this.#told = said.level
    if (said.reason === "eased") {
      const { fill, lagMs: late } = bounds[said.level === "L2" ? "L1" : "L0"]
      if (this.#heldMs((one) => one.fill < fill && one.lagMs < late) < holdsMs) {
        this.#broken(`the recorder says ${said.level} eased, and the pressure was there within ${holdsMs} ms`)
      }
    } else if (said.level === "L2") this.#broken(`the recorder goes down to L2`)
    else if (said.reason === "export_lag") {
      if (lagMs < bounds[said.level].lagMs) this.#broken(`${said.level} for a lag of ${Math.round(lagMs)} ms`)
    } else {
      const { fill } = bounds[said.level]
      const forMs = this.#heldMs((one) => one.fill >= fill)
      if (forMs < holdsMs) {
        this.#broken(`${said.level} for a buffer that was ${fill} full for ${Math.round(forMs)} ms`)
      }
    }
  }

  /** The recorder said nothing: was there something to say? */
  #missed({ lagMs }: Reading): void {
    if (this.#told === "L0") return
    const { fill, lagMs: late } = bounds[this.#told === "L2" ? "L1" : "L0"]
    if (this.#heldMs((one) => one.fill >= fill) >= holdsMs + lateMs || lagMs >= late + lateMs) {
      this.#broken(`the recorder is under pressure and stays at ${this.#told}`)
    }
  }

  /** For how long every state up to now has been such. */
  #heldMs(is: (reading: Reading) => boolean): number {
    let first: Reading | undefined
    const last = this.#readings.at(-1)
    for (let index = this.#readings.length - 1; index >= 0; index--) {
      const reading = this.#readings[index]
      if (reading === undefined || !is(reading)) break
      first = reading
    }
    return first === undefined || last === undefined ? -1 : last.atMs - first.atMs
  }
}
