/**
 * A guarantee of the kernel does not hold: a defect of RSPP, never something that a caller can cause. It ends the
 * session with the id of the invariant, and is recorded; it is never caught and carried on from.
 */
export class InvariantBroken extends Error {
  override readonly name = "InvariantBroken"
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}
