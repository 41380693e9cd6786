import * as Schema from "effect/Schema"

/** One thing that is wrong with what was asked, by its place. */
export const Problem = Schema.Struct({
  path: Schema.String,
  rule: Schema.String,
  message: Schema.String
})
export type Problem = typeof Problem.Type

const fields = {
  /** Stable, so that programs can match on it. */
  code: Schema.String,
  /** What was wrong, and what to do. */
  message: Schema.String
} as const

/** There is no such thing in the tenant that asks. Raised by whoever looks something up. */
export class ControlNotFound extends Schema.TaggedError<ControlNotFound>()("ControlNotFound", fields) {}

/** The thing is there and is not as the caller assumed: another content, another revision. Nothing was changed. */
export class ControlConflict extends Schema.TaggedError<ControlConflict>()("ControlConflict", fields) {}

/** What was given cannot be accepted whatever the state of the database; `problems` names each fault by its place. */
export class ControlInvalid extends Schema.TaggedError<ControlInvalid>()("ControlInvalid", {
  ...fields,
  problems: Schema.Array(Problem)
}) {}

/** Admission has no room now: try again after `retry_after_ms`, or not at all when that is absent. */
export class ControlOverloaded extends Schema.TaggedError<ControlOverloaded>()("ControlOverloaded", {
  ...fields,
  retry_after_ms: Schema.optionalKey(Schema.Int)
}) {}

/** The caller is not who it says, or may not do it. One class and one sentence for each, so that neither tells why. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", fields) {}
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", fields) {}

/** The database cannot be used now (`retryable`), or not as it is. Whatever was begun was rolled back. */
export class DatabaseFailure extends Schema.TaggedError<DatabaseFailure>()("DatabaseFailure", {
  message: Schema.String,
  retryable: Schema.Boolean,
  cause: Schema.Defect()
}) {}

export const notFound = (what: string, id: string): ControlNotFound =>
  new ControlNotFound({ code: `${what}_not_found`, message: `there is no ${what.replaceAll("_", " ")} ${id}` })
