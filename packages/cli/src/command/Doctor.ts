import type { CatalogEntry } from "@rspp/providers/Catalog"
import { Effect } from "effect"
import { availableParallelism, totalmem } from "node:os"
import { told } from "../CliFailure.ts"
import { embeddedPipeline, normalizeSpec } from "../PipelineFile.ts"
import { validation } from "../Composition.ts"
import { ProviderCatalog, withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"

interface ProviderState {
  readonly provider_id: string
  readonly modality: string
  readonly summary: string
  /** Calls that name no pipeline need it. */
  readonly needed: boolean
  readonly ready: boolean
  readonly missing?: string
  readonly remedy?: string
}

const look = ({ about, check, modality, provider_id }: CatalogEntry, needed: boolean): Effect.Effect<ProviderState> =>
  Effect.flatMap(about, ({ summary }) =>
    Effect.match(check, {
      onSuccess: () => ({ provider_id, modality, summary, needed, ready: true }),
      onFailure: ({ message, remedy }) => ({
        provider_id,
        modality,
        summary,
        needed,
        ready: false,
        missing: message,
        remedy
      })
    }))

/** `rspp doctor`: looks, starts nothing, asks nothing of the network. Fails when the calls of this machine could not run. */
export const examine = Effect.fn("rspp.doctor")(function*({ json }: { readonly json: boolean }) {
  const screen = yield* Screen
  const { line, style } = screen
  const bound = yield* normalizeSpec(embeddedPipeline).pipe(
    Effect.map(({ pipeline }) => Object.values(pipeline.provider_bindings)),
    Effect.provide(validation)
  )
  const { catalog } = yield* withProviders(undefined, ProviderCatalog)
  const needed = (entry: CatalogEntry) => entry.modality === "vad" || bound.includes(entry.provider_id)
  const providers = yield* Effect.forEach(catalog, (entry) => look(entry, needed(entry)))
  const machine = {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    memory_mb: Math.round(totalmem() / 1_048_576)
  }
  const canRun = providers.every(({ needed, ready }) => ready || !needed)
  if (json) line(JSON.stringify({ ...machine, providers, can_run: canRun }))
  else {
    line(`Node ${machine.node} on ${machine.platform}, ${machine.cores} cores, ${machine.memory_mb} MB`)
    line("")
    line("Providers (models are checked by their SHA-256):")
    for (const provider of providers) {
      const mark = provider.ready
        ? style.green("ok     ")
        : provider.needed
        ? style.red("MISSING")
        : style.dim("not set")
      line(`  ${mark}  ${provider.modality.padEnd(4)} ${provider.provider_id.padEnd(20)} ${provider.summary}`)
      if (provider.missing !== undefined) line(`           ${provider.missing}`)
      if (provider.remedy !== undefined) line(`           ${provider.remedy}`)
    }
    line("")
    line(canRun ? "A call can run here: rspp demo" : "A call cannot run here until what is MISSING is there.")
  }
  if (!canRun) return yield* told("unavailable")
  return undefined
})
