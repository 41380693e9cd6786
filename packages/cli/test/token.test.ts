// `rspp token`, as a process: what it prints opens a room, and nothing else.
import { describe, expect, it } from "vitest"
import { createHmac } from "node:crypto"
import { rspp } from "./support/Program.ts"

const secret = "a-secret-of-a-test-with-32-characters"
const env = { LIVEKIT_API_KEY: "testkey", LIVEKIT_API_SECRET: secret }

/** The claims of a token whose signature is checked by hand. */
const claimsOf = (token: string, key: string): Readonly<Record<string, unknown>> => {
  const [head = "", body = "", signature] = token.split(".")
  expect(createHmac("sha256", key).update(`${head}.${body}`).digest("base64url")).toBe(signature)
  return JSON.parse(Buffer.from(body, "base64url").toString()) as Readonly<Record<string, unknown>>
}

describe("rspp token", () => {
  it("prints a token of the key pair in the environment, for one room and one identity", async () => {
    const { code, stderr, stdout } = await rspp(["token", "--room", "lobby", "--identity", "ann", "--ttl", "60000"], {
      env
    })
    expect([code, stderr, stdout.trim().split("\n").length]).toEqual([0, "", 1])
    const claims = claimsOf(stdout.trim(), secret)
    expect(claims).toMatchObject({ iss: "testkey", sub: "ann", kind: "standard" })
    expect(claims["video"]).toEqual({
      room: "lobby",
      roomJoin: true,
      canPublish: true,
      canSubscribe: true,
      canPublishData: true,
      canUpdateOwnMetadata: true
    })
    expect(Number(claims["exp"]) - Number(claims["nbf"])).toBe(60)
    expect(claims).not.toHaveProperty("roomConfig")
  }, 60_000)

  it("has the dispatch of an agent in it, with what its job is told, and says all of it as JSON", async () => {
    const { code, stdout } = await rspp(
      ["token", "--dev", "--room", "lobby", "--agent", "assistant", "--agent-metadata", "{\"a\":1}", "--json"]
    )
    const said = JSON.parse(stdout) as Readonly<Record<string, string>>
    expect([code, said]).toEqual([0, {
      server_url: "ws://127.0.0.1:7880",
      room: "lobby",
      participant_identity: "caller",
      participant_token: expect.any(String),
      ttl_ms: 600_000
    }])
    // The key pair of livekit-server --dev.
    expect(claimsOf(said["participant_token"] ?? "", "secret")).toMatchObject({
      iss: "devkey",
      sub: "caller",
      roomConfig: { agents: [{ agentName: "assistant", metadata: "{\"a\":1}" }] }
    })
  }, 60_000)

  it("makes an agent of its bearer when it is asked to", async () => {
    const { stdout } = await rspp(["token", "--dev", "--room", "lobby", "--kind", "agent"])
    expect(claimsOf(stdout.trim(), "secret")).toMatchObject({ sub: "agent", kind: "agent", video: { agent: true } })
  }, 60_000)

  it.each([
    ["no key pair", ["--room", "lobby"], {}, "key pair of the LiveKit server is missing"],
    ["an empty room", ["--dev", "--room", ""], {}, "the room is empty"],
    ["a time that is none", ["--dev", "--room", "lobby", "--ttl", "0"], {}, "a token that lasts 0 ms is not allowed"],
    ["metadata of nobody", ["--dev", "--room", "lobby", "--agent-metadata", "x"], {}, "--agent-metadata is of --agent"],
    ["an address that is none", ["--dev", "--url", "lobby", "--room", "lobby"], {}, "lobby is no address of a LiveKit"],
    ["a kind that is none", ["--dev", "--room", "lobby", "--kind", "ghost"], {}, "ghost"]
  ])("refuses %s", async (_, args, environment, words) => {
    const { code, stderr, stdout } = await rspp(["token", ...args], { env: environment })
    expect([code, `${stdout}${stderr}`]).toEqual([2, expect.stringContaining(words)])
  }, 60_000)
})
