import * as Telemetry from "@rspp/timeline/telemetry/Telemetry"
import { ModelNames } from "@rspp/timeline/telemetry/GenAi"
import { Effect, Layer } from "effect"
import { scrub } from "./KnownSecrets.ts"
import { ProviderCatalog } from "./ProviderCatalog.ts"

/** Traces, metrics and logs as the standard variables say (docs/telemetry.md), and spans to a file if one is given. */
export const programTelemetry = (file?: string) => Telemetry.layer({ scrub, ...(file === undefined ? {} : { file }) })

/** Of a call in a process that has it for all of its calls already. */
export const sharedTelemetry = Layer.empty

/** Runs a server with it: its calls are given {@link sharedTelemetry}. */
export const withTelemetry = <A, E, R>(server: Effect.Effect<A, E, R>) => Effect.provide(server, programTelemetry())

/** Vendors whose name in the conventions for generative AI is not the first part of the adapter's. */
const wellKnown: Readonly<Record<string, string>> = { google: "gcp.gemini" }

/** The vendor and the model behind a provider's id, as catalog and providers file have them. */
export const modelNames = Layer.effect(
  ModelNames,
  Effect.map(ProviderCatalog, ({ catalog, models }) => (provider_id: string) => {
    const vendor = catalog.find((entry) => entry.provider_id === provider_id)?.adapter.split("/")[0]
    const model = models?.get(provider_id)
    return {
      ...(vendor === undefined ? {} : { provider: wellKnown[vendor] ?? vendor }),
      ...(model === undefined ? {} : { model })
    }
  })
)
