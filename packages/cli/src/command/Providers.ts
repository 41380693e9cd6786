import type { CatalogEntry } from "@rspp/providers/Catalog"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Data, Effect, Stream } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { scrub } from "../KnownSecrets.ts"
import { ProviderCatalog, withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"

interface ListFlags {
  readonly providers: string | undefined
  readonly json: boolean
}

interface CheckFlags extends ListFlags {
  readonly ids: ReadonlyArray<string>
}

/** How long a provider may take for something tiny, ms. */
const checkMs = 15_000

const isHosted = ({ adapter }: CatalogEntry) => !adapter.startsWith("embedded/")

const list = Effect.fn("rspp.providers.list")(function*({ json }: ListFlags) {
  const screen = yield* Screen
  const { catalog } = yield* ProviderCatalog
  const rows = yield* Effect.forEach(
    catalog,
    ({ about, adapter, check, modality, provider_id }) =>
      Effect.map(Effect.all([about, Effect.result(check)]), ([what, state]) => ({
        provider_id,
        modality,
        adapter,
        configured: state._tag === "Success",
        ...(state._tag === "Success" ? {} : { missing: state.failure.message, remedy: state.failure.remedy }),
        ...what
      }))
  )
  if (json) return screen.line(JSON.stringify({ providers: rows }))
  const { line, style } = screen
  const width = Math.max(...rows.map(({ provider_id }) => provider_id.length))
  for (const modality of ["vad", "stt", "llm", "tts"] as const) {
    line(
      style.bold(
        { vad: "Voice activity", stt: "Speech to text", llm: "Language models", tts: "Text to speech" }[modality]
      )
    )
    for (const row of rows.filter((one) => one.modality === modality)) {
      const mark = row.configured ? style.green("ready         ") : style.dim("not configured")
      const behind = row.adapter === row.provider_id ? "" : ` (${row.adapter})`
      line(`  ${mark}  ${row.provider_id.padEnd(width)}  ${row.summary}${behind}`)
    }
  }
  const missing = rows.filter(({ configured }) => !configured)
  if (missing.length > 0) {
    line("")
    for (const { missing: why, provider_id, remedy } of missing) line(`  ${provider_id}: ${why}. ${remedy}`)
  }
})

/** A second of a soft tone: no words, so that nothing is learned from it; a recogniser answers with an empty text. */
const second = Int16Array.from({ length: 16_000 }, (_, at) => Math.round(800 * Math.sin(at / 12)))

/** Something tiny of a provider: resolves with what came first. */
const tiny = (entry: CatalogEntry): Effect.Effect<string, NoAnswer> => {
  switch (entry.modality) {
    case "stt":
      return Effect.flatMap(SpeechToText, ({ recognise }) =>
        Stream.runCollect(
          recognise(
            Stream.fromIterable([{ _tag: "Audio", samples: second }, { _tag: "Pause", pauseId: 1 }, { _tag: "End" }]),
            { partialIntervalMs: 500 }
          )
        )).pipe(Effect.as("a second was heard"), Effect.provide(entry.layer), Effect.mapError(plain))
    case "llm":
      return Effect.flatMap(
        LanguageModel,
        ({ reply }) => Stream.runHead(reply([{ role: "user", text: "Say: ready." }]))
      ).pipe(
        Effect.as("it has begun to reply"),
        Effect.provide(entry.layer),
        Effect.mapError(plain)
      )
    case "tts":
      return Effect.flatMap(TextToSpeech, ({ synthesise }) => Stream.runHead(synthesise("Ready."))).pipe(
        Effect.flatMap((first) =>
          first._tag === "Some"
            ? Effect.succeed("it speaks")
            : Effect.fail(new NoAnswer({ message: "it said nothing" }))
        ),
        Effect.provide(entry.layer),
        Effect.mapError(plain)
      )
    case "vad":
      return Effect.succeed("it is here")
  }
}

/** Why a provider did not do the tiny thing. */
class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly message: string }> {}

const plain = ({ message }: { readonly message: string }) => new NoAnswer({ message })

const check = Effect.fn("rspp.providers.check")(function*({ ids, json }: CheckFlags) {
  const screen = yield* Screen
  const { line, style } = screen
  const { catalog } = yield* ProviderCatalog
  const unknown = ids.filter((id) => !catalog.some(({ provider_id }) => provider_id === id))
  if (unknown.length > 0) {
    return yield* new CliFailure({
      exit: "usage",
      message: `there is no provider ${unknown.join(", ")}`,
      hint: "rspp providers list shows what there is; --providers names a file with more."
    })
  }
  const wanted = catalog.filter((entry) => ids.length === 0 ? isHosted(entry) : ids.includes(entry.provider_id))
  let failed = 0
  let absent = 0
  let unusable = 0
  const rows = yield* Effect.forEach(wanted, (entry) =>
    Effect.gen(function*() {
      const about = { provider_id: entry.provider_id, modality: entry.modality }
      const configured = yield* Effect.result(entry.check)
      const name = entry.provider_id.padEnd(24)
      if (configured._tag === "Failure") {
        const { message, remedy, unset = false } = configured.failure
        const isWanted = entry.declared === true || !unset
        if (isWanted) unusable++
        else absent++
        const mark = isWanted ? style.red("MISCONFIGURED ") : style.dim("not configured")
        if (!json) line(`${mark}  ${name}  ${message}. ${remedy}`)
        return { ...about, state: isWanted ? "misconfigured" : "not_configured", message, remedy }
      }
      const began = performance.now()
      const outcome = yield* Effect.result(
        Effect.timeoutOrElse(tiny(entry), {
          duration: checkMs,
          orElse: () => Effect.fail(new NoAnswer({ message: `no answer within ${checkMs} ms` }))
        })
      )
      const took_ms = Math.round(performance.now() - began)
      if (outcome._tag === "Success") {
        if (!json) line(`${style.green("ok            ")}  ${name}  ${outcome.success} (${took_ms} ms)`)
        return { ...about, state: "ok" as const, took_ms }
      }
      failed++
      const message = scrub(outcome.failure.message)
      if (!json) line(`${style.red("FAILED        ")}  ${name}  ${message} (${took_ms} ms)`)
      return { ...about, state: "failed" as const, took_ms, message }
    }))
  if (json) line(JSON.stringify({ providers: rows }))
  if (failed > 0 || unusable > 0) return yield* told("violation")
  if (ids.length > 0 && absent > 0) return yield* told("unavailable")
  if (!json && absent === wanted.length) line("No hosted provider is configured: nothing was asked.")
  return undefined
})

/** `rspp providers list`: the catalog, with what is configured here. Asks nothing of the network. */
export const listProviders = (flags: ListFlags) => withProviders(flags.providers, list(flags))

/**
 * `rspp providers check`: asks each for something tiny; 1 when one fails, or is declared or set and cannot run; 69 when a
 * named one is not configured.
 */
export const checkProviders = (flags: CheckFlags) => withProviders(flags.providers, check(flags))
