/**
 * Writes docs/configuration.md: every setting of every file that the program reads, every adapter's settings, and every
 * environment variable.
 *
 *   node scripts/generate-configuration-reference.ts          write the page
 *   node scripts/generate-configuration-reference.ts --check  write nothing; exit 1 when it has drifted or something lacks a meaning
 *
 * Names, types and bounds come from the Schemas, defaults from the values that the program uses, meanings from the
 * `description` of a schema; of an adapter's settings from the list (`- \`name\`: …`) in the docstring above them.
 */
import { artifactSchemas } from "@rspp/contracts/Artifact"
import { providerPhaseDefaults, simpleProfile } from "@rspp/contracts/Profile"
import { completeSessionConfig, defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { PriceList } from "@rspp/cli/PriceList"
import { AdmissionRules } from "@rspp/control/AdmissionPolicy"
import { PolicyBinding } from "@rspp/control/PolicyEvaluation"
import { adapters } from "@rspp/providers/Catalog"
import { NodesFile } from "@rspp/providers/nodes/ExternalNodes"
import { callScriptDefaults, CallScriptFile } from "@rspp/transports/loopback/CallScript"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { row, upper } from "./markdown.ts"
import { variables } from "./environment.ts"

/** As much of a JSON Schema as is read here. */
interface Node {
  readonly [keyword: string]: unknown
}

/** One setting. */
export interface Setting {
  readonly name: string
  readonly type: string
  readonly bounds: string
  readonly fallback: string
  readonly meaning: string
}

/** One table of the page. */
export interface Table {
  readonly title: string
  readonly intro: ReadonlyArray<string>
  readonly settings: ReadonlyArray<Setting>
}

const isNode = (value: unknown): value is Node => Predicate.isObject(value)
const nodes = (value: unknown): ReadonlyArray<Node> => Array.isArray(value) ? value.filter(isNode) : []
const words = (value: unknown): ReadonlyArray<string> => Array.isArray(value) ? value.map(String) : []
const number = (value: unknown): number | undefined => typeof value === "number" ? value : undefined

/** Beyond this a bound only says that the number is a safe integer. */
const anyNumber = Number.MAX_SAFE_INTEGER

/** `fromText`: what may be given as text, as the environment gives it, is shown as what it is. */
const typeOf = (node: Node, fromText: boolean): string => {
  if (Array.isArray(node["enum"])) return words(node["enum"]).map((value) => `\`${value}\``).join(", ")
  if (node["type"] === "array") {
    return isNode(node["items"]) && node["items"]["type"] !== "object"
      ? `list of ${typeOf(node["items"], false)}`
      : "list"
  }
  const types = [...new Set(nodes(node["anyOf"]).map((one) => typeOf(one, fromText)))]
  if (types.length > 0 && !(fromText && typeof node["type"] === "string")) {
    return fromText
      ? types.find((type) => type === "number" || type === "boolean") ?? types.join(" or ")
      : types.join(" or ")
  }
  return typeof node["type"] === "string" ? node["type"] : ""
}

const boundsOf = (node: Node): string => {
  const min = number(node["minimum"]) ?? number(node["minItems"])
  const max = number(node["maximum"]) ?? number(node["maxItems"])
  const above = number(node["exclusiveMinimum"])
  const own = above !== undefined
    ? `> ${above}`
    : max !== undefined && max < anyNumber
    ? min === undefined ? `≤ ${max}` : `${min} to ${max}`
    : min === undefined
    ? ""
    : `≥ ${min}`
  const all = nodes(node["allOf"]).map(boundsOf).filter((text) => text !== "")
  return [own, ...all, ...(node["uniqueItems"] === true ? ["no duplicates"] : [])].filter((text) => text !== "")
    .join(", ")
}

/** What it says of itself; a schema that is checked in two ways says it in one of them. */
const descriptionOf = (node: Node): string | undefined =>
  [node, ...nodes(node["allOf"])].map(({ description }) => description).find((text) => typeof text === "string")

const told = (value: unknown): string => {
  if (value === undefined) return "–"
  if (Redacted.isRedacted(value)) return "–"
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map((item) => `\`${String(item)}\``).join(", ")
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? `\`${value}\`` : "–"
}

const at = (value: unknown, key: string): unknown => isNode(value) ? value[key] : undefined

/** The settings of a schema, by their path; `[]` stands for each item of a list, `*` for each name. */
export const settingsOf = (
  schema: Schema.Constraint,
  defaults?: unknown,
  options: {
    readonly skip?: ReadonlyArray<string>
    readonly meaning?: (name: string) => string | undefined
    readonly fromText?: boolean
  } = {}
): ReadonlyArray<Setting> => {
  const document = Schema.toJsonSchemaDocument(schema, { onExcessProperty: "error" })
  const definitions: Node = document.definitions
  const resolve = (node: Node): Node => {
    const name = typeof node["$ref"] === "string" ? node["$ref"].slice("#/$defs/".length) : undefined
    const found = name === undefined ? undefined : definitions[name]
    return isNode(found) ? { ...resolve(found), ...node } : node
  }
  const walk = (
    path: string,
    given: Node,
    fallback: unknown,
    required: boolean,
    inherited: string
  ): ReadonlyArray<Setting> => {
    if (options.skip?.includes(path) === true) return []
    const node = resolve(given)
    const own = descriptionOf(node) ?? options.meaning?.(path) ?? inherited
    const properties = node["properties"]
    if (isNode(properties)) {
      const needed = words(node["required"])
      return Object.entries(properties).flatMap(([key, child]) =>
        isNode(child)
          ? walk(path === "" ? key : `${path}.${key}`, child, at(fallback, key), needed.includes(key), own)
          : []
      )
    }
    if (node["type"] === "array" && isNode(node["items"])) {
      const item = resolve(node["items"])
      const shapes = nodes(item["anyOf"]).map(resolve)
      const objects = isNode(item["properties"]) ? [item] : shapes.filter((shape) => isNode(shape["properties"]))
      if (objects.length > 0) {
        const seen = new Set<string>()
        return objects.flatMap((shape) => walk(`${path}[]`, shape, undefined, true, own)).filter(({ name }) =>
          !seen.has(name) && seen.add(name)
        )
      }
    }
    const free = node["additionalProperties"]
    if (node["type"] === "object" && isNode(free)) return walk(`${path}.*`, free, undefined, false, own)
    return [{
      name: path,
      type: typeOf(node, options.fromText === true),
      bounds: boundsOf(node),
      fallback: required && fallback === undefined ? "required" : told(fallback),
      meaning: own
    }]
  }
  const { schema: root } = document
  return isNode(root) ? walk("", root, defaults, true, "") : []
}

/** What docstrings say of settings: `- \`model\`, \`language\`: …`, by name. */
export const bulletsOf = (source: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const [, docstring = ""] of source.matchAll(/\/\*\*(.*?)\*\//gsu)) {
    const lines = docstring.split("\n").map((line) => line.replace(/^\s*\* ?/u, ""))
    for (const item of lines.join("\n").split(/\n(?=- `)/u)) {
      const flat = (item.split(/\n\s*\n/u)[0] ?? "").replace(/\s+/gu, " ")
      for (const part of flat.split(/;\s(?=`\w+`:)/u)) {
        const [, names = "", text = ""] = /^(?:- )?((?:`\w+`(?:, | and )?)+)(?: \([^)]*\))?:? (.+)$/u.exec(part) ?? []
        const clean = text.replace(/\{@link (\w+)\}/gu, "`$1`").trim()
        for (const [, name = ""] of names.matchAll(/`(\w+)`/gu)) if (!found.has(name)) found.set(name, clean)
      }
    }
  }
  return found
}

/** What is read of an adapter. */
interface Loaded {
  readonly summary: string
  readonly documentation: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string>>
  readonly required: ReadonlyArray<string>
  readonly settings: Schema.Decoder<unknown>
}

interface AdapterTable extends Table {
  readonly adapter: string
  readonly environment: Readonly<Record<string, string>>
}

/** Something that every setting takes which has no default. */
const placeholder = "http://127.0.0.1"

const adapterTable = (
  adapter: string,
  { documentation, environment, required, settings, summary }: Loaded,
  sources: ReadonlyArray<string>
) =>
  Effect.gen(function*() {
    const shared = bulletsOf(sources.filter((source) => !source.includes("adapterOf({")).join("\n"))
    const own = bulletsOf(sources.find((source) => source.includes(`adapter: "${adapter}"`)) ?? "")
    const given = Object.fromEntries(["api_key", ...required].map((name) => [name, placeholder]))
    const defaults = yield* Schema.decodeUnknownEffect(settings)(given)
    const table: AdapterTable = {
      adapter,
      environment,
      title: `\`${adapter}\``,
      intro: [`${summary}. Written from ${documentation.map((url) => `<${url}>`).join(", ")}.`],
      settings: settingsOf(settings, defaults, { fromText: true, meaning: (name) => own.get(name) ?? shared.get(name) })
        .map((
          setting
        ) => ({
          ...setting,
          name: setting.name,
          fallback: required.includes(setting.name) ? "required" : setting.fallback,
          meaning: environment[setting.name] === undefined
            ? upper(setting.meaning)
            : `${upper(setting.meaning)} Variable: \`${environment[setting.name] ?? ""}\`.`
        }))
    }
    return table
  })

const sourcesOf = (root: string): ReadonlyArray<string> =>
  globSync("packages/providers/src/{stt,llm,tts,hosted}/*.ts", { cwd: root }).sort()
    .map((path) => readFileSync(join(root, path), "utf8"))

/** The tables of the hosted adapters. */
const adapterTables = (root: string) => {
  const sources = sourcesOf(root)
  return Effect.forEach(adapters, (known) => {
    const load: Effect.Effect<Loaded> = known.load
    return Effect.flatMap(load, (loaded) => adapterTable(known.adapter, loaded, sources))
  })
}

const sessionDefaults = completeSessionConfig(defaultSessionConfig)

const files: ReadonlyArray<Table> = [
  {
    title: "Pipeline",
    intro: [
      "`rspp run --pipeline FILE`, `rspp pipeline publish`: YAML or JSON. [pipelines.md](pipelines.md) says how to write one;",
      "`npx rspp spec explain FILE` shows every value and who set it. Defaults are those of the profile `simple/v1`; an edge's",
      "policy depends on what it carries (`npx rspp spec normalize FILE` prints it). JSON Schema: [`contracts/schema/pipeline_spec.json`](../contracts/schema/pipeline_spec.json)."
    ],
    settings: settingsOf(artifactSchemas.pipeline_spec, {
      ...simpleProfile,
      schema_version: undefined,
      edge_buffer_policies: undefined,
      execution_profile: simpleProfile.profile_version,
      ...providerPhaseDefaults
    }, { skip: ["session_config", "subgraphs.*.nodes", "subgraphs.*.edges"] })
  },
  {
    title: "session_config",
    intro: [
      "A part of a pipeline; `rspp replay --set NAME=VALUE` replays a call under another one. What contradicts another setting is",
      "refused: `off_threshold ≤ on_threshold`, `min_ms ≤ unfinished_ms ≤ max_ms`, `unlikely_percent < likely_percent`."
    ],
    settings: settingsOf(artifactSchemas.session_config, sessionDefaults, { skip: ["schema_version"] })
  },
  {
    title: "Policy of a control plane",
    intro: [
      "`rspp policy put`: for which sessions of a tenant, and what they may do ([control-plane.md](control-plane.md)). What no",
      "binding says, the pipeline says."
    ],
    settings: settingsOf(PolicyBinding)
  },
  {
    title: "Admission of a control plane",
    intro: ["`rspp policy admission`: what a tenant may use. What is left out does not limit."],
    settings: settingsOf(AdmissionRules, { over_quota: "reject" })
  },
  {
    title: "Policy of a replay",
    intro: ["`rspp replay --policy FILE`: JSON, what the turns would have been allowed."],
    settings: settingsOf(artifactSchemas.policy_resolution_snapshot.fields.body)
  },
  {
    title: "Replay expectation",
    intro: ["`NAME.expected.json` beside `NAME.timeline`, or `rspp replay --expect FILE` ([replay.md](replay.md))."],
    settings: settingsOf(artifactSchemas.replay_expectation)
  },
  {
    title: "Access policy",
    intro: ["`--access FILE` of what reads recordings ([privacy.md](privacy.md)): what no rule permits is denied."],
    settings: settingsOf(artifactSchemas.access_policy)
  },
  {
    title: "Retention policy",
    intro: ["`rspp timeline sweep --policy FILE` ([privacy.md](privacy.md))."],
    settings: settingsOf(artifactSchemas.retention_policy)
  },
  {
    title: "Call script",
    intro: ["`rspp run --script FILE`: JSON, what the caller says or types, and when."],
    settings: settingsOf(CallScriptFile, callScriptDefaults)
  },
  {
    title: "Nodes file",
    intro: ["`--nodes FILE`: JSON, nodes that are programs of their own ([nodes.md](nodes.md))."],
    settings: settingsOf(NodesFile)
  },
  {
    title: "Price list",
    intro: ["`rspp timeline summary --prices FILE`: JSON. What is absent costs nothing."],
    settings: settingsOf(PriceList)
  }
]

/** Everything on the page that has no meaning, or is there twice. */
export const lacking = (tables: ReadonlyArray<Table>): ReadonlyArray<string> =>
  tables.flatMap(({ settings, title }) =>
    settings.filter(({ meaning }) => meaning.trim() === "").map(({ name }) =>
      `${title}: ${name} says nothing of itself`
    )
  )

const tableOf = (level: string, { intro, settings, title }: Table): ReadonlyArray<string> => [
  `${level} ${title}`,
  "",
  ...intro,
  "",
  "| name | type | default | bounds | meaning |",
  "| --- | --- | --- | --- | --- |",
  ...settings.map(({ bounds, fallback, meaning, name, type }) => row([`\`${name}\``, type, fallback, bounds, meaning])),
  ""
]

export interface Parts {
  readonly files: ReadonlyArray<Table>
  readonly adapters: ReadonlyArray<AdapterTable>
}

/** The page. */
export const pageOf = ({ adapters: hosted, files: tables }: Parts): string => {
  const named = new Set(variables.map(({ name }) => name))
  const ofAdapters = new Map<string, Array<string>>()
  for (const { adapter, environment } of hosted) {
    for (const [setting, name] of Object.entries(environment)) {
      if (!named.has(name)) ofAdapters.set(name, [...ofAdapters.get(name) ?? [], `\`${setting}\` of \`${adapter}\``])
    }
  }
  return [
    "# Configuration",
    "",
    "Generated by `node scripts/generate-configuration-reference.ts` from the Schemas that the program decodes with; do not edit.",
    "Flags are in [cli.md](cli.md); those of the [control plane](cli.md#rspp-control-plane) and the [worker](cli.md#rspp-worker) too.",
    "Files are closed: a name that is not here is refused, with its place. A flag wins over a variable, a variable over a default.",
    "",
    ...["Environment variables", ...tables.map(({ title }) => title), "Providers file"].map((title) =>
      `- [${title}](#${title.toLowerCase().replaceAll(" ", "-")})`
    ),
    "",
    "## Environment variables",
    "",
    "| variable | when not set | meaning |",
    "| --- | --- | --- |",
    ...variables.map(({ fallback, meaning, name }) => row([`\`${name}\``, fallback === "" ? "–" : fallback, meaning])),
    ...[...ofAdapters].sort(([a], [b]) => a < b ? -1 : 1).map(([name, settings]) =>
      row([`\`${name}\``, "the setting's default", `${upper(settings.join(", "))}.`])
    ),
    "",
    ...tables.flatMap((table) => tableOf("##", table)),
    "## Providers file",
    "",
    "`--providers FILE` or `RSPP_PROVIDERS`: YAML or JSON, `{ \"providers\": { \"maker/name\": { \"adapter\": …, settings … } } }`",
    "([providers.md](providers.md)). A secret is named, never written: `env:NAME` (a variable) or `file:PATH` (the first line of a",
    "file). The embedded adapters `embedded/moonshine`, `embedded/rules` and `embedded/flite` take no settings. Without a file each",
    "adapter below is a provider under its own name, with the settings of its variables. Numbers may be given as text.",
    "",
    ...hosted.flatMap((table) => tableOf("###", table))
  ].join("\n")
}

/** What the page is made of. */
export const gather = (root: string) =>
  Effect.map(adapterTables(root), (hosted): Parts => ({ files, adapters: hosted }))

if (import.meta.main) {
  const root = dirname(import.meta.dirname)
  const path = join(root, "docs/configuration.md")
  const parts = await Effect.runPromise(gather(root))
  const page = pageOf(parts)
  const problems = [...lacking([...parts.files, ...parts.adapters])]
  if (process.argv.includes("--check")) {
    if (!existsSync(path) || readFileSync(path, "utf8") !== page) {
      problems.push("docs/configuration.md has drifted; run: node scripts/generate-configuration-reference.ts")
    }
  } else {
    writeFileSync(path, page)
    console.log(`${parts.files.length + parts.adapters.length} tables`)
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
