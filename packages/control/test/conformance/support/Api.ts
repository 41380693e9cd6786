import { Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as Context from "effect/Context"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Option from "effect/Option"
import type * as SqlClient from "effect/sql/SqlClient"
import { ClientTokens } from "../../../src/ClientTokens.ts"
import { controlModules } from "../../../src/ControlModules.ts"
import { ControlPlane } from "../../../src/ControlPlane.ts"
import { ControlApi } from "../../../src/http/ControlApi.ts"
import { controlRoutes } from "../../../src/http/ControlRoutes.ts"
import { Requires } from "../../../src/http/Guard.ts"
import { LeaseAuthority } from "../../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../../src/LeaseTokens.ts"
import type { Action } from "../../../src/Permissions.ts"
import { SecurityTenancy } from "../../../src/SecurityTenancy.ts"
import { SnapshotFeed } from "../../../src/SnapshotFeed.ts"
import * as SqlSnapshotLog from "../../../src/sql/SqlSnapshotLog.ts"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON; undefined where there is none. */
  readonly json: unknown
}

export interface Sent {
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** The API of a control plane over a database, asked without a socket. */
export interface Api {
  readonly send: (method: string, path: string, sent?: Sent) => Promise<Answer>
  readonly platformKey: string
  /** The same as a `fetch`, for clients that take one. */
  readonly fetch: typeof fetch
}

const modules = SnapshotFeed.layer().pipe(
  Layer.provideMerge(controlModules()),
  Layer.provide(SqlSnapshotLog.layer({ name: "test" })),
  Layer.provideMerge(LeaseAuthority.layerMemory()),
  Layer.provideMerge(LeaseTokens.layerSeeded(1)),
  Layer.provideMerge(ControlPlane.layerMemory())
)

export const liveKitSecret = "a-secret-of-at-least-32-characters-for-tests"
const tokens = ClientTokens.layer({
  url: "ws://127.0.0.1:7880",
  apiKey: "devkey",
  apiSecret: Redacted.make(liveKitSecret)
})

export const openApi = (
  client: Layer.Layer<SqlClient.SqlClient>,
  /** What the routes are given besides; by default their own defaults. */
  more: Layer.Layer<never> = Layer.empty
): Effect.Effect<Api & { readonly leases: LeaseAuthority["Service"] }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.orDie(Layer.build(Layer.fresh(modules.pipe(Layer.provideMerge(client)))))
    const key = yield* Effect.orDie(Context.get(context, SecurityTenancy).bootstrap)
    const { dispose, handler } = HttpRouter.toWebHandler(
      controlRoutes.pipe(
        Layer.provide(Layer.succeedContext(context)),
        Layer.provide(tokens),
        Layer.provide(more),
        Layer.provideMerge(HttpServer.layerServices)
      ),
      { disableLogger: true }
    )
    yield* Effect.addFinalizer(() => Effect.promise(dispose))
    return {
      platformKey: key?.text ?? "",
      fetch: (input, init) => handler(new Request(input, init)),
      leases: Context.get(context, LeaseAuthority),
      send: async (method, path, { body, headers, key }: Sent = {}) => {
        const response = await handler(
          new Request(`http://control${path}`, {
            method,
            headers: {
              ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
              ...(body === undefined ? {} : { "content-type": "application/json" }),
              ...headers
            },
            ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
          })
        )
        const text = await response.text()
        const isJson = /json/u.test(response.headers.get("content-type") ?? "")
        return {
          status: response.status,
          headers: response.headers,
          text,
          json: isJson && text !== "" ? JSON.parse(text) as unknown : undefined
        }
      }
    }
  })

export interface EndpointOf {
  /** `pipelines.publish` */
  readonly name: string
  readonly method: string
  readonly path: string
  /** Absent: no key is asked for. */
  readonly action: Action | undefined
}

/** Every endpoint of the API, from its definition. */
export const endpoints: ReadonlyArray<EndpointOf> = (() => {
  const found: Array<EndpointOf> = []
  HttpApi.reflect(ControlApi, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, group }) =>
      void found.push({
        name: `${group.identifier}.${endpoint.identifier}`,
        method: endpoint.method,
        path: endpoint.path,
        action: Option.getOrUndefined(Context.getOption(endpoint.annotations as Context.Context<Requires>, Requires))
      })
  })
  return found
})()

/** A field of a JSON body, by its path. */
export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null
        ? (inner as Readonly<Record<string | number, unknown>>)[key]
        : undefined,
    value
  )

export const textAt = (value: unknown, ...path: ReadonlyArray<string | number>): string => String(at(value, ...path))
