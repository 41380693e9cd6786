// The classes of what can be wrong with the dispatch service, at a double of it: a web server that says what a test wants.
import { defaultDispatchMs, Dispatch } from "@rspp/transports/livekit/Dispatch"
import type { DispatchFailure } from "@rspp/transports/livekit/Dispatch"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { createServer } from "node:http"
import type { Server } from "node:http"

let answer: { readonly status: number; readonly body: string } | undefined
const asked: Array<{ readonly path: string; readonly body: unknown; readonly authorization: string }> = []
const server = createServer((request, response) => {
  let body = ""
  request.on("data", (part: Buffer) => (body += part.toString()))
  request.on("end", () => {
    asked.push({
      path: request.url ?? "",
      body: JSON.parse(body),
      authorization: request.headers.authorization ?? ""
    })
    if (answer === undefined) return
    response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body)
  })
})
const placeOf = (one: Server): string => {
  const address = one.address()
  return `ws://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
}
let url = ""
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  url = placeOf(server)
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const at = (place: string, withinMs = defaultDispatchMs) =>
  Dispatch.layer({
    url: place,
    apiKey: "key",
    apiSecret: Redacted.make("a-secret-of-more-than-32-characters"),
    withinMs
  })

const list = (place = url, withinMs?: number): Promise<DispatchFailure> =>
  Effect.runPromise(
    Effect.flatMap(Dispatch, (dispatch) => Effect.flip(dispatch.list("lobby"))).pipe(
      Effect.provide(at(place, withinMs))
    )
  )

describe("a dispatch", () => {
  it("is asked for with a token, and shown as the server has it", async () => {
    answer = {
      status: 200,
      body: JSON.stringify({
        id: "AD_1",
        agentName: "assistant",
        room: "lobby",
        metadata: "about",
        state: {
          jobs: [{
            id: "AJ_1",
            state: { status: "JS_FAILED", error: "no", workerId: "AW_1", participantIdentity: "agent" }
          }]
        }
      })
    }
    const made = await Effect.runPromise(
      Effect.flatMap(
        Dispatch,
        (dispatch) => dispatch.create({ room: "lobby", agentName: "assistant", metadata: "about" })
      ).pipe(Effect.provide(at(url)))
    )
    expect(made).toEqual({
      dispatch_id: "AD_1",
      room: "lobby",
      agent_name: "assistant",
      metadata: "about",
      jobs: [{ job_id: "AJ_1", status: "failed", error: "no", worker_id: "AW_1", identity: "agent" }]
    })
    expect(asked.at(-1)).toEqual({
      path: "/twirp/livekit.AgentDispatchService/CreateDispatch",
      body: expect.objectContaining({ room: "lobby", agentName: "assistant", metadata: "about" }),
      authorization: expect.stringMatching(/^Bearer eyJ/u)
    })
  })

  it.each([
    [401, "unauthorized"],
    [403, "unauthorized"],
    [404, "not_found"],
    [400, "refused"],
    [429, "overloaded"],
    [500, "overloaded"],
    [503, "overloaded"]
  ])("that is answered with %s is %s, in the server's words and without its secrets", async (status, fault) => {
    answer = { status, body: JSON.stringify({ code: "some", msg: "no: Bearer abcdef0123456789abcdef" }) }
    const failure = await list()
    expect(failure).toMatchObject({ _tag: "DispatchFailure", fault })
    expect(failure.message).toBe("the agents of lobby could not be listed: no: Bearer [secret]")
  })

  it("has a bound in time", async () => {
    answer = undefined
    expect(await list(url, 50)).toMatchObject({
      fault: "timeout",
      message: "the agents of lobby could not be listed: no answer within 50 ms"
    })
  })

  it("says that nobody is there", async () => {
    // A port that was somebody's a moment ago.
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve))
    const place = placeOf(gone)
    await new Promise((resolve) => gone.close(resolve))
    expect(await list(place)).toMatchObject({
      fault: "unreachable",
      message: expect.stringContaining("ECONNREFUSED")
    })
  })
})
