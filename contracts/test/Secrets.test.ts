import { hasSecret, scrubSecrets } from "@rspp/contracts/Secrets"
import { assert, describe, it } from "@effect/vitest"

/** In pieces, so that this file holds no secret itself. */
const key = (...parts: ReadonlyArray<string>) => parts.join("")
const shaped = [
  key("sk-", "Zq7Rk2Lm9Xv4Bt8Nw1Yc6"),
  key("sk-ant-api03-", "Zq7Rk2Lm9Xv4Bt8Nw1Yc6"),
  key("sk_live_", "Zq7Rk2Lm9Xv4Bt8Nw1Yc6"),
  key("ghp_", "Ab3".repeat(12)),
  key("github_pat_", "Ab3".repeat(12)),
  key("xoxb-", "1234567890-abcdef"),
  key("AIza", "Sy".repeat(18)),
  key("AKIA", "Q7".repeat(8)),
  key("hf_", "aB3".repeat(9)),
  key("eyJhbGciOiJIUzI1NiJ9.", "eyJzdWIiOiJhbm4ifQ.", "c2lnbmF0dXJl"),
  key("-----BEGIN PRIVATE ", "KEY-----\nMIIE\n-----END PRIVATE ", "KEY-----")
]

describe("a secret", () => {
  it.each(shaped)("of a telling shape is taken out (%#)", (secret) => {
    assert.strictEqual(scrubSecrets(secret), "[secret]")
    assert.strictEqual(scrubSecrets(`status 401 for ${secret}, try again`), "status 401 for [secret], try again")
    assert.isTrue(hasSecret(secret))
  })

  it.each([
    ["Authorization: Bearer abcdef123456", "Authorization: Bearer [secret]"],
    ["https://ann:hunter22@db/x?y=1", "https://ann:[secret]@db/x?y=1"],
    ["GET /v1?api_key=abcdefgh12&x=1", "GET /v1?api_key=[secret]&x=1"],
    [`{"lease_token":"0123456789abcdef"}`, `{"lease_token":"[secret]"}`],
    ["X-API-Key: abcdefgh1234", "X-API-Key: [secret]"],
    ["OPENAI_API_KEY=abcdefgh1234", "OPENAI_API_KEY=[secret]"]
  ])("is taken out behind its name: %s", (text, clean) => {
    assert.strictEqual(scrubSecrets(text), clean)
    assert.strictEqual(scrubSecrets(clean), clean)
  })

  it("that is known is taken out whatever its shape", () => {
    assert.strictEqual(
      scrubSecrets("it is open sesame, again open sesame", ["open sesame"]),
      "it is [secret], again [secret]"
    )
    assert.strictEqual(scrubSecrets("a", ["a"]), "a")
  })

  it.each([
    "Do you have a basic understanding of it?",
    "The token is at the bearer's house; the password is on paper.",
    "ses_20261122T220245_4179",
    "0".repeat(64),
    "task-oriented-dialogue-systems-are-fun",
    "h_12 inv_3 turn_4 evt_5",
    "https://example.org/a/b?c=d"
  ])("is not: %s", (text) => assert.strictEqual(scrubSecrets(text), text))
})
