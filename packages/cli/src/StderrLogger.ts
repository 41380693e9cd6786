import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { scrub } from "./KnownSecrets.ts"
import { standardError } from "./StandardStreams.ts"

/**
 * One thing that is logged, as words: an error is its name and message (what else it carries may quote rows and
 * requests), and what has no JSON (a cycle, a bigint) is no reason to fail.
 */
export const plain = (message: unknown): string => {
  if (typeof message === "string") return message
  if (message instanceof Error) return `${message.name}: ${message.message}`
  try {
    return JSON.stringify(message) ?? String(message)
  } catch {
    return String(message)
  }
}

/** Warnings of the packages as lines on standard error: standard output holds results only. */
export const loggerLayer: Layer.Layer<never> = Logger.layer([
  Logger.make(({ logLevel, message }) => {
    const words = Array.isArray(message) ? message.map(plain).join(" ") : plain(message)
    standardError.write(scrub(`rspp: ${logLevel.toLowerCase()}: ${words}\n`))
  })
])
