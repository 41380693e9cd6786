import * as Context from "effect/Context"

/**
 * Whether this server is about to end: `GET /readyz` says then that it is not ready, so that whoever distributes requests
 * sends it no more, while everything else is still answered. By default it never is.
 */
export const Draining = Context.Reference<() => boolean>("rspp/http/Draining", { defaultValue: () => () => false })
