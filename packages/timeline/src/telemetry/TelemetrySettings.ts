import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** Telemetry was asked for and cannot be had: a setting is wrong, a file cannot be written, or an SDK is in the way. */
export class TelemetryFailure extends Schema.TaggedError<TelemetryFailure>()("TelemetryFailure", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

export const signals = ["traces", "metrics", "logs"] as const
export type Signal = typeof signals[number]

export const protocols = ["http/protobuf", "http/json"] as const
export type Protocol = typeof protocols[number]

export const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const
export type SamplerName = typeof samplers[number]

/** Where one signal goes, and how. */
export interface Destination {
  readonly signal: Signal
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: Protocol
  /** How long one request may take, ms. */
  readonly timeoutMs: number
  readonly compression: "gzip" | "none"
}

/** Waiting room of a batched signal. */
export interface Batching {
  /** How long something may wait for others to go with, ms. */
  readonly delayMs: number
  /** How many may wait; what comes then is dropped and counted. */
  readonly maxQueue: number
  readonly maxBatch: number
}

/** What the standard variables say. A signal without a destination is not exported. */
export interface TelemetrySettings {
  readonly serviceName: string
  /** Attributes of the resource besides the service's name. */
  readonly resource: Readonly<Record<string, string>>
  readonly traces: Destination | undefined
  readonly metrics: Destination | undefined
  readonly logs: Destination | undefined
  readonly spans: Batching
  readonly logRecords: Batching
  readonly metricIntervalMs: number
  readonly sampler: SamplerName
  /** Share of sessions that are traced, for the samplers that have one. */
  readonly samplerRatio: number
}

/** Every variable that is read; docs/telemetry.md has the same list. */
export const telemetryVariables: ReadonlyArray<string> = [
  "OTEL_SDK_DISABLED",
  "OTEL_SERVICE_NAME",
  "OTEL_RESOURCE_ATTRIBUTES",
  "OTEL_TRACES_EXPORTER",
  "OTEL_METRICS_EXPORTER",
  "OTEL_LOGS_EXPORTER",
  "OTEL_TRACES_SAMPLER",
  "OTEL_TRACES_SAMPLER_ARG",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
  "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
  "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
  "OTEL_EXPORTER_OTLP_PROTOCOL",
  "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
  "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
  "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
  "OTEL_EXPORTER_OTLP_TIMEOUT",
  "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
  "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
  "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
  "OTEL_EXPORTER_OTLP_COMPRESSION",
  "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
  "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
  "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
  "OTEL_METRIC_EXPORT_INTERVAL",
  "OTEL_BSP_SCHEDULE_DELAY",
  "OTEL_BSP_MAX_QUEUE_SIZE",
  "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
  "OTEL_BLRP_SCHEDULE_DELAY",
  "OTEL_BLRP_MAX_QUEUE_SIZE",
  "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
]

/** Where the signals of an exporter that is named without an address go, as OpenTelemetry has it. */
const usualEndpoint = "http://localhost:4318"

type Variables = Readonly<Record<string, string>>

const variables: Config.Config<Variables> = Config.all(
  Object.fromEntries(
    telemetryVariables.map((name) => [
      name,
      Config.option(Config.String(name)).pipe(Config.map((value) => Option.getOrElse(value, () => "").trim()))
    ])
  )
)

const bad = (message: string) => new TelemetryFailure({ message })

/** Names and values as `OTEL_RESOURCE_ATTRIBUTES` and the headers have them: `a=b,c=d`, percent-encoded. */
const pairs = (name: string, text: string) =>
  Effect.try({
    try: () => {
      const found: Record<string, string> = {}
      for (const pair of text.split(",")) {
        const at = pair.indexOf("=")
        const key = pair.slice(0, Math.max(0, at)).trim()
        if (at > 0 && key !== "") found[decodeURIComponent(key)] = decodeURIComponent(pair.slice(at + 1).trim())
      }
      return found
    },
    // What it says may be a key.
    catch: () => bad(`${name} is not of the form key=value,key=value (percent-encoded)`)
  })

const oneOf = <A extends string>(name: string, text: string, values: ReadonlyArray<A>, usual: A) => {
  if (text === "") return Effect.succeed(usual)
  const found = values.find((value) => value === text.toLowerCase())
  return found === undefined
    ? Effect.fail(bad(`${name}=${text} is not supported; ${values.join(", ")} are`))
    : Effect.succeed(found)
}

const number = (name: string, text: string, usual: number, [least, most]: readonly [number, number]) => {
  if (text === "") return Effect.succeed(usual)
  const value = Number(text)
  return Number.isFinite(value) && value >= least && value <= most
    ? Effect.succeed(value)
    : Effect.fail(bad(`${name}=${text} is no number from ${least} to ${most}`))
}

const day = 86_400_000

const destination = Effect.fnUntraced(function*(given: Variables, signal: Signal) {
  const exporter = yield* oneOf(
    `OTEL_${signal.toUpperCase()}_EXPORTER`,
    given[`OTEL_${signal.toUpperCase()}_EXPORTER`] ?? "",
    ["otlp", "none", "where there is an address"],
    "where there is an address"
  )
  const specific = (what: string) => given[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`] ?? ""
  const general = (what: string) => given[`OTEL_EXPORTER_OTLP_${what}`] ?? ""
  const nameOf = (what: string) =>
    specific(what) === "" ? `OTEL_EXPORTER_OTLP_${what}` : `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`
  const either = (what: string) => specific(what) === "" ? general(what) : specific(what)
  const base = general("ENDPOINT") === "" && exporter === "otlp" ? usualEndpoint : general("ENDPOINT")
  const url = specific("ENDPOINT") !== ""
    ? specific("ENDPOINT")
    : base === ""
    ? ""
    : `${base.replace(/\/+$/u, "")}/v1/${signal}`
  if (exporter === "none" || url === "") return undefined
  if (!URL.canParse(url) || !/^https?:/u.test(url)) {
    return yield* bad(
      `${nameOf("ENDPOINT")} is "${
        either("ENDPOINT")
      }", which is no address to send ${signal} to (http://… or https://…)`
    )
  }
  const found: Destination = {
    signal,
    url,
    headers: {
      ...(yield* pairs("OTEL_EXPORTER_OTLP_HEADERS", general("HEADERS"))),
      ...(yield* pairs(nameOf("HEADERS"), specific("HEADERS")))
    },
    protocol: yield* oneOf(nameOf("PROTOCOL"), either("PROTOCOL"), protocols, "http/protobuf"),
    timeoutMs: yield* number(nameOf("TIMEOUT"), either("TIMEOUT"), 10_000, [1, day]),
    compression: yield* oneOf(nameOf("COMPRESSION"), either("COMPRESSION"), ["none", "gzip"], "none")
  }
  return found
})

