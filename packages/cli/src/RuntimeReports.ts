import type { InvocationFacts, TimelineHeader } from "@rspp/contracts/Timeline"
import type { ControlServer } from "@rspp/control/http/ControlClient"
import { LocalHealth } from "@rspp/control/LocalHealth"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { Context, Effect, Layer } from "effect"

/** A control plane that this runtime reports to, and who it is there. */
export interface ReportsTo {
  readonly server: ControlServer
  readonly placementId: string
}

/** Watches sessions for what is told of them: to a control plane, or to the breakers of this process. */
export class RuntimeReports extends Context.Service<RuntimeReports, {
  /** Whoever watches one session. */
  readonly observers: () => ReadonlyArray<SessionObserver>
}>()("rspp/RuntimeReports") {
  /** Nobody is told. */
  static readonly layerNoop: Layer.Layer<RuntimeReports> = Layer.succeed(RuntimeReports, { observers: () => [] })

  /** The breakers of this process are told, and decide for its sessions. */
  static readonly layerLocal: Layer.Layer<RuntimeReports, never, LocalHealth> = Layer.effect(
    RuntimeReports,
    Effect.map(LocalHealth, (health) => ({ observers: () => [providerObserver(health.saw)] }))
  )
}

/** Told of each provider call of a session that has ended and says something of its provider. */
export type SawCall = (
  session: { readonly tenant_id: string; readonly session_id: string },
  invocation: InvocationFacts,
  capMs: number
) => void

/**
 * Watches one session, and tells what its provider calls came to, as it is recorded. External nodes are programs of the
 * user's and no providers; a call that was shed for lack of room in this process was never made.
 */
export const providerObserver = (saw: SawCall): SessionObserver => {
  let header: TimelineHeader | undefined
  /** Calls that were shed and have not been reported as ended. */
  const shed = new Set<string>()
  return {
    opened: (of) => {
      header = of
    },
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record === "signal" && output.signal.signal === "shed") {
          const { provider_invocation_id } = output.signal
          if (provider_invocation_id !== undefined) shed.add(provider_invocation_id)
          continue
        }
        if (output.record !== "invocation") continue
        const { invocation } = output
        if (shed.delete(invocation.provider_invocation_id) || invocation.modality === "external") continue
        if (header === undefined) continue
        const capMs = header.provider_caps[invocation.provider_id] ?? header.pipeline.provider_first_result_ms
        saw(header, invocation, capMs)
      }
    }
  }
}

/** Tells a control plane that this runtime is there, and what its provider calls came to. Its code is loaded only then. */
export const runtimeReports = ({ placementId, server }: ReportsTo): Layer.Layer<RuntimeReports> =>
  Layer.unwrap(Effect.promise(async () => {
    const { ProviderReporter } = await import("@rspp/control/http/ProviderReporter")
    const PlacementAnnouncer = await import("@rspp/control/http/PlacementAnnouncer")
    const FetchHttpClient = await import("effect/http/FetchHttpClient")
    return Layer.effect(
      RuntimeReports,
      Effect.map(ProviderReporter, ({ saw }) => ({
        observers: () => [providerObserver((_session, invocation, capMs) => saw(invocation, capMs))]
      }))
    ).pipe(
      Layer.provide(ProviderReporter.layer(server)),
      // a process that calls is reached at no address
      Layer.merge(PlacementAnnouncer.layer(server, { placement_id: placementId, endpoints: [] })),
      Layer.provide(FetchHttpClient.layer)
    )
  }))
