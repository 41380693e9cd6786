import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { CliFailure } from "./CliFailure.ts"

/** What a session may be called: it is part of file names and of other ids. */
const goodName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/u

/** The id that was given for a session, or a new one. */
export const sessionIdOf = (given: string | undefined): Effect.Effect<string, CliFailure> => {
  if (given === undefined) return Effect.sync(makeSessionId)
  return goodName.test(given) ? Effect.succeed(given) : Effect.fail(
    new CliFailure({
      exit: "usage",
      message: `"${given}" is no name for a session`,
      hint: "Give up to 128 letters, digits, dots, dashes and underscores."
    })
  )
}

/** A session id that sorts by time and can be a file name: `ses_20261122T151702_4f1c`. */
export const makeSessionId = (): string => {
  const time = new Date().toISOString().replace(/[-:]/gu, "").slice(0, 15)
  return `ses_${time}_${randomBytes(2).toString("hex")}`
}

/** Longest part of a room's name in the id of a session. */
const longestRoom = 80

/** The id of the session that a job is: the same for the same job, and a file name: `lobby.AJ_bdPKRRAMLRjc`. */
export const sessionIdOfJob = (room: string, jobId: string): string => {
  const plain = (text: string) => text.replace(/[^A-Za-z0-9._-]+/gu, "-").replace(/^[^A-Za-z0-9]+/u, "")
  const name = plain(room).slice(0, longestRoom)
  return `${name === "" ? "room" : name}.${plain(jobId).slice(0, 128 - longestRoom - 1)}`
}
