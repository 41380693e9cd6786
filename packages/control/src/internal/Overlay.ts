import type { SettingSource } from "@rspp/contracts/NormalizedPipeline"
import { formatPath } from "./FieldPath.ts"
import type { FieldPath } from "./FieldPath.ts"

/** The same object with any part of it left out, at every depth; lists are written whole or not at all. */
export type PartialDeep<A> = A extends ReadonlyArray<unknown> ? A
  : A extends object ? { readonly [K in keyof A]?: PartialDeep<A[K]> | undefined }
  : A

/** Who set which value: path of a leaf → author or profile. */
export type Sources = Record<string, SettingSource>

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * `written` laid over `defaults`: what the author wrote wins, leaf by leaf; the rest is the profile's. Neither is changed.
 * The source of each leaf is noted in `sources` under its path.
 */
export const overlay = <A>(
  defaults: A,
  written: PartialDeep<NoInfer<A>> | undefined,
  path: FieldPath,
  sources: Sources
): A => {
  if (isObject(defaults)) {
    const over = (written ?? {}) as Readonly<Record<string, unknown>>
    const result: Record<string, unknown> = {}
    for (const key of new Set([...Object.keys(defaults), ...Object.keys(over)])) {
      result[key] = Object.hasOwn(defaults, key)
        ? overlay(defaults[key], over[key], [...path, key], sources)
        : overlay(over[key], over[key] as never, [...path, key], sources)
    }
    return result as A
  }
  sources[formatPath(path)] = written === undefined ? "execution_profile_default" : "explicit"
  return written === undefined ? defaults : written as A
}
