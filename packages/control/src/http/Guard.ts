import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import type { Action, Principal } from "../Permissions.ts"
import { guardProblems } from "./Problems.ts"

/** Who asks, once its key was checked and the endpoint's action allowed. */
export class Caller extends Context.Service<Caller, {
  readonly principal: Principal
  readonly tenant_id: string
}>()("rspp/http/Caller") {}

/** The action of an endpoint, in its definition: authorisation and its tests read it from there. */
export class Requires extends Context.Service<Requires, Action>()("rspp/http/Requires") {}

/**
 * The answer holds something that is given out once (the text of a key): it is not kept for a repeated request, which is
 * told so.
 */
export class SecretAnswer extends Context.Service<SecretAnswer, true>()("rspp/http/SecretAnswer") {}

/**
 * Every endpoint but those of health stands behind it: bearer key, the table of permissions, idempotency keys, ETags.
 *
 * The tenant is that of the key. The header `x-rspp-tenant` may name it; naming another is refused.
 */
export class Guard extends HttpApiMiddleware.Service<Guard, { provides: Caller }>()("rspp/http/Guard", {
  security: { bearer: HttpApiSecurity.bearer },
  error: guardProblems
}) {}
