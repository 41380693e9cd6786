import { scrubSecrets } from "@rspp/contracts/Secrets"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"

/** Longest text of a vendor that is repeated in a failure's message, in characters. */
const maxDetail = 200

/** Longest wait that a vendor may ask for, ms; a session cannot wait longer anyway. */
const maxRetryAfterMs = 60_000

/** What a vendor says of itself, fit for a message: one line, without what looks like a secret. */
export const detailOf = (said: string): string => scrubSecrets(said.replace(/\s+/gu, " ").trim()).slice(0, maxDetail)

/** The failures of one provider, in the words of its vendor's name. None carries a cause: requests hang on those, with the key. */
export interface Failures {
  readonly of: (
    outcome_class: ProviderFailure["outcome_class"],
    retryable: boolean,
    message: string,
    retryAfterMs?: number
  ) => ProviderFailure
  /** A status that is no success. `key` names the setting to check for 401 and 403. */
  readonly status: (status: number, retryAfterMs?: number) => ProviderFailure
  /** The account has no credit, in whatever words the vendor says so: waiting does not help. */
  readonly noCredit: ProviderFailure
  /** No connection. */
  readonly unreachable: ProviderFailure
  /** No connection within `connectMs`. */
  readonly connectLate: (connectMs: number) => ProviderFailure
  /** The connection broke in the middle. */
  readonly broken: ProviderFailure
  /** It ended before what was asked for was complete. */
  readonly truncated: ProviderFailure
  /** Something that is not the vendor's protocol. */
  readonly malformed: ProviderFailure
  /** A success that is of another media type, as a proxy's page is: it would be so again. */
  readonly wrongType: ProviderFailure
  /** Nothing came for `ms`. */
  readonly stalled: (ms: number) => ProviderFailure
}

/**
 * The failures of `provider_id`, whose vendor is called `vendor` in messages.
 *
 * 401, 402 and 403 → `blocked`; 429 and 503 (and 529) → `overload`, retryable; 408 and 504 → `timeout`, retryable; other
 * 4xx → `infrastructure_failure`, not retryable; other 5xx → `infrastructure_failure`, retryable.
 */
export const failuresOf = (provider_id: string, vendor: string): Failures => {
  const of: Failures["of"] = (outcome_class, retryable, message, retryAfterMs) =>
    new ProviderFailure({
      provider_id,
      outcome_class,
      retryable,
      message,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.min(retryAfterMs, maxRetryAfterMs) })
    })
  return {
    of,
    status: (status, retryAfterMs) => {
      const message = `${vendor} answered with status ${status}`
      if (status === 401 || status === 403) return of("blocked", false, `${message}: check its key`)
      if (status === 402) return of("blocked", false, `${message}: its account has no credit`)
      if (status === 429 || status === 503 || status === 529) return of("overload", true, message, retryAfterMs)
      if (status === 408 || status === 504) return of("timeout", true, message)
      return of("infrastructure_failure", status >= 500, message, status >= 500 ? retryAfterMs : undefined)
    },
    noCredit: of("blocked", false, `${vendor} refused: its account has no credit`),
    unreachable: of("infrastructure_failure", true, `${vendor} could not be reached`),
    connectLate: (connectMs) => of("timeout", true, `${vendor} did not accept a connection within ${connectMs} ms`),
    broken: of("infrastructure_failure", true, `the connection to ${vendor} broke`),
    truncated: of("infrastructure_failure", true, `${vendor} ended before it had given everything`),
    malformed: of("infrastructure_failure", true, `${vendor} sent something that is not its protocol`),
    wrongType: of(
      "infrastructure_failure",
      false,
      `${vendor} answered with a page or file that is not its protocol: check base_url, and proxies on the way`
    ),
    stalled: (ms) => of("timeout", true, `${vendor} sent nothing for ${ms} ms`)
  }
}

/** What `Retry-After` asks for, ms: seconds, or (with `Date`) a moment; undefined where it says neither. */
export const retryAfterOf = ({ headers }: Pick<HttpClientResponse, "headers">): number | undefined => {
  const { date = "", "retry-after": after = "" } = headers
  if (/^\d+(?:\.\d+)?$/u.test(after)) return Math.round(Number(after) * 1000)
  const [until, now] = [Date.parse(after), Date.parse(date)]
  return Number.isNaN(until) || Number.isNaN(now) ? undefined : Math.max(0, until - now)
}
