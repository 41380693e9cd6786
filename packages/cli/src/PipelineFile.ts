import { schemaVersion } from "@rspp/contracts/Identity"
import { describeSpecError, parseSpecText } from "@rspp/control/SpecFile"
import type { SpecText } from "@rspp/control/SpecFile"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import * as Catalog from "@rspp/providers/Catalog"
import { builtInNodes } from "@rspp/providers/nodes/BuiltInNodes"
import { Effect, FileSystem } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { ProviderCatalog } from "./ProviderCatalog.ts"

/** The pipeline of calls that name none: the embedded providers, everything else from the profile. */
export const embeddedPipeline = {
  schema_version: schemaVersion,
  pipeline_id: "assistant",
  pipeline_version: "assistant/1"
} as const

/**
 * Providers that pipelines can bind; the nodes files of those who run them are not known here. Voice activity is the
 * session's own and bound by no pipeline.
 */
export const knownProviders = Effect.map(ProviderCatalog, ({ catalog }) => {
  const idsOf = (wanted: Catalog.CatalogEntry["modality"]) =>
    catalog.filter(({ modality }) => modality === wanted).map(({ provider_id }) => provider_id)
  return { stt: idsOf("stt"), llm: idsOf("llm"), tts: idsOf("tts") }
})

/** Ids that a pipeline can bind. */
const bindable = (external: ReadonlyArray<string>) =>
  Effect.map(knownProviders, (known) => ({
    ...known,
    external: [...builtInNodes.map(({ id }) => id), ...external]
  }))

/**
 * The pipeline of a call: read from a spec file, or the embedded one, with everything filled in that it leaves out.
 *
 * Where no language model is named, it is the server that the environment names (`RSPP_LLM_BASE_URL`), else the rule
 * agent. `external` names the nodes of a nodes file, `flag` is what the path was given with. A spec that is not accepted fails with one line for each thing that
 * is wrong, with its place in the file.
 */
export const loadPipeline = Effect.fn("loadPipeline")(function*(
  path: string | undefined,
  external: ReadonlyArray<string> = [],
  flag = "--pipeline"
) {
  if (path === undefined) return yield* normalizeSpec(embeddedPipeline)
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      new CliFailure({
        exit: "bad_input",
        message: error.reason._tag === "NotFound"
          ? `${path}: there is no such pipeline file`
          : `${path}: the pipeline file cannot be read (${error.message})`,
        hint: `Check the path that ${flag} was given.`
      })
    )
  )
  const source = yield* parseSpecText(text, path)
  return yield* normalizeSpec(source.value, source, external)
})

/** {@link loadPipeline} for a spec that is a value already. */
export const normalizeSpec = Effect.fnUntraced(function*(
  spec: unknown,
  source?: SpecText,
  external: ReadonlyArray<string> = []
): Effect.fn.Return<NormalizedSpec, CliFailure, SpecNormalizer> {
  const normalizer = yield* SpecNormalizer
  const complete = yield* withDefaultModel(spec)
  return yield* normalizer.normalize(complete, { providers: yield* bindable(external) }).pipe(
    Effect.mapError(({ errors }) =>
      new CliFailure({
        exit: "bad_input",
        message: errors.map((error) =>
          source === undefined ? `${error.message}. ${error.hint}` : describeSpecError(error, source)
        ).join("\n")
      })
    )
  )
})

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether a language model of the spec gets the default: the simple graph's, or one that names none. */
const wantsModel = (spec: Fields): boolean => {
  const { nodes, providers, subgraphs } = spec
  // Whatever is wrong with them is for the normalizer to say.
  if (providers !== undefined && (!isFields(providers) || Object.hasOwn(providers, "llm"))) return false
  if (!Array.isArray(nodes)) return true
  const inner = isFields(subgraphs) ? Object.values(subgraphs) : []
  return [spec, ...inner].some((level) =>
    isFields(level) && Array.isArray(level["nodes"]) &&
    level["nodes"].some((node) =>
      isFields(node) && node["node_type"] === "language_model" && !Object.hasOwn(node, "provider_id")
    )
  )
}

const withDefaultModel = Effect.fnUntraced(function*(spec: unknown) {
  if (!isFields(spec) || !wantsModel(spec)) return spec
  const model = yield* Catalog.defaultLanguageModel.pipe(
    Effect.mapError(({ message, remedy }) => new CliFailure({ exit: "unavailable", message, hint: remedy }))
  )
  if (model === "embedded/rules" && !Array.isArray(spec["nodes"])) return spec
  const providers = isFields(spec["providers"]) ? spec["providers"] : {}
  return { ...spec, providers: { ...providers, llm: model } }
})
