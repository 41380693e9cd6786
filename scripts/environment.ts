// The environment variables that the program reads, those of the hosted providers' adapters excepted, which name their own.
import { telemetryVariables } from "@rspp/timeline/telemetry/TelemetrySettings"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** One variable, as docs/configuration.md lists it. */
export interface Variable {
  readonly name: string
  /** What is so when it is not set. */
  readonly fallback: string
  readonly meaning: string
}

/** Every variable; the test of the page holds the list against the sources. */
export const variables: ReadonlyArray<Variable> = [
  {
    name: "RSPP_PROVIDERS",
    fallback: "no file",
    meaning: "A providers file, where `--providers` names none ([below](#providers-file))."
  },
  {
    name: "RSPP_RULES",
    fallback: "`packages/providers/src/llm/rules.json`",
    meaning: "The rules file of the rule agent (`embedded/rules`)."
  },
  { name: "RSPP_VOICE", fallback: "`slt`", meaning: "The voice of `embedded/flite`: `slt`, `rms`, `awb`, `kal16`." },
  {
    name: "RSPP_CACHE_DIR",
    fallback: "`~/.cache/rspp`",
    meaning: "Files that are made once from installed packages. They may be removed; they are made again."
  },
  {
    name: "HTTPS_PROXY",
    fallback: "none",
    meaning:
      "The proxy on the way to hosted providers with `https` and `wss` addresses ([providers.md](providers.md)); small letters will do, too."
  },
  { name: "HTTP_PROXY", fallback: "none", meaning: "The same for `http` addresses." },
  {
    name: "NO_PROXY",
    fallback: "none",
    meaning: "Hosts and domains that are reached without a proxy; `*` for all. This machine always is."
  },
  {
    name: "RSPP_CONTROL_PLANE",
    fallback: "`http://127.0.0.1:7800`",
    meaning: "The control plane that the commands ask which have `--server` ([control-plane.md](control-plane.md))."
  },
  { name: "RSPP_API_KEY", fallback: "none", meaning: "The key that a control plane is asked with." },
  {
    name: "LIVEKIT_URL",
    fallback: "`rspp room demo` starts a server of its own",
    meaning: "The LiveKit server of `rspp worker`, `room`, `dispatch`, and the URL that `rspp token` prints."
  },
  {
    name: "LIVEKIT_API_KEY",
    fallback: "none",
    meaning: "The key of that server; a control plane mints tokens of rooms with it."
  },
  { name: "LIVEKIT_API_SECRET", fallback: "none", meaning: "The secret of that key." },
  { name: "LIVEKIT_TOKEN", fallback: "none", meaning: "The token of `rspp room join`, where `--token` gives none." },
  {
    name: "PGPASSWORD",
    fallback: "the password of the URL",
    meaning: "The password of a `postgres://` address, so that it need not be on the command line."
  },
  { name: "OTEL_SDK_DISABLED", fallback: "`false`", meaning: "`true`: no telemetry leaves the process." },
  { name: "OTEL_SERVICE_NAME", fallback: "`rspp`", meaning: "`service.name` of what is exported." },
  {
    name: "OTEL_RESOURCE_ATTRIBUTES",
    fallback: "none",
    meaning: "More attributes of the resource: `key=value,key=value`, percent-encoded."
  },
  ...(["TRACES", "METRICS", "LOGS"] as const).map((signal) => ({
    name: `OTEL_${signal}_EXPORTER`,
    fallback: "`otlp` where there is an address",
    meaning: "`none`: not exported; `otlp` without an address: to `http://localhost:4318`."
  })),
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    fallback: "nothing is exported",
    meaning: "The collector, up to before `/v1/traces`, `/v1/metrics`, `/v1/logs`."
  },
  {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    fallback: "none",
    meaning: "Headers of each request: `a=b,c=d`, percent-encoded."
  },
  { name: "OTEL_EXPORTER_OTLP_PROTOCOL", fallback: "`http/protobuf`", meaning: "How it is written on the wire." },
  { name: "OTEL_EXPORTER_OTLP_TIMEOUT", fallback: "`10000`", meaning: "How long one request may take, ms." },
  { name: "OTEL_EXPORTER_OTLP_COMPRESSION", fallback: "`none`", meaning: "`gzip` or `none`." },
  ...["TRACES", "METRICS", "LOGS"].flatMap((signal) => [
    ...["ENDPOINT", "HEADERS", "PROTOCOL", "TIMEOUT", "COMPRESSION"].map((what) => ({
      name: `OTEL_EXPORTER_OTLP_${signal}_${what}`,
      fallback: `\`OTEL_EXPORTER_OTLP_${what}\``,
      meaning: what === "ENDPOINT"
        ? `Where ${signal.toLowerCase()} go, the whole address.`
        : `The same for ${signal.toLowerCase()} alone.`
    }))
  ]),
  {
    name: "OTEL_TRACES_SAMPLER",
    fallback: "`parentbased_always_on`",
    meaning: "Which sessions are traced, by the standard's names."
  },
  {
    name: "OTEL_TRACES_SAMPLER_ARG",
    fallback: "`1`",
    meaning: "The share of them, 0 to 1, where the sampler has one."
  },
  { name: "OTEL_METRIC_EXPORT_INTERVAL", fallback: "`60000`", meaning: "Time between two exports of metrics, ms." },
  ...[["BSP", "spans", "5000"], ["BLRP", "log records", "1000"]].flatMap(([kind = "", what = "", delay = ""]) => [
    {
      name: `OTEL_${kind}_SCHEDULE_DELAY`,
      fallback: `\`${delay}\``,
      meaning: `How long ${what} may wait for others, ms.`
    },
    {
      name: `OTEL_${kind}_MAX_QUEUE_SIZE`,
      fallback: "`16384`",
      meaning: `How many ${what} may wait; what comes then is dropped and counted.`
    },
    { name: `OTEL_${kind}_MAX_EXPORT_BATCH_SIZE`, fallback: "`512`", meaning: `How many ${what} go together.` }
  ]),
  {
    name: "RSPP_LOG_FORMAT",
    fallback: "`text`",
    meaning:
      "Logs on standard error: `text`, warnings as lines for people; `json`, everything, one object a line with its ids."
  },
  { name: "RSPP_DEBUG", fallback: "off", meaning: "Any value: the stack of an internal fault (exit code 70)." },
  { name: "NO_COLOR", fallback: "off", meaning: "Any value that is not empty: no colours." },
  { name: "TERM", fallback: "", meaning: "`dumb`: no line that is written over." },
  { name: "PATH", fallback: "", meaning: "Where `livekit-server` and the programs of a nodes file are looked for." },
  {
    name: "NODE_ENV",
    fallback: "`production`",
    meaning: "Set by the program where it is not: LiveKit's native client logs to standard output otherwise."
  },
  {
    name: "RSPP_NODE_TRIED",
    fallback: "",
    meaning: "Set by the program itself when it hands over from an old Node to the one that was installed with it."
  }
]

