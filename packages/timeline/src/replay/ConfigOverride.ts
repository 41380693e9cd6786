import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { completeSessionConfig, sessionConfigProblems } from "@rspp/contracts/SessionConfig"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** An override `path=value` that cannot be applied: no such setting, not a value of its kind, out of bounds. */
export class ConfigOverrideInvalid extends Schema.TaggedError<ConfigOverrideInvalid>()("ConfigOverrideInvalid", {
  override: Schema.String,
  message: Schema.String
}) {}

/** An override that does not go with another setting of the session; with another recording it may. */
export class ConfigOverrideConflict extends Schema.TaggedError<ConfigOverrideConflict>()("ConfigOverrideConflict", {
  override: Schema.String,
  message: Schema.String
}) {}

/** A session config with overrides applied. */
export interface OverriddenConfig {
  readonly config: SessionConfig
  /** Paths of the settings that are another value now. */
  readonly changed: ReadonlyArray<string>
}

/** Settings that are no one's to change: they say what the artifact is. */
const fixed: ReadonlySet<string> = new Set(["schema_version"])

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Paths of all settings, `endpointing.min_ms`, those that an older recording does not have included. */
export const settingPaths = (config: SessionConfig): ReadonlyArray<string> =>
  Object.entries(completeSessionConfig(config)).flatMap(([key, value]) =>
    isFields(value) ? Object.keys(value).map((inner) => `${key}.${inner}`) : fixed.has(key) ? [] : [key]
  )

const settingAt = (config: SessionConfig, path: string): unknown =>
  path.split(".").reduce<unknown>(
    (value, key) => isFields(value) ? value[key] : undefined,
    completeSessionConfig(config)
  )

/** Paths of the settings in which two configs differ. */
export const changedSettings = (from: SessionConfig, to: SessionConfig): ReadonlyArray<string> =>
  settingPaths(from).filter((path) => canonicalJson(settingAt(from, path)) !== canonicalJson(settingAt(to, path)))

const withSetting = (fields: Fields, [key = "", ...rest]: ReadonlyArray<string>, value: unknown): Fields => {
  const inner = fields[key]
  return { ...fields, [key]: rest.length === 0 || !isFields(inner) ? value : withSetting(inner, rest, value) }
}

/** The value in the kind of the setting that it replaces, a list with commas between; `undefined` when it is not of that kind. */
const parse = (text: string, like: unknown): unknown => {
  if (Array.isArray(like)) {
    return /["'[\]{}]/u.test(text)
      ? listIn(text)
      : text.split(",").map((item) => item.trim()).filter((item) => item !== "")
  }
  switch (typeof like) {
    case "number":
      return /^-?[0-9]+(?:\.[0-9]+)?$/u.test(text) ? Number(text) : undefined
    case "boolean":
      return text === "true" ? true : text === "false" ? false : undefined
    default:
      return text === "" ? undefined : text
  }
}

/** A list as JSON has it, `["mhm", "ah, I see"]`. */
const listIn = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined
  } catch {
    return undefined
  }
}

const kindOf = (like: unknown): string =>
  Array.isArray(like) ?
    "a list, with commas between or as JSON ([\"mhm\", \"ah, I see\"])" :
    typeof like === "number"
    ? "a number"
    : typeof like === "boolean"
    ? "true or false"
    : "a word"

/** Settings whose last part is the same or nearly so, for the error message. */
const similar = (path: string, paths: ReadonlyArray<string>): string => {
  const last = path.split(".").at(-1) ?? ""
  const near = paths.filter((candidate) => last !== "" && candidate.includes(last))
  return (near.length > 0 ? near : paths).join(", ")
}

/**
 * Applies overrides such as `endpointing.min_ms=200` to a session config, in order.
 *
 * The result is held to the SessionConfig schema and to the relations between settings. Fails with
 * {@link ConfigOverrideInvalid}, which names the override and what is wrong with it, or {@link ConfigOverrideConflict}
 * where the override does not go with what the config has.
 */
export const applyOverrides = (
  config: SessionConfig,
  overrides: ReadonlyArray<string>
): Effect.Effect<OverriddenConfig, ConfigOverrideInvalid | ConfigOverrideConflict> =>
  Effect.gen(function*() {
    const paths = settingPaths(config)
    let changing: Fields = completeSessionConfig(config)
    for (const override of overrides) {
      const invalid = (message: string) => new ConfigOverrideInvalid({ override, message: `${override}: ${message}` })
      const equals = override.indexOf("=")
      if (equals < 1) return yield* invalid("write it as path=value, for example endpointing.min_ms=200")
      const path = override.slice(0, equals).trim()
      if (!paths.includes(path)) return yield* invalid(`there is no setting ${path}; there is ${similar(path, paths)}`)
      const text = override.slice(equals + 1).trim()
      const value = parse(text, settingAt(config, path))
      if (value === undefined) {
        return yield* invalid(`${path} takes ${kindOf(settingAt(config, path))}, not "${text}"`)
      }
      changing = withSetting(changing, path.split("."), value)
    }
    const all = overrides.join(" ")
    const verdict = validate("session_config", changing)
    if (!verdict.ok) {
      const message = `${all}: ${verdict.issues.map(formatIssue).join("; ")}`
      return yield* new ConfigOverrideInvalid({ override: all, message })
    }
    const problems = sessionConfigProblems(verdict.value)
    if (problems.length > 0) {
      const message = `${all}: ${problems.map((problem) => `${problem.path.join(".")}: ${problem.message}`).join("; ")}`
      return yield* new ConfigOverrideConflict({ override: all, message })
    }
    return { config: verdict.value, changed: changedSettings(config, verdict.value) }
  })
