import * as Telemetry from "@rspp/timeline/telemetry/Telemetry"
import { Effect, Layer } from "effect"
import { scrub } from "./KnownSecrets.ts"

/** Traces, metrics and logs as the standard variables say (docs/telemetry.md), and spans to a file if one is given. */
export const programTelemetry = (file?: string) => Telemetry.layer({ scrub, ...(file === undefined ? {} : { file }) })

/** Of a call in a process that has it for all of its calls already. */
export const sharedTelemetry = Layer.empty

/** Runs a server with it: its calls are given {@link sharedTelemetry}. */
export const withTelemetry = <A, E, R>(server: Effect.Effect<A, E, R>) => Effect.provide(server, programTelemetry())
