import { scrubSecrets } from "@rspp/contracts/Secrets"
import * as Schema from "effect/Schema"
import type { SocketError } from "effect/socket/Socket"

/**
 * What was wrong with the agent endpoint.
 *
 * - `unreachable`: nobody listens there, or the name does not resolve.
 * - `unauthorized`: the server does not know the key pair.
 * - `not_livekit`: something answers, but not as an agent endpoint does.
 * - `overloaded`: the server asks to come again later.
 * - `timeout`: it accepted the connection and did not register the worker in time.
 * - `silent`: it was registered, and nothing came any more, not even an answer to a ping.
 * - `closed`: the connection ended.
 * - `protocol`: it sent what is no message of the protocol.
 */
export const agentEndpointFaults = [
  "unreachable",
  "unauthorized",
  "not_livekit",
  "overloaded",
  "timeout",
  "silent",
  "closed",
  "protocol"
] as const
export type AgentEndpointFault = (typeof agentEndpointFaults)[number]

/** The connection to the agent endpoint could not be made, or broke. Tokens are taken out of `message`. */
export class AgentEndpointFailure extends Schema.TaggedError<AgentEndpointFailure>()("AgentEndpointFailure", {
  fault: Schema.Literals(agentEndpointFaults),
  message: Schema.String,
  hint: Schema.String
}) {}

const hints: Readonly<Record<AgentEndpointFault, string>> = {
  unreachable: "Check the address, and that the LiveKit server runs.",
  unauthorized: "Give the key and the secret that the LiveKit server has for this project.",
  not_livekit: "Give the address of a LiveKit server, ws:// or wss://, without a path.",
  overloaded: "Wait; the worker comes again by itself.",
  timeout: "Look at the log of the LiveKit server; the worker comes again by itself.",
  silent: "Look at the network between here and the LiveKit server; the worker comes again by itself.",
  closed: "Look at the log of the LiveKit server; the worker comes again by itself.",
  protocol: "Check that the server is a livekit-server 1.5 or newer."
}

/** A failure with the usual advice, and without what looks like a secret. */
export const endpointFailure = (fault: AgentEndpointFault, message: string): AgentEndpointFailure =>
  new AgentEndpointFailure({ fault, message: scrubSecrets(message), hint: hints[fault] })

/** What a peer says of itself is no essay. */
const longestReason = 300

const textOf = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null) return String(cause)
  // An error event of a WebSocket holds the error; of several addresses that were tried each has one of its own.
  const { code, error, errors, message } = cause as Readonly<Record<string, unknown>>
  if (typeof message === "string" && message !== "") return message
  if (Array.isArray(errors) && errors.length > 0) return textOf(errors[0])
  if (error !== undefined && error !== null) return textOf(error)
  return typeof code === "string" ? code : "no reason is known"
}

const faultOfOpening = (text: string): AgentEndpointFault => {
  const [, status] = /unexpected server response: (\d{3})/iu.exec(text) ?? []
  if (status === "401" || status === "403") return "unauthorized"
  if (status === "429" || status === "503") return "overloaded"
  if (status !== undefined) return Number(status) >= 500 ? "overloaded" : "not_livekit"
  return /invalid url|upgrade|handshake|sec-websocket|parse error|expected http/iu.test(text)
    ? "not_livekit"
    : "unreachable"
}

/** What became of the socket, in the words of this module. `url` has no credentials. */
export const failureOfSocket = ({ reason }: SocketError, url: string): AgentEndpointFailure => {
  switch (reason._tag) {
    case "SocketOpenError": {
      if (reason.kind === "Timeout") return endpointFailure("timeout", `${url} does not answer`)
      const text = textOf(reason.cause).slice(0, longestReason)
      return endpointFailure(faultOfOpening(text), `${url} cannot be opened: ${text}`)
    }
    case "SocketCloseError": {
      const why = (reason.closeReason ?? "").slice(0, longestReason)
      return endpointFailure("closed", `${url} closed the connection (${reason.code}${why === "" ? "" : `, ${why}`})`)
    }
    default:
      return endpointFailure(
        "closed",
        `the connection to ${url} broke: ${textOf(reason.cause).slice(0, longestReason)}`
      )
  }
}
