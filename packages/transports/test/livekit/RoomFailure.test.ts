import { DisconnectReason } from "@livekit/rtc-node"
import {
  joinCode,
  joinFailure,
  redactedText,
  redactTokens,
  RoomJoinError,
  roomFailure,
  roomLoss,
  shownAddress
} from "@rspp/transports/livekit/RoomFailure"
import { assert, describe, it } from "@effect/vitest"

const header = "eyJhbGciOiJIUzI1NiJ9"
const token = `${header}.eyJ2aWRlbyI6eyJyb29tSm9pbiI6dHJ1ZX19.-MnXj9Y9lNwxteU6hB9_SMDoPSmxrw-rns89MFPHAHA`
const engine = "engine: signal failure:"
const refused = `${engine} transport connection error: IO error: Connection refused (os error 111)`

/** Everything that a failure says, at any depth. */
const everything = (value: unknown): string =>
  value instanceof Error
    ? `${value.message} ${value.stack ?? ""} ${JSON.stringify(value)} ${everything(value.cause)}`
    : String(value)

describe("tokens", () => {
  it("are taken out of a text, wherever they stand and however they are cut short", () => {
    assert.strictEqual(redactTokens(`invalid token: ${token}, error: bad`), "invalid token: <token>, error: bad")
    assert.strictEqual(redactTokens(`access_token=${token}&x=1`), "access_token=<token>&x=1")
    assert.strictEqual(redactTokens(`"${token}" and ${token}`), "\"<token>\" and <token>")
    assert.strictEqual(redactTokens(token.slice(0, 40)), "<token>")
    assert.strictEqual(redactTokens(header), "<token>")
    assert.strictEqual(redactTokens("nothing to hide: 401, key, you, eye"), "nothing to hide: 401, key, you, eye")
  })

  it("are in no part of a failure, also when the server repeats them", () => {
    for (
      const failure of [
        joinFailure(
          "ws://127.0.0.1:1",
          new Error(`${engine} client error: 401 Unauthorized - invalid token: ${token}`)
        ),
        joinFailure(`ws://127.0.0.1:1/rtc?access_token=${token}`, new Error(`GET /rtc?access_token=${token} failed`)),
        joinFailure(`ws://user:hunter2@127.0.0.1:1/${token}`, `it is ${token}`),
        joinFailure(`no url ${token}`, new Error(`cannot parse ${token}`)),
        roomFailure("It broke.", new Error(`with ${token}`))
      ]
    ) {
      assert.notInclude(everything(failure), "eyJ")
      assert.notInclude(everything(failure), "hunter2")
    }
    // That the check above sees one at all.
    assert.include(everything(new Error("outer", { cause: new Error(token) })), "eyJ")
    assert.strictEqual(redactedText(token), "<token>")
  })
})

describe("a failure to join", () => {
  const cases = [
    ["unreachable", true, refused],
    [
      "unreachable",
      true,
      `${engine} transport connection error: IO error: failed to lookup address information: Name or service not known`
    ],
    ["bad_address", false, `${engine} failed to parse the url: relative URL without a base`],
    ["bad_address", false, `${engine} failed to parse the url: unsupported scheme: ftp`],
    ["unauthorized", false, `${engine} client error: 401 Unauthorized - permissions denied`],
    ["unauthorized", false, `${engine} client error: 403 Forbidden - no permission`],
    ["not_found", false, `${engine} client error: 404 Not Found - not found`],
    ["rate_limited", true, `${engine} client error: 429 Too Many Requests - slow down`],
    ["unavailable", true, `${engine} server error: 503 Service Unavailable - no nodes`],
    ["unavailable", true, `${engine} server error: 500 Internal Server Error - broken`],
    ["timeout", true, `${engine} signal client timed out`],
    ["unknown", false, `${engine} client error: 418 I'm a teapot`],
    ["unknown", false, "something else"]
  ] as const

  it.each(cases)("is classified by its text: %s, retryable %s: %s", (code, retryable, text) => {
    const failure = joinFailure("ws://127.0.0.1:7880", new Error(text))
    assert.strictEqual(joinCode(text), code)
    assert.instanceOf(failure.cause, RoomJoinError)
    assert.deepInclude(failure.cause, { code, retryable, message: text })
    assert.include(failure.message, "ws://127.0.0.1:7880")
    assert.match(failure.message, /[.]$/u)
  })

  it("says where, without user, password and query", () => {
    assert.strictEqual(shownAddress("wss://u:p@x.example/rtc?access_token=1#f"), "wss://x.example/rtc")
    assert.strictEqual(shownAddress("nonsense"), "this address")
  })
})

describe("the loss of a room", () => {
  it("is an end in good order when somebody meant it, and a failure otherwise", () => {
    const ends = [
      DisconnectReason.CLIENT_INITIATED,
      DisconnectReason.PARTICIPANT_REMOVED,
      DisconnectReason.ROOM_DELETED,
      DisconnectReason.ROOM_CLOSED
    ]
    const reasons = Object.values(DisconnectReason).filter((value) => typeof value === "number")
    assert.strictEqual(reasons.length, 17)
    for (const reason of reasons) {
      const { kind, message } = roomLoss(reason)
      assert.strictEqual(kind, ends.includes(reason) ? "ended" : "lost", DisconnectReason[reason])
      assert.match(message, /[.]$/u)
    }
    assert.include(roomLoss(DisconnectReason.DUPLICATE_IDENTITY).message, "took its place")
  })
})
