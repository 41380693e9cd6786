/** What telemetry says of a reason that is no code. */
export const untoldReason = "other"

const code = /^[a-z][a-z0-9_.-]{0,63}$/iu

/**
 * The code of a reason: what stands before its first colon (after which an id or a name follows), if that is a word.
 * Anything else may be a sentence of a vendor or of a caller, and telemetry has no words: it is `other`.
 */
export const reasonCode = (reason: string): string => {
  const colon = reason.indexOf(":")
  const first = colon < 0 ? reason : reason.slice(0, colon)
  return code.test(first) ? first : untoldReason
}
