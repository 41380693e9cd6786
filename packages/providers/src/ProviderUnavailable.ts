import * as Schema from "effect/Schema"

/**
 * A provider cannot run here: raised while its Layer is built, never later (then it is a `ProviderFailure`).
 *
 * `message` says what is missing, `remedy` how to get it, each in one sentence without secrets.
 */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>()("ProviderUnavailable", {
  provider_id: Schema.String,
  message: Schema.String,
  remedy: Schema.String,
  /** Nobody has asked for it: nothing that it cannot be without is set. Absent where somebody has, and it cannot run. */
  unset: Schema.optionalKey(Schema.Boolean),
  /** The file that was given for it and that cannot be used, where it is that. */
  file: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
