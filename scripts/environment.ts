// The environment variables that the program reads, those of the hosted providers' adapters excepted, which name their own.
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
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    fallback: "nothing is exported",
    meaning: "The collector, up to before `/v1/traces`."
  },
  {
    name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    fallback: "that of `OTEL_EXPORTER_OTLP_ENDPOINT`",
    meaning:
      "Where traces go, the whole address. The SDK reads the standard's other variables too, such as `OTEL_EXPORTER_OTLP_HEADERS`."
  },
  { name: "OTEL_TRACES_EXPORTER", fallback: "`otlp`", meaning: "`none`: no traces." },
  { name: "OTEL_SDK_DISABLED", fallback: "`false`", meaning: "`true`: no telemetry leaves the process." },
  { name: "OTEL_SERVICE_NAME", fallback: "`rspp`", meaning: "`service.name` of what is exported." },
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
  return found
}
