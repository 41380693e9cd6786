import type { ControlServer } from "@rspp/control/http/ControlClient"
import { Effect, Redacted } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** Whether a place on the command line is that of a control plane. */
export const isControlServer = (text: string): boolean => /^https?:/u.test(text)

const usage = (message: string, hint: string) => Effect.fail(new CliFailure({ exit: "usage", message, hint }))

/**
 * Reads the URL of a control plane, which may be below a path; what is answered ends without a slash. A URL that is wrong
 * is not repeated: it may hold a password.
 */
export const parseServerUrl = (text: string, flag: string): Effect.Effect<string, CliFailure> => {
  const url = URL.parse(text)
  return url === null || !isControlServer(url.protocol) || url.username !== "" || url.password !== ""
    ? usage(
      `${flag} has no address of a control plane`,
      "Write http://HOST:PORT, as rspp control-plane says, without a user or a password; the API key is in RSPP_API_KEY."
    )
    : Effect.succeed(url.href.replace(/\/+$/u, ""))
}

/** Reads the URL of a control plane, with the key in `RSPP_API_KEY`. */
export const parseControlServer = (
  text: string,
  flag: string,
  environment: Readonly<Record<string, string | undefined>> = process.env
): Effect.Effect<ControlServer, CliFailure> =>
  Effect.flatMap(parseServerUrl(text, flag), (url) => {
    const key = environment["RSPP_API_KEY"] ?? ""
    return key === ""
      ? usage(`${flag} needs an API key of the session's tenant`, "Put a key of the role runtime into RSPP_API_KEY.")
      : Effect.succeed({ url, apiKey: Redacted.make(key, { label: "API key" }) })
  })
