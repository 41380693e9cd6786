import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AccessToken, RoomAgentDispatch, RoomConfiguration } from "livekit-server-sdk"

/** A token cannot be made of what was asked for: `message` says why, `hint` what to give. */
export class AccessTokenRefused extends Schema.TaggedError<AccessTokenRefused>()("AccessTokenRefused", {
  message: Schema.String,
  hint: Schema.String
}) {}

/** A key pair that a LiveKit server knows. */
export interface LiveKitKeys {
  readonly apiKey: string
  readonly apiSecret: Redacted.Redacted<string>
}

/** What a participant is to LiveKit. Front ends look for `agent`; `standard` is a person. */
export const participantKinds = ["standard", "agent", "ingress", "egress", "sip", "connector"] as const
export type ParticipantKind = (typeof participantKinds)[number]

/** An agent that LiveKit is to send to the room when the token creates it. */
export interface TokenDispatch {
  /** The name that workers registered under. */
  readonly agentName: string
  /** Given to the job as it is. */
  readonly metadata?: string
}

/** Who joins which room, and as what. */
export interface JoinTokenRequest {
  readonly room: string
  /** Who joins with the identity of a participant that is in the room takes its place. */
  readonly identity: string
  readonly name?: string
  readonly metadata?: string
  readonly attributes?: Readonly<Record<string, string>>
  /** Default `standard`. */
  readonly kind?: ParticipantKind
  /** How long the token lets its bearer join, ms. Who is in the room stays. Default {@link defaultJoinTtlMs}. */
  readonly ttlMs?: number
  /** Agents to dispatch. LiveKit looks at them only when the token creates the room. */
  readonly agents?: ReadonlyArray<TokenDispatch>
}

/** 10 minutes to join. */
export const defaultJoinTtlMs = 600_000

/** A token that opens the agent endpoint is used at once. */
const workerTtlMs = 60_000

/** From a second to a week. */
export const joinTtlBoundsMs = { least: 1_000, most: 604_800_000 } as const

/** Bytes of an identity or of a room's name that LiveKit's own limits allow. */
const longestName = 256

/** LiveKit cuts times to whole seconds. */
const secondsOf = (ms: number): number => Math.ceil(ms / 1000)

const nameFault = (what: string, value: string): AccessTokenRefused | undefined => {
  if (value === "") {
    return new AccessTokenRefused({ message: `the ${what} is empty`, hint: `Give the ${what} at least one character.` })
  }
  return Buffer.byteLength(value) > longestName
    ? new AccessTokenRefused({
      message: `the ${what} has ${Buffer.byteLength(value)} bytes`,
      hint: `Give the ${what} at most ${longestName} bytes.`
    })
    : undefined
}

const ttlFault = (ttlMs: number): AccessTokenRefused | undefined =>
  ttlMs >= joinTtlBoundsMs.least && ttlMs <= joinTtlBoundsMs.most ? undefined : new AccessTokenRefused({
    message: `a token that lasts ${ttlMs} ms is not allowed`,
    hint: `Give ${joinTtlBoundsMs.least} to ${joinTtlBoundsMs.most} ms.`
  })

/**
 * Tokens of a LiveKit server, signed with its key pair: into one room, or to its agent endpoint. A token never shows in
 * a log: it is Redacted.
 */
export class AccessTokens extends Context.Service<AccessTokens, {
  /**
   * Lets one identity join one room, publish, subscribe, send data and set its own attributes; nothing else. Fails with
   * `AccessTokenRefused` when a name is empty or too long, or the time out of bounds.
   */
  readonly join: (request: JoinTokenRequest) => Effect.Effect<Redacted.Redacted<string>, AccessTokenRefused>
  /** Opens the agent endpoint, for a minute. */
  readonly worker: Effect.Effect<Redacted.Redacted<string>>
}>()("rspp/AccessTokens") {
  static readonly layer = ({ apiKey, apiSecret }: LiveKitKeys): Layer.Layer<AccessTokens> =>
    Layer.sync(AccessTokens, () => {
      const sign = (token: AccessToken) => Effect.map(Effect.promise(() => token.toJwt()), (jwt) => Redacted.make(jwt))
      const secret = Redacted.value(apiSecret)
      return AccessTokens.of({
        join: Effect.fnUntraced(function*(request) {
          const { agents = [], attributes, identity, kind = "standard", metadata, name, room } = request
          const ttlMs = request.ttlMs ?? defaultJoinTtlMs
          const fault = nameFault("room", room) ?? nameFault("identity", identity) ?? ttlFault(ttlMs)
          if (fault !== undefined) return yield* fault
          const token = new AccessToken(apiKey, secret, {
            identity,
            ttl: secondsOf(ttlMs),
            ...(name === undefined ? {} : { name }),
            ...(metadata === undefined ? {} : { metadata }),
            ...(attributes === undefined ? {} : { attributes: { ...attributes } })
          })
          token.kind = kind
          token.addGrant({
            room,
            roomJoin: true,
            canPublish: true,
            canSubscribe: true,
            canPublishData: true,
            canUpdateOwnMetadata: true,
            ...(kind === "agent" ? { agent: true } : {})
          })
          if (agents.length > 0) {
            // Messages must be of the package that signs: a plain object is lost.
            token.roomConfig = new RoomConfiguration({
              agents: agents.map(({ agentName, metadata = "" }) => new RoomAgentDispatch({ agentName, metadata }))
            })
          }
          return yield* sign(token)
        }),
        worker: Effect.suspend(() => {
          const token = new AccessToken(apiKey, secret, { ttl: secondsOf(workerTtlMs) })
          token.addGrant({ agent: true })
          return sign(token)
        })
      })
    })
}
