import { SchemaVersion } from "@rspp/contracts/Identity"
import * as Schema from "effect/Schema"

/**
 * The versions of the contract under which a pipeline may run, both ends included; an end that is absent is open.
 *
 * A runtime speaks versions of the contract; so this is its window too.
 */
export const CompatibilityWindow = Schema.Struct({
  min_contract_version: Schema.optionalKey(SchemaVersion),
  max_contract_version: Schema.optionalKey(SchemaVersion)
})
export type CompatibilityWindow = typeof CompatibilityWindow.Type

const numbersOf = (version: string): ReadonlyArray<number> => version.slice(1).split(".").map(Number)

/** Below 0 when `a` is older than `b`; `v1.0` and `v1.0.0` are one version. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  for (let i = 0; i < 3; i++) {
    const order = (left[i] ?? 0) - (right[i] ?? 0)
    if (order !== 0) return order
  }
  return 0
}

/** Those of `versions` that are in the window, as they were given. */
export const compatibleVersions = (
  { max_contract_version: max, min_contract_version: min }: CompatibilityWindow,
  versions: ReadonlyArray<string>
): ReadonlyArray<string> =>
  versions.filter((version) =>
    (min === undefined || compareVersions(version, min) >= 0) &&
    (max === undefined || compareVersions(version, max) <= 0)
  )
