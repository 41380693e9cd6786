import type { LiveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import {
  AccessToken,
  AgentDispatchClient,
  RoomAgentDispatch,
  RoomConfiguration,
  RoomServiceClient
} from "livekit-server-sdk"
import { randomUUID } from "node:crypto"
import type { Seat } from "./CallerProcess.ts"

type Server = Exclude<LiveKitServer, { readonly missing: string }>

/** A LiveKit server as a test uses it: rooms with names of their own, tokens, dispatch. */
export class Lobby {
  readonly server: Server

  constructor(server: Server) {
    this.server = server
  }

  get url(): string {
    return this.server.url
  }

  /** A room that nobody else has. */
  static roomName(): string {
    return `rspp-test-${randomUUID().slice(0, 8)}`
  }

  /** A seat for a caller. `agents` are asked for when the room is created by it. */
  async seat(
    room: string,
    identity: string,
    options: { readonly agent?: boolean; readonly agents?: ReadonlyArray<string> } = {}
  ): Promise<Seat> {
    const { apiKey, apiSecret, url } = this.server
    const token = new AccessToken(apiKey, apiSecret, { identity, ttl: 600 })
    token.addGrant({
      roomJoin: true,
      room,
      canPublish: true,
      canSubscribe: true,
      canPublishData: true,
      canUpdateOwnMetadata: true,
      ...(options.agent === true ? { agent: true } : {})
    })
    if (options.agent === true) token.kind = "agent"
    if (options.agents !== undefined) {
      token.roomConfig = new RoomConfiguration({
        agents: options.agents.map((agentName) => new RoomAgentDispatch({ agentName }))
      })
    }
    return { url, token: await token.toJwt() }
  }

  /** What an operator's own program does with rooms. */
  get rooms(): RoomServiceClient {
    const { apiKey, apiSecret, url } = this.server
    return new RoomServiceClient(url.replace(/^ws/u, "http"), apiKey, apiSecret)
  }

  get dispatches(): AgentDispatchClient {
    const { apiKey, apiSecret, url } = this.server
    return new AgentDispatchClient(url.replace(/^ws/u, "http"), apiKey, apiSecret)
  }
}
