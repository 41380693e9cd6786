import { DisconnectReason } from "@livekit/rtc-node"
import { TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Schema from "effect/Schema"

/** How failures of this transport name it. */
export const transportId = "livekit/room"

/**
 * Why a room could not be joined; the `cause` of the {@link TransportFailure}.
 *
 * - `bad_address`: the URL cannot be read
 * - `unreachable`: nobody answers there (refused, no such host), worth another try
 * - `unauthorized` (401, 403): the token is wrong, has expired or lacks the grant
 * - `not_found` (404): no LiveKit server at this address
 * - `rate_limited` (429), `unavailable` (5xx): worth another try
 * - `timeout`: the peer accepted and never answered, worth another try
 * - `unknown`: something else
 */
export class RoomJoinError extends Schema.TaggedError<RoomJoinError>()("RoomJoinError", {
  code: Schema.Literals([
    "bad_address",
    "unreachable",
    "unauthorized",
    "not_found",
    "rate_limited",
    "unavailable",
    "timeout",
    "unknown"
  ]),
  /** Whether the same may work a little later. */
  retryable: Schema.Boolean,
  /** The client's own words, without tokens. */
  message: Schema.String
}) {}

type JoinCode = RoomJoinError["code"]

/** Anything that looks like a JSON Web Token, complete or cut short; servers repeat it in their 401. */
const tokenPattern = /eyJ[\w-]*(?:\.[\w-]*){0,2}/gu

/** The text without access tokens. */
export const redactTokens = (text: string): string => text.replace(tokenPattern, "<token>")

/** What an error says, without tokens. */
export const redactedText = (cause: unknown): string =>
  redactTokens(cause instanceof Error ? cause.message : String(cause))

const advice: Record<JoinCode, string> = {
  bad_address: "the address cannot be read; give one such as wss://example.livekit.cloud or ws://127.0.0.1:7880",
  unreachable: "nobody answers at this address; check it, and that the server runs",
  unauthorized: "the server refused the token; mint one with this server's key and secret, with roomJoin for this room",
  not_found: "there is no LiveKit server at this address (404); check its path",
  rate_limited: "the server asks for fewer requests (429); try again later",
  unavailable: "the server cannot take the call now; try again later",
  timeout:
    "the server accepted the connection and did not answer in time; check that it is a LiveKit server, and healthy",
  unknown: "joining failed"
}

const retryable: ReadonlySet<JoinCode> = new Set(["unreachable", "rate_limited", "unavailable", "timeout"])

/** rtc-node gives text only; each of these was seen (LIVEKIT.md), and the quirk tests see them again. */
export const joinCode = (text: string): JoinCode => {
  if (/failed to parse the url|unsupported scheme|relative URL without a base/iu.test(text)) return "bad_address"
  const status = /(?:client|server) error: (\d{3})/iu.exec(text)?.[1]
  switch (status) {
    case undefined:
      break
    case "401":
    case "403":
      return "unauthorized"
    case "404":
      return "not_found"
    case "429":
      return "rate_limited"
    default:
      return status.startsWith("5") ? "unavailable" : "unknown"
  }
  if (/timed? ?out/iu.test(text)) return "timeout"
  if (/connection error|IO error|failed to lookup address/iu.test(text)) return "unreachable"
  return "unknown"
}

/** The address without what may be secret in it: user, password, query. */
export const shownAddress = (url: string): string => {
  try {
    const { host, pathname, protocol } = new URL(url)
    return redactTokens(`${protocol}//${host}${pathname === "/" ? "" : pathname}`)
  } catch {
    return "this address"
  }
}

/** A failure to join, classified by the client's text, with every token taken out. */
export const joinFailure = (url: string, cause: unknown, code = joinCode(redactedText(cause))): TransportFailure => {
  const text = redactedText(cause)
  return new TransportFailure({
    transport_id: transportId,
    message: `The room at ${shownAddress(url)} cannot be joined: ${advice[code]}${
      code === "unknown" ? ` (${text})` : ""
    }.`,
    cause: new RoomJoinError({ code, retryable: retryable.has(code), message: text })
  })
}

/** The transport broke. The cause's tokens are taken out. */
export const roomFailure = (message: string, cause?: unknown): TransportFailure =>
  new TransportFailure({
    transport_id: transportId,
    message,
    ...(cause === undefined ? {} : { cause: new Error(redactedText(cause)) })
  })

/** What became of our own place in the room: an end in good order, or a loss. */
export type RoomLoss = { readonly kind: "ended"; readonly message: string } | {
  readonly kind: "lost"
  readonly message: string
}

/** What a disconnect reason of our own connection means. */
export const roomLoss = (reason: DisconnectReason): RoomLoss => {
  switch (reason) {
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return { kind: "ended", message: "The room was closed." }
    case DisconnectReason.PARTICIPANT_REMOVED:
      return { kind: "ended", message: "The agent was removed from the room." }
    case DisconnectReason.CLIENT_INITIATED:
      return { kind: "ended", message: "The agent left the room." }
    case DisconnectReason.DUPLICATE_IDENTITY:
      return {
        kind: "lost",
        message:
          "Another participant joined under the agent's identity and took its place; this one may say nothing more."
      }
    case DisconnectReason.SERVER_SHUTDOWN:
      return { kind: "lost", message: "The server shut down." }
    default:
      return {
        kind: "lost",
        message: `The connection to the room was lost (${
          DisconnectReason[reason] ?? reason
        }), and could not be had again; check the server and the network.`
      }
  }
}
