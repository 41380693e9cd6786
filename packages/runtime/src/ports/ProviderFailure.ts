import * as Schema from "effect/Schema"

/** How a provider invocation ended when it did not succeed (CONTRACT section 7). */
export const FailureClass = Schema.Literals(["timeout", "overload", "blocked", "infrastructure_failure", "cancelled"])

/**
 * A provider did not do what it was asked, raised by every provider port.
 *
 * `retryable` says whether the same request may succeed when sent again. `message` is one sentence that is safe to
 * show and to record: never a key, a token or the caller's words. `retryAfterMs` is how long the vendor asked to wait
 * before the next request, ms from 0 up; absent where it asked nothing.
 */
export class ProviderFailure extends Schema.TaggedError<ProviderFailure>()("ProviderFailure", {
  provider_id: Schema.String,
  outcome_class: FailureClass,
  retryable: Schema.Boolean,
  message: Schema.String,
  retryAfterMs: Schema.optionalKey(Schema.Finite),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
