/** How deep an error may hide what the server said: an SqlError, its reason, the reason's cause, and one around them. */
const maxDepth = 6

/** What the server said, without values: data exceptions (22) end with one, refused logins (28) quote the user. */
const withoutValues = (code: string, message: string): string =>
  code.startsWith("22")
    ? message.split(/[:"]/u)[0]?.trim() ?? ""
    : code.startsWith("28")
    ? message.replaceAll(/"[^"]*"/gu, "\"…\"")
    : message

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined

/** What PostgreSQL itself said, somewhere in an error. */
const saidBy = (error: unknown, depth = 0): string | undefined => {
  const code = fieldOf(error, "code")
  const message = fieldOf(error, "message")
  if (typeof code === "string" && /^[0-9A-Z]{5}$/u.test(code) && /\d/u.test(code) && typeof message === "string") {
    return `${withoutValues(code, message)} [${code}]`
  }
  if (depth >= maxDepth || typeof error !== "object" || error === null) return undefined
  return saidBy(fieldOf(error, "reason"), depth + 1) ?? saidBy(fieldOf(error, "cause"), depth + 1)
}

/**
 * Why a statement failed, for a message: what PostgreSQL said, with its SQLSTATE in brackets (the driver's own words are
 * only that a query failed), and for anything else the error's message.
 *
 * Neither the statement, nor its parameters, nor the server's `DETAIL` is in it: that quotes rows. Of a data exception
 * (class 22) only what stands before the value is, and of a refused login no name.
 */
export const sqlReason = (error: { readonly message: string }): string => saidBy(error) ?? error.message
