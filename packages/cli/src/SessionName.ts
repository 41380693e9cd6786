import { randomBytes } from "node:crypto"

/** A session id that sorts by time and can be a file name: `ses_20261122T151702_4f1c`. */
export const makeSessionId = (): string => {
  const time = new Date().toISOString().replace(/[-:]/gu, "").slice(0, 15)
  return `ses_${time}_${randomBytes(2).toString("hex")}`
}
