import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { scrub } from "./KnownSecrets.ts"
import { standardError } from "./StandardStreams.ts"

const plain = (message: unknown): string => typeof message === "string" ? message : JSON.stringify(message)

/** Warnings of the packages as lines on standard error: standard output holds results only. */
export const loggerLayer: Layer.Layer<never> = Logger.layer([
  Logger.make(({ logLevel, message }) => {
    const words = Array.isArray(message) ? message.map(plain).join(" ") : plain(message)
    standardError.write(scrub(`rspp: ${logLevel.toLowerCase()}: ${words}\n`))
  })
])
