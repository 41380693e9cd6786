import { recordingLevels } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { allFaultKinds } from "./Faults.ts"
import type { FaultKind } from "./Faults.ts"
import type { PlacedViolation, SeedReport } from "./SeedReport.ts"
import { Coverage } from "./Sometimes.ts"

/** A seed that breaks a rule. */
export interface FailedSeed {
  readonly seed: number
  readonly violations: ReadonlyArray<PlacedViolation>
  /** Violations, those that are not shown included. */
  readonly broken: number
  readonly struck: SeedReport["struck"]
}

/** Failing seeds that are kept with everything; of more, only the numbers. */
const keptFailures = 100

/** What many seeds have shown, whatever the order in which they end. */
export class Tally {
  seeds = 0
  simulatedMs = 0
  records = 0
  /** Recordings that were executed again and came out the same, by their level. */
  readonly replays: Record<RecordingLevel, number> = { L0: 0, L1: 0, L2: 0 }
  readonly coverage = new Coverage()
  readonly #struck = new Map<FaultKind, number>()
  readonly #failed = new Map<number, FailedSeed>()
  readonly #others: Array<number> = []

  add(report: SeedReport): void {
    const { broken, marks, records, replays, seed, simulatedMs, struck, violations } = report
    this.seeds++
    this.simulatedMs += simulatedMs
    this.records += records
    for (const level of recordingLevels) this.replays[level] += replays[level] ?? 0
    this.coverage.add(seed, marks)
    for (const kind of allFaultKinds) {
      const count = struck[kind]
      if (count !== undefined) this.#struck.set(kind, (this.#struck.get(kind) ?? 0) + count)
    }
    if (broken > 0) this.#fail({ seed, violations, broken, struck })
  }

  /** A seed that gave nothing back: it did not end, or its process died. */
  lost(seed: number, violation: PlacedViolation): void {
    this.seeds++
    this.#fail({ seed, violations: [violation], broken: 1, struck: {} })
  }

  #fail(failed: FailedSeed): void {
    if (this.#failed.size < keptFailures) this.#failed.set(failed.seed, failed)
    else this.#others.push(failed.seed)
  }

  /** How often each kind of fault struck, in the order of the table; kinds that never did are left out. */
  get struck(): ReadonlyArray<readonly [kind: FaultKind, count: number]> {
    return allFaultKinds.flatMap((kind) => {
      const count = this.#struck.get(kind)
      return count === undefined ? [] : [[kind, count] as const]
    })
  }

  /** Failing seeds, the lowest first. */
  get failures(): ReadonlyArray<FailedSeed> {
    return [...this.#failed.values()].toSorted((a, b) => a.seed - b.seed)
  }

  /** Failing seeds of which only the number was kept. */
  get otherFailures(): ReadonlyArray<number> {
    return this.#others.toSorted((a, b) => a - b)
  }

  get failed(): number {
    return this.#failed.size + this.#others.length
  }
}
