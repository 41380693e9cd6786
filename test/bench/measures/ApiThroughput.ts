import { ClientTokens } from "@rspp/control/ClientTokens"
import { controlModules } from "@rspp/control/ControlModules"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { controlRoutes } from "@rspp/control/http/ControlRoutes"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { PipelineRegistry } from "@rspp/control/PipelineRegistry"
import { Rollout } from "@rspp/control/Rollout"
import { SecurityTenancy } from "@rspp/control/SecurityTenancy"
import { SnapshotFeed } from "@rspp/control/SnapshotFeed"
import * as SqlSnapshotLog from "@rspp/control/sql/SqlSnapshotLog"
import { Context, Effect, Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as SqlClient from "effect/sql/SqlClient"
import { onDatabases } from "../Databases.ts"
import type { Figure, Measure } from "../Figure.ts"

const requests = 2000
const atOnce = 16

const perSecond = async (one: () => Promise<unknown>): Promise<number> => {
  let left = requests
  const worker = async () => {
    while (left-- > 0) await one()
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: atOnce }, worker))
  return requests / ((performance.now() - began) / 1000)
}

const spec = { schema_version: "v1.0", pipeline_id: "bench", pipeline_version: "1" }

const measure: Measure = {
  about:
    `${requests} requests to the API of a control plane, ${atOnce} at once, without a socket: key, permission, answer and ETag are part of it. Bare: one SELECT of one row.`,
  run: (tell) =>
    onDatabases(({ client, name }) =>
      Effect.runPromise(
        Effect.gen(function*() {
          const context = yield* Effect.context<
            PipelineRegistry | Rollout | SecurityTenancy | SqlClient.SqlClient
          >()
          const { owner } = yield* Context.get(context, SecurityTenancy).createTenant("bench", "Bench")
          yield* Context.get(context, PipelineRegistry).publish({ tenant_id: "bench", spec })
          yield* Context.get(context, Rollout).put("bench", "bench", { stable_version: "1" })
          const sql = yield* SqlClient.SqlClient
          const runBare = Effect.runPromiseWith(context)
          const handler = yield* Effect.acquireRelease(
            Effect.sync(() =>
              HttpRouter.toWebHandler(
                controlRoutes.pipe(
                  Layer.provide(
                    Layer.succeedContext(
                      context as Context.Context<Layer.Success<typeof modules> | SqlClient.SqlClient>
                    )
                  ),
                  Layer.provide(ClientTokens.layerNoop),
                  Layer.provideMerge(HttpServer.layerServices)
                ),
                { disableLogger: true }
              )
            ),
            ({ dispose }) => Effect.promise(dispose)
          )
          const send = async (method: string, path: string, body?: unknown) => {
            const response = await handler.handler(
              new Request(`http://control${path}`, {
                method,
                headers: { authorization: `Bearer ${owner.text}`, "content-type": "application/json" },
                ...(body === undefined ? {} : { body: JSON.stringify(body) })
              })
            )
            if (response.status >= 300) {
              throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
            }
            return response.text()
          }
          const figures = async (): Promise<ReadonlyArray<Figure>> => {
            tell(`${name}: bare`)
            const bare = await perSecond(() =>
              runBare(sql`SELECT tenant_id FROM rspp_tenants WHERE tenant_id = ${"bench"}`)
            )
            const figure = (what: string, value: number): Figure => ({
              name: `${what}, ${name}`,
              value,
              unit: "a second",
              bare,
              against: "one SELECT of one row"
            })
            tell(`${name}: reads`)
            const reads = await perSecond(() => send("GET", "/v1/rollouts/bench"))
            tell(`${name}: sessions`)
            const sessions = await perSecond(() => send("POST", "/v1/sessions", { pipeline_id: "bench" }))
            return [figure("a rollout is read", reads), figure("a session is made", sessions)]
          }
          return yield* Effect.promise(figures)
        }).pipe(Effect.scoped, Effect.provide(modules.pipe(Layer.provideMerge(client()))))
      )
    )
}

const modules = SnapshotFeed.layer().pipe(
  Layer.provideMerge(controlModules()),
  Layer.provide(SqlSnapshotLog.layer({ name: "bench" })),
  Layer.provideMerge(LeaseAuthority.layerMemory()),
  Layer.provideMerge(LeaseTokens.layerSeeded(1)),
  Layer.provideMerge(ControlPlane.layerMemory())
)

export default measure
