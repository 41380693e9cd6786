import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderDescriptor } from "@rspp/runtime/ports/ProviderDescriptor"
import { ProvidersConfig } from "../ProvidersConfig.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"

export const descriptor: ProviderDescriptor = { provider_id: "embedded/rules", modality: "llm" }

/** The rules that come with RSPP. */
export const defaultRulesFile = fileURLToPath(new URL("./rules.json", import.meta.url))

const Replies = Schema.Struct({ replies: Schema.NonEmptyArray(Schema.NonEmptyString) })

/** A rules file; its `about` explains it to the person who edits it. */
export const Rules = Schema.Struct({
  about: Schema.optionalKey(Schema.String),
  rules: Schema.Array(Schema.Struct({
    name: Schema.NonEmptyString,
    patterns: Schema.NonEmptyArray(Schema.NonEmptyString),
    replies: Schema.NonEmptyArray(Schema.NonEmptyString)
  })),
  otherwise: Replies,
  nothingHeard: Replies
})

/** A decoded rules file. */
export type Rules = typeof Rules.Type

const numbers = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
  "twenty"
]

/** What patterns are matched against: lower case, no punctuation, numbers up to twenty as words, single spaces. */
export const normalise = (text: string): string =>
  text
    .toLowerCase()
    .replace(/\u2019/gu, "'")
    .replace(/-/gu, " ")
    .replace(/[^\p{L}\p{N}' ]+/gu, " ")
    .replace(/\b\d{1,2}\b/gu, (digits) => numbers[Number(digits)] ?? digits)
    .replace(/\s+/gu, " ")
    .trim()

const fill = (template: string, values: Readonly<Record<string, string | undefined>>): string =>
  template
    .replace(/\{(\w+)\}/gu, (_, name: string) => values[name]?.trim() ?? "")
    .replace(/\s+/gu, " ")
    .replace(/ ([.,!?])/gu, "$1")
    .trim()

/** The caller's words as a sentence to be said back. */
const sentence = (text: string): string => {
  const trimmed = text.trim().replace(/\s+/gu, " ")
  return /[.!?]$/u.test(trimmed) ? trimmed : `${trimmed.replace(/[,;:]+$/u, "")}.`
}

/**
 * The reply to a conversation: a pure function of the rules and the messages. The first matching rule answers the last
 * user message; of several replies, the one that was used least recently by count of the assistant's lines.
 */
export const answer = (rules: Rules, messages: ReadonlyArray<Message>): string => {
  const heard = messages.findLast((message) => message.role === "user")?.text ?? ""
  const words = normalise(heard)
  const said = messages.filter((message) => message.role === "assistant").length
  const choose = (replies: ReadonlyArray<string>) => replies[said % replies.length]!
  if (words === "") return fill(choose(rules.nothingHeard.replies), {})
  for (const rule of rules.rules) {
    for (const pattern of rule.patterns) {
      const match = new RegExp(pattern, "u").exec(words)
      if (match !== null) return fill(choose(rule.replies), { ...match.groups, text: sentence(heard) })
    }
  }
  return fill(choose(rules.otherwise.replies), { text: sentence(heard) })
}

/** The text in pieces of one word, as a language model streams it; concatenated they are the text. */
export const deltas = (text: string): ReadonlyArray<string> => text.match(/\s*\S+/gu) ?? []

/** Reads and checks a rules file; every pattern is compiled once, so that a mistake shows at start. */
export const load = (path: string): Effect.Effect<Rules, ProviderUnavailable> =>
  Effect.tryPromise(async () => JSON.parse(await readFile(path, "utf8")) as unknown).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Rules, { onExcessProperty: "error" })),
    Effect.tap((rules) =>
      Effect.try(() => rules.rules.forEach((rule) => rule.patterns.forEach((pattern) => new RegExp(pattern, "u"))))
    ),
    Effect.mapError((error) =>
      new ProviderUnavailable({
        provider_id: descriptor.provider_id,
        message: `The rules file ${path} cannot be used: ${reason(error)}`,
        file: path,
        remedy: "Correct the file, or leave RSPP_RULES out to use the rules that come with RSPP",
        cause: error
      })
    )
  )

const reason = (error: { readonly message: string; readonly cause?: unknown }): string => {
  if (!(error.cause instanceof Error)) return error.message
  return "code" in error.cause && error.cause.code === "ENOENT" ? "there is no such file" : error.cause.message
}

/** The rules of the file that is set, checked. */
export const check = Effect.flatMap(ProvidersConfig, ({ rulesFile }) => load(rulesFile ?? defaultRulesFile))

/**
 * An agent of rules as {@link LanguageModel}: a stand-in that answers at once, needs nothing, and is the same each time.
 *
 * Its rules are a JSON file that users edit (`RSPP_RULES`). It streams its reply word by word and never fails.
 */
export const make = Effect.gen(function*() {
  const rules = yield* check
  return LanguageModel.of({
    descriptor,
    reply: (messages) =>
      Stream.suspend(() => Stream.fromIterable(deltas(answer(rules, messages))).pipe(Stream.rechunk(1)))
  })
})

/** Needs {@link ProvidersConfig} for the rules file. */
export const layerNoDeps = Layer.effect(LanguageModel, make)

/** With the settings of the environment. */
export const layer = Layer.provide(layerNoDeps, ProvidersConfig.layer)
