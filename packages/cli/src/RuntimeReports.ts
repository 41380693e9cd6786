import type { ControlServer } from "@rspp/control/http/ControlClient"
import type { ProviderReporter } from "@rspp/control/http/ProviderReporter"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { Context, Effect, Layer } from "effect"

/** A control plane that this runtime reports to, and who it is there. */
export interface ReportsTo {
  readonly server: ControlServer
  readonly placementId: string
}

/** Watches sessions for what a control plane is told of them. */
export class RuntimeReports extends Context.Service<RuntimeReports, {
  readonly observers: ReadonlyArray<SessionObserver>
}>()("rspp/RuntimeReports") {
  /** Nobody is told. */
  static readonly layerNoop: Layer.Layer<RuntimeReports> = Layer.succeed(RuntimeReports, { observers: [] })
}

/** Counts the outcome of each provider call; external nodes are programs of the user's and no providers. */
export const providerObserver = (reporter: ProviderReporter["Service"]): SessionObserver => ({
  outputs: (outputs) => {
    for (const output of outputs) {
      if (output.record !== "invocation" || output.invocation.modality === "external") continue
      reporter.saw(output.invocation.provider_id, output.invocation.outcome_class)
    }
  }
})

/** Tells a control plane that this runtime is there, and what its provider calls came to. Its code is loaded only then. */
export const runtimeReports = ({ placementId, server }: ReportsTo): Layer.Layer<RuntimeReports> =>
  Layer.unwrap(Effect.promise(async () => {
    const { ProviderReporter } = await import("@rspp/control/http/ProviderReporter")
    const PlacementAnnouncer = await import("@rspp/control/http/PlacementAnnouncer")
    const FetchHttpClient = await import("effect/http/FetchHttpClient")
    return Layer.effect(
      RuntimeReports,
      Effect.map(ProviderReporter, (reporter) => ({ observers: [providerObserver(reporter)] }))
    ).pipe(
      Layer.provide(ProviderReporter.layer(server)),
      // a process that calls is reached at no address
      Layer.merge(PlacementAnnouncer.layer(server, { placement_id: placementId, endpoints: [] })),
      Layer.provide(FetchHttpClient.layer)
    )
  }))
