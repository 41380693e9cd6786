import { AccessTokens, defaultJoinTtlMs } from "@rspp/transports/livekit/AccessTokens"
import type { ParticipantKind } from "@rspp/transports/livekit/AccessTokens"
import { Effect, Redacted } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { liveKitKeys, liveKitUrl } from "../LiveKitKeys.ts"
import type { LiveKitServerFlags } from "../LiveKitKeys.ts"
import { Screen } from "../Screen.ts"

export interface TokenFlags extends LiveKitServerFlags {
  readonly room: string
  readonly identity: string | undefined
  readonly name: string | undefined
  readonly kind: ParticipantKind
  readonly ttl: number | undefined
  readonly agent: string | undefined
  readonly agentMetadata: string | undefined
  readonly json: boolean
}

/** `rspp token`: a token for a room, on standard output as it is. */
export const mintToken = Effect.fn("rspp.token")(function*(flags: TokenFlags) {
  const screen = yield* Screen
  if (flags.agentMetadata !== undefined && flags.agent === undefined) {
    return yield* new CliFailure({
      exit: "usage",
      message: "--agent-metadata is of --agent",
      hint: "Name the agent that it is for."
    })
  }
  const url = yield* liveKitUrl(flags)
  const keys = yield* liveKitKeys(flags)
  const identity = flags.identity ?? (flags.kind === "standard" ? "caller" : flags.kind)
  const ttlMs = flags.ttl ?? defaultJoinTtlMs
  const metadata = flags.agentMetadata
  const token = yield* Effect.flatMap(AccessTokens, (tokens) =>
    tokens.join({
      room: flags.room,
      identity,
      kind: flags.kind,
      ttlMs,
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(flags.agent === undefined
        ? {}
        : { agents: [{ agentName: flags.agent, ...(metadata === undefined ? {} : { metadata }) }] })
    })).pipe(
      Effect.provide(AccessTokens.layer(keys)),
      Effect.mapError(({ hint, message }) => new CliFailure({ exit: "usage", message, hint }))
    )
  // as it is: lines have what looks like a secret taken out
  screen.raw(
    flags.json
      ? `${
        JSON.stringify({
          ...(url === undefined ? {} : { server_url: url }),
          room: flags.room,
          participant_identity: identity,
          participant_token: Redacted.value(token),
          ttl_ms: ttlMs
        })
      }\n`
      : `${Redacted.value(token)}\n`
  )
})
