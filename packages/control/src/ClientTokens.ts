import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"

/** The LiveKit server that clients are sent to, and the key pair that it knows. */
export interface LiveKitOptions {
  /** `ws://` or `wss://` */
  readonly url: string
  readonly apiKey: string
  readonly apiSecret: Redacted.Redacted
  /** How long a token lets its bearer join, ms. Default {@link defaultTokenTtlMs}. */
  readonly tokenTtlMs?: number
  /** The agent that LiveKit dispatches to the room; none by default: automatic dispatch. */
  readonly agentName?: string
}

/** 10 minutes to join; who is in the room stays. */
export const defaultTokenTtlMs = 600_000

/** Who joins which room. */
export interface TokenRequest {
  readonly room: string
  readonly identity: string
}

/** The way into a room. */
export interface RoomRoute {
  readonly server_url: string
  readonly room: string
  readonly participant_identity: string
  readonly participant_token: string
  readonly expires_ms: number
}

/**
 * Tokens with which clients join the LiveKit room of their session: a JWT, signed HS256 with the API secret, that lets
 * one identity join one room, publish, subscribe and send data, and nothing else.
 */
export class ClientTokens extends Context.Service<ClientTokens, {
  /** Undefined where no LiveKit server is configured. */
  readonly mint: (request: TokenRequest) => Effect.Effect<RoomRoute | undefined>
}>()("rspp/ClientTokens") {
  /** Without a LiveKit server: sessions have no way in that the control plane knows. */
  static readonly layerNoop: Layer.Layer<ClientTokens> = Layer.succeed(
    ClientTokens,
    ClientTokens.of({ mint: () => Effect.succeed(undefined) })
  )

  static readonly layer = (options: LiveKitOptions): Layer.Layer<ClientTokens> =>
    Layer.succeed(
      ClientTokens,
      ClientTokens.of({
        mint: ({ identity, room }) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const expires_ms = Math.floor(now) + (options.tokenTtlMs ?? defaultTokenTtlMs)
            const participant_token = signToken(options, { identity, room }, Math.floor(now), expires_ms)
            return { server_url: options.url, room, participant_identity: identity, participant_token, expires_ms }
          })
      })
    )
}

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")

const signToken = (
  { agentName, apiKey, apiSecret }: LiveKitOptions,
  { identity, room }: TokenRequest,
  now_ms: number,
  expires_ms: number
): string => {
  const claims = {
    iss: apiKey,
    sub: identity,
    nbf: Math.floor(now_ms / 1000),
    exp: Math.ceil(expires_ms / 1000),
    video: { room, roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: true },
    ...(agentName === undefined ? {} : { roomConfig: { agents: [{ agentName }] } })
  }
  const signed = `${base64({ alg: "HS256", typ: "JWT" })}.${base64(claims)}`
  return `${signed}.${createHmac("sha256", Redacted.value(apiSecret)).update(signed).digest("base64url")}`
}
