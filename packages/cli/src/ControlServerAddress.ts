import type { ControlServer } from "@rspp/control/http/ControlClient"
import { Effect, Redacted } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** Whether a place on the command line is that of a control plane. */
export const isControlServer = (text: string): boolean => /^https?:/u.test(text)

/**
 * Reads the URL of a control plane, with the key in `RSPP_API_KEY`. What is wrong with the URL is said without repeating it
 * where it may hold a password.
 */
export const parseControlServer = (
  text: string,
  flag: string,
  environment: Readonly<Record<string, string | undefined>> = process.env
): Effect.Effect<ControlServer, CliFailure> => {
  const url = URL.parse(text)
  const usage = (message: string, hint: string) => Effect.fail(new CliFailure({ exit: "usage", message, hint }))
  if (url === null || !/^https?:$/u.test(url.protocol) || url.username !== "" || url.password !== "") {
    return usage(
      `${flag} has no address of a control plane`,
      "Write http://HOST:PORT, as rspp control-plane says; the API key is in RSPP_API_KEY."
    )
  }
  const key = environment["RSPP_API_KEY"] ?? ""
  return key === ""
    ? usage(`${flag} needs an API key of the session's tenant`, "Put a key of the role runtime into RSPP_API_KEY.")
    : Effect.succeed({ url: url.href.replace(/\/+$/u, ""), apiKey: Redacted.make(key, { label: "API key" }) })
}
