/** What stands where a secret was. */
export const scrubbed = "[secret]"

/**
 * The shapes of secrets that tell by themselves: keys of the usual providers, JSON web tokens, bearer and basic
 * credentials, passwords in addresses, `api_key=…` and the like, private keys. Chosen so that what people say, ids,
 * hashes and file names are never taken for one.
 */
const shapes: ReadonlyArray<RegExp> = [
  // A key with a telling prefix: OpenAI, Anthropic, Stripe, GitHub, GitLab, Slack, Google, AWS, Hugging Face, Groq, npm.
  /\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}\b/gu,
  /\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,})/gu,
  /\b(?:AIza[\w-]{30,}|(?:AKIA|ASIA)[A-Z0-9]{16}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,})/gu,
  // A JSON web token: two parts that begin with the base64 of {", and perhaps a signature.
  /\beyJ[\w-]{8,}\.eyJ[\w-]{4,}(?:\.[\w-]*)?/gu,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gu
]

/** The value behind what names it; the name stays. */
const named: ReadonlyArray<RegExp> = [
  /(\b(?:bearer|basic)\s+)(?=\S*[0-9])[\w.~+/=-]{12,}/giu,
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/giu,
  /(\b(?:[a-z0-9]+[-_])*(?:api[-_]?key|lease[-_]token|access[-_]token|auth[-_]token|client[-_]secret|secret|password|passwd|token)["']?\s*[=:]\s*["']?)[\w.~+/=-]{8,}/giu
]

/**
 * The text with `[secret]` in the place of everything that has the shape of a secret, and of each of `known`, whatever
 * its shape (those of fewer than 8 characters are not looked for). Doing it twice changes nothing more.
 *
 * It cannot know a secret that looks like any word and is not among `known`, nor one that comes in pieces.
 */
export const scrubSecrets = (text: string, known: ReadonlyArray<string> = []): string => {
  // The shortest shape has more characters than this.
  if (text.length < 8) return text
  let clean = text
  for (const secret of known) if (secret.length >= 8) clean = clean.replaceAll(secret, scrubbed)
  for (const shape of named) clean = clean.replace(shape, `$1${scrubbed}`)
  for (const shape of shapes) clean = clean.replace(shape, scrubbed)
  return clean
}

/** True when some of the text has the shape of a secret. */
export const hasSecret = (text: string): boolean => scrubSecrets(text) !== text