const patterns = [
  // Known families, wherever they are named.
  /["'`]((?:RSPP|LIVEKIT|OTEL)_[A-Z0-9_]+)["'`]/gu,
  /\bprocess\.env\.([A-Z][A-Z0-9_]*)/gu,
  /\b(?:process\.env|environment|env)\["([A-Z][A-Z0-9_]*)"\]/gu,
  /\bConfig\.\w+\(\s*"([A-Z][A-Z0-9_]*)"/gu,
  /\b(?:text|variable)\(\s*"([A-Z][A-Z0-9_]*)"/gu
]

/** The variables that a source reads. */
export const variablesIn = (source: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const pattern of patterns) for (const [, name = ""] of source.matchAll(pattern)) found.add(name)
  for (const [, names = ""] of source.matchAll(/\{([^{}]*)\} = (?:process\.env|environment)\b/gu)) {
    for (const [name] of names.matchAll(/\b[A-Z][A-Z0-9_]+\b/gu)) found.add(name)
  }
  // What an adapter's settings come from: `environment: { api_key: "…" }`.
  for (const [, names = ""] of source.matchAll(/[eE]nvironment(?::| =) \{([^{}]*)\}/gu)) {
    for (const [, name = ""] of names.matchAll(/"([A-Z][A-Z0-9_]+)"/gu)) found.add(name)
  }
  return [...found].sort()
}

/** Every variable that the program's sources read, and where. */
export const variablesOf = (root: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const path of globSync(["packages/*/src/**/*.ts", "packages/*/bin/*.js"], { cwd: root }).sort()) {
    for (const name of variablesIn(readFileSync(join(root, path), "utf8"))) found.set(name, path)
  }
  // Those of the OpenTelemetry standard are read by a list.
  for (const name of telemetryVariables) found.set(name, "packages/timeline/src/telemetry/TelemetrySettings.ts")
  return found
}
