/** Characters of a line that are kept. */
const keptChars = 200

/**
 * A line of a process's standard error as it may be logged: cut, and without what may be a caller's words, a key or an
 * address: whatever is in quotes or looks like JSON, numbers of four digits and more, e-mail addresses, long tokens.
 */
export const redacted = (line: string): string =>
  line.slice(0, 4 * keptChars)
    .replaceAll(/(["'`])(?:(?!\1).){1,1000}\1/gu, "$1…$1")
    .replaceAll(/\{.*\}|\[.*\]/gu, "{…}")
    .replaceAll(/[^\s@]{1,64}@[^\s@]{1,255}/gu, "…@…")
    .replaceAll(/[A-Za-z0-9_+=-]{24,}/gu, "…")
    .replaceAll(/\d{4,}/gu, "…")
    .slice(0, keptChars)
