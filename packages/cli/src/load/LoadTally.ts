import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

/** What the sessions of a load do, as it happens. */
export class LoadTally {
  /** Sessions that are open now, and the most that were at one time. */
  open = 0
  most = 0
  started = 0
  ended = 0
  /** Sessions that could not start, or broke off. */
  failed = 0
  firstFailure: string | undefined
  turns = 0
  sheds = 0
  mostResidentBytes = 0

  begin(): void {
    this.started++
    this.open++
    this.most = Math.max(this.most, this.open)
  }

  end(): void {
    this.open--
    this.ended++
  }

  fail(message: string): void {
    this.failed++
    this.firstFailure ??= message
  }

  /** Watches one session. */
  readonly observer: SessionObserver = {
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record !== "signal") continue
        switch (output.signal.signal) {
          case "turn_open":
            this.turns++
            break
          case "shed":
            this.sheds++
            break
          default:
        }
      }
    }
  }
}
