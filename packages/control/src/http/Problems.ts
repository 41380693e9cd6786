import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"
import { Problem } from "../ControlError.ts"
import type {
  ControlConflict,
  ControlInvalid,
  ControlNotFound,
  ControlOverloaded,
  DatabaseFailure,
  Forbidden,
  Unauthenticated
} from "../ControlError.ts"
import type { SpecRejected } from "../SpecError.ts"

// Problem details (RFC 9457) of the API: one class for each status. `code` is stable, `detail` is a sentence.

const code = { code: Schema.String } as const

export class UnauthorizedProblem extends HttpApiError.Problem<UnauthorizedProblem>()("UnauthorizedProblem", {
  type: "urn:rspp:problem:unauthorized",
  status: 401,
  title: "No valid API key"
}, code) {}

export class ForbiddenProblem extends HttpApiError.Problem<ForbiddenProblem>()("ForbiddenProblem", {
  type: "urn:rspp:problem:forbidden",
  status: 403,
  title: "Not allowed"
}, code) {}

export class NotFoundProblem extends HttpApiError.Problem<NotFoundProblem>()("NotFoundProblem", {
  type: "urn:rspp:problem:not-found",
  status: 404,
  title: "Not found"
}, code) {}

export class ConflictProblem extends HttpApiError.Problem<ConflictProblem>()("ConflictProblem", {
  type: "urn:rspp:problem:conflict",
  status: 409,
  title: "Conflict"
}, code) {}

export class PreconditionProblem extends HttpApiError.Problem<PreconditionProblem>()("PreconditionProblem", {
  type: "urn:rspp:problem:precondition",
  status: 412,
  title: "Changed by another"
}, code) {}

export class InvalidProblem extends HttpApiError.Problem<InvalidProblem>()("InvalidProblem", {
  type: "urn:rspp:problem:invalid",
  status: 422,
  title: "Not acceptable as it is"
}, { ...code, problems: Schema.Array(Problem) }) {}

export class OverloadedProblem extends HttpApiError.Problem<OverloadedProblem>()("OverloadedProblem", {
  type: "urn:rspp:problem:overloaded",
  status: 429,
  title: "No room now"
}, { ...code, retry_after_ms: Schema.optionalKey(Schema.Int) }) {}

export class UnavailableProblem extends HttpApiError.Problem<UnavailableProblem>()("UnavailableProblem", {
  type: "urn:rspp:problem:unavailable",
  status: 503,
  title: "Cannot answer now"
}, code) {}

/** What the guard of every endpoint may answer. */
export const guardProblems = [
  HttpApiError.BadRequestProblem,
  UnauthorizedProblem,
  ForbiddenProblem,
  ConflictProblem,
  OverloadedProblem,
  UnavailableProblem
] as const

/** What endpoints may answer besides. */
export const problems = [
  ForbiddenProblem,
  NotFoundProblem,
  ConflictProblem,
  PreconditionProblem,
  InvalidProblem,
  OverloadedProblem,
  UnavailableProblem
] as const

export type ApiProblem = InstanceType<typeof problems[number]>

/** The errors of the modules that reach the API. */
export type ModuleError =
  | ControlNotFound
  | ControlConflict
  | ControlInvalid
  | ControlOverloaded
  | DatabaseFailure
  | Forbidden
  | SpecRejected

/** A module's error as the API says it. What the database said stays in the log. */
export const problemOf = (error: ModuleError): ApiProblem => {
  switch (error._tag) {
    case "ControlNotFound":
      return new NotFoundProblem({ code: error.code, detail: error.message })
    case "ControlConflict":
      return error.code === "revision_conflict"
        ? new PreconditionProblem({ code: error.code, detail: error.message })
        : new ConflictProblem({ code: error.code, detail: error.message })
    case "ControlInvalid":
      return new InvalidProblem({ code: error.code, detail: error.message, problems: error.problems })
    case "ControlOverloaded":
      return new OverloadedProblem({
        code: error.code,
        detail: error.message,
        ...(error.retry_after_ms === undefined ? {} : { retry_after_ms: error.retry_after_ms })
      })
    case "Forbidden":
      return new ForbiddenProblem({ code: error.code, detail: error.message })
    case "SpecRejected":
      return new InvalidProblem({
        code: "spec_rejected",
        detail: error.message,
        problems: error.errors.map(({ hint, message, path, rule }) => ({ path, rule, message: `${message}. ${hint}` }))
      })
    case "DatabaseFailure":
      return unavailable
  }
}

/** The database cannot be used: the same words for every cause. */
export const unavailable = new UnavailableProblem({
  code: "database_unavailable",
  detail: "the control plane cannot use its database now; nothing was changed, ask again"
})

/** This server is about to end; others may be there. */
export const leaving = new UnavailableProblem({
  code: "draining",
  detail: "this control plane is stopping; send requests to another"
})

export const unauthorized = ({ code, message }: Unauthenticated): UnauthorizedProblem =>
  new UnauthorizedProblem({ code, detail: message })

/** A database's fault in the log, without its cause: what a server says beside its message quotes rows. */
export const logFailure = ({ message }: DatabaseFailure): Effect.Effect<void> => Effect.logError(message)

/** Answers a module's errors as problems; a database's fault is logged. */
export const asProblems = <A, E extends ModuleError, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, ApiProblem, R> =>
  effect.pipe(
    Effect.tapError((error) => error._tag === "DatabaseFailure" ? logFailure(error) : Effect.void),
    Effect.mapError(problemOf)
  )
