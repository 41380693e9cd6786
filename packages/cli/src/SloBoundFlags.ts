import { latencyGates, SloBoundsFile, tightened } from "@rspp/timeline/slo/SloGates"
import type { LatencyBound, LatencyGate, SloBounds } from "@rspp/timeline/slo/SloGates"
import { Effect, Schema } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { readJson } from "./JsonInput.ts"

const decode = Schema.decodeUnknownEffect(SloBoundsFile)

const example = `for example response_ms.p95=1200, with ${latencyGates.join(", ")} and p50 or p95`

/** `GATE.p50=MS` or `GATE.p95=MS`. */
const parsed = (text: string): readonly [LatencyGate, LatencyBound] | undefined => {
  const [, name, percentile, ms] = /^([a-z_]+)\.(p50|p95)=([0-9]{1,9})$/u.exec(text) ?? []
  const gate = latencyGates.find((known) => known === name)
  if (gate === undefined) return undefined
  return [gate, percentile === "p50" ? { p50_ms: Number(ms) } : { p95_ms: Number(ms) }]
}

/** The contract's bounds, made stricter by a file and by flags; flags count more. A wider bound is refused. */
export const boundsOf = Effect.fnUntraced(function*(
  file: string | undefined,
  flags: ReadonlyArray<string>
): Effect.fn.Return<SloBounds, CliFailure, Effect.Services<ReturnType<typeof readJson>>> {
  const own: { -readonly [G in LatencyGate]?: LatencyBound } = {}
  if (file !== undefined) {
    const value = yield* readJson(file, "bounds")
    const bounds = yield* decode(value, { onExcessProperty: "error" }).pipe(
      Effect.mapError((error) =>
        new CliFailure({
          exit: "bad_input",
          message: `${file}: these are no bounds: ${error.message}`,
          hint: `For example { "response_ms": { "p50_ms": 1000, "p95_ms": 1500 } }.`
        })
      )
    )
    Object.assign(own, bounds)
  }
  for (const flag of flags) {
    const bound = parsed(flag)
    if (bound === undefined) {
      return yield* new CliFailure({
        exit: "usage",
        message: `--bound does not take "${flag}"`,
        hint: `It takes GATE.PERCENTILE=MS: ${example}.`
      })
    }
    const [gate, more] = bound
    own[gate] = { ...own[gate], ...more }
  }
  const result = tightened(own)
  if (result.ok) return result.bounds
  return yield* new CliFailure({
    exit: flags.length > 0 ? "usage" : "bad_input",
    message: result.wider.map(({ asked, contract, gate, percentile }) =>
      `${gate} ${percentile.slice(0, 3)}: ${asked} ms is wider than the contract's ${contract} ms`
    ).join("\n"),
    hint: "The contract's bounds are the floor: they can be made stricter, never wider."
  })
})
