import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { bareText, identityOf } from "./RecordIdentity.ts"

/**
 * Walks the recorded and the replayed outputs of a step side by side, and goes on behind a difference: a record that one
 * side lacks is passed on the other, one that was moved is passed where it stands on each side.
 */
export class StepAlignment {
  readonly #recorded: ReadonlyArray<TimelineRecord>
  readonly #replayed: ReadonlyArray<TimelineRecord>
  /** Recorded records behind `left` whose counterpart came earlier in the replay. */
  readonly #met = new Set<number>()
  left = 0
  right = 0

  constructor(recorded: ReadonlyArray<TimelineRecord>, replayed: ReadonlyArray<TimelineRecord>) {
    this.#recorded = recorded
    this.#replayed = replayed
  }

  get recorded(): TimelineRecord | undefined {
    return this.#recorded[this.left]
  }

  get replayed(): TimelineRecord | undefined {
    return this.#replayed[this.right]
  }

  get isDone(): boolean {
    return this.left >= this.#recorded.length && this.right >= this.#replayed.length
  }

  /** Both sides were the same. */
  same(): void {
    this.right++
    this.#passLeft()
  }

  /** The replay has one that the recording need not have. */
  skipReplayed(): void {
    this.right++
  }

  /** The sides differ as `found` says. */
  differ(found: ReplayDivergence): void {
    const { recorded, replayed } = this
    if (recorded !== undefined && replayed !== undefined && this.#isMove(found)) {
      const text = bareText(replayed)
      const at = this.#recorded.findIndex((record, index) =>
        index > this.left && !this.#met.has(index) && bareText(record) === text
      )
      if (at >= 0) {
        this.#met.add(at)
        this.right++
        return
      }
    }
    if (replayed !== undefined && found.replayed === replayed) this.right++
    if (recorded !== undefined && found.recorded === recorded) this.#passLeft()
  }

  #isMove({ divergence_class }: ReplayDivergence): boolean {
    const { recorded, replayed } = this
    return divergence_class === "ORDERING_DIVERGENCE" && recorded !== undefined && replayed !== undefined &&
      identityOf(recorded).what !== identityOf(replayed).what
  }

  #passLeft(): void {
    this.left++
    while (this.#met.has(this.left)) this.left++
  }
}