const batching = Effect.fnUntraced(function*(given: Variables, kind: "BSP" | "BLRP", usualDelayMs: number) {
  const of = (what: string, usual: number, bounds: readonly [number, number]) =>
    number(`OTEL_${kind}_${what}`, given[`OTEL_${kind}_${what}`] ?? "", usual, bounds)
  const maxQueue = yield* of("MAX_QUEUE_SIZE", 16_384, [1, 1_000_000])
  const found: Batching = {
    delayMs: yield* of("SCHEDULE_DELAY", usualDelayMs, [1, day]),
    maxQueue,
    maxBatch: Math.min(maxQueue, yield* of("MAX_EXPORT_BATCH_SIZE", 512, [1, 16_384]))
  }
  return found
})

/** Reads the standard variables. Fails with what is wrong with the first that is; none of its words is a header's value. */
export const telemetrySettings: Effect.Effect<TelemetrySettings, TelemetryFailure> = Effect.gen(function*() {
  const given = yield* Effect.mapError(
    variables,
    (cause) => new TelemetryFailure({ message: "the variables of telemetry (OTEL_…) cannot be read", cause })
  )
  const off = given["OTEL_SDK_DISABLED"]?.toLowerCase() === "true"
  const { "service.name": named, ...resource } = yield* pairs(
    "OTEL_RESOURCE_ATTRIBUTES",
    given["OTEL_RESOURCE_ATTRIBUTES"] ?? ""
  )
  const settings: TelemetrySettings = {
    serviceName: given["OTEL_SERVICE_NAME"] || named || "rspp",
    resource,
    traces: off ? undefined : yield* destination(given, "traces"),
    metrics: off ? undefined : yield* destination(given, "metrics"),
    logs: off ? undefined : yield* destination(given, "logs"),
    spans: yield* batching(given, "BSP", 5000),
    logRecords: yield* batching(given, "BLRP", 1000),
    metricIntervalMs: yield* number(
      "OTEL_METRIC_EXPORT_INTERVAL",
      given["OTEL_METRIC_EXPORT_INTERVAL"] ?? "",
      60_000,
      [100, day]
    ),
    sampler: yield* oneOf(
      "OTEL_TRACES_SAMPLER",
      given["OTEL_TRACES_SAMPLER"] ?? "",
      samplers,
      "parentbased_always_on"
    ),
    samplerRatio: yield* number("OTEL_TRACES_SAMPLER_ARG", given["OTEL_TRACES_SAMPLER_ARG"] ?? "", 1, [0, 1])
  }
  return settings
})
