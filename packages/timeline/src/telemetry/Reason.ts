/** What telemetry says of a reason that is no code. */
export const untoldReason = "other"

/** What it says where there is none. */
export const noReason = "none"

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

const name = /^[\w./-]{1,128}$/u

/** The name that stands after the colon of a reason (`open:mine/model`), if it is one; else `other`. */
export const reasonName = (reason: string): string => {
  const after = reason.slice(reason.indexOf(":") + 1)
  return name.test(after) ? after : untoldReason
}
