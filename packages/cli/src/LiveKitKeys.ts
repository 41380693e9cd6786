import type { LiveKitKeys } from "@rspp/transports/livekit/AccessTokens"
import { Effect, Redacted } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** What `livekit-server --dev` knows: no secret, and good for servers on this machine only. */
const developmentKeys: LiveKitKeys = { apiKey: "devkey", apiSecret: Redacted.make("secret") }

const developmentUrl = "ws://127.0.0.1:7880"

/** How a LiveKit server is named on the command line. */
export interface LiveKitServerFlags {
  readonly url: string | undefined
  /** The server of `livekit-server --dev` on this machine. */
  readonly dev: boolean
}

/** The key pair: that of `--dev`, or what the environment says. */
export const liveKitKeys = ({ dev }: Pick<LiveKitServerFlags, "dev">): Effect.Effect<LiveKitKeys, CliFailure> => {
  if (dev) return Effect.succeed(developmentKeys)
  const { LIVEKIT_API_KEY: apiKey = "", LIVEKIT_API_SECRET: secret = "" } = process.env
  return apiKey === "" || secret === ""
    ? Effect.fail(
      new CliFailure({
        exit: "usage",
        message: "the key pair of the LiveKit server is missing",
        hint: "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or give --dev for a livekit-server --dev on this machine."
      })
    )
    : Effect.succeed({ apiKey, apiSecret: Redacted.make(secret) })
}

/** The server's address: `--url`, or LIVEKIT_URL, or with `--dev` that of this machine; undefined: none is given. */
export const liveKitUrl = ({ dev, url }: LiveKitServerFlags): Effect.Effect<string | undefined, CliFailure> => {
  const { LIVEKIT_URL = "" } = process.env
  const given = url ?? (LIVEKIT_URL !== "" ? LIVEKIT_URL : dev ? developmentUrl : undefined)
  return given === undefined || /^(?:ws|http)s?:\/\/[^/]/u.test(given) ? Effect.succeed(given) : Effect.fail(
    new CliFailure({
      exit: "usage",
      message: `${given} is no address of a LiveKit server`,
      hint: "It begins with ws:// or wss://."
    })
  )
}

/** The same, for commands that cannot do without. */
export const requiredLiveKitUrl = (flags: LiveKitServerFlags): Effect.Effect<string, CliFailure> =>
  Effect.flatMap(liveKitUrl(flags), (url) =>
    url === undefined
      ? Effect.fail(
        new CliFailure({
          exit: "usage",
          message: "the address of the LiveKit server is missing",
          hint: "Give --url, or set LIVEKIT_URL."
        })
      )
      : Effect.succeed(url))
