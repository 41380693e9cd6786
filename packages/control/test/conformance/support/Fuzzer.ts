import { at } from "./Api.ts"
import type { Answer } from "./Api.ts"

// Requests that are made from the OpenAPI document and a seed: mostly right in form, with something wrong in it now and
// then. The same seed makes the same requests.

export interface FuzzOptions {
  readonly seed: number
  readonly requests: number
  /** The OpenAPI document. */
  readonly document: unknown
  readonly send: (
    method: string,
    path: string,
    sent: { readonly key: string; readonly body?: unknown }
  ) => Promise<Answer>
  /** Keys to ask with. */
  readonly keys: ReadonlyArray<string>
  /** Values for parameters and texts, beside drawn ones: the ids of things that are there, of any tenant. */
  readonly words: ReadonlyArray<string>
  /** Operations that are left out, by `METHOD path`. */
  readonly without?: ReadonlyArray<string>
  /** What no answer may hold. */
  readonly secrets: ReadonlyArray<string>
}

export interface FuzzReport {
  readonly requests: number
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<number, number>>
  /** Operations that were answered with success at least once. */
  readonly succeeded: ReadonlySet<string>
  readonly findings: ReadonlyArray<string>
}

const strange = [
  "",
  " ",
  "0",
  "-1",
  "null",
  "a/b",
  "..",
  "%",
  "'; DROP TABLE rspp_audit; --",
  "\u0000",
  "\ud83d\ude00",
  "é".repeat(300),
  "__proto__",
  "r1",
  "sha256:x"
]
const numbers = [0, 1, 2, -1, 0.5, 100, 101, 4_294_967_296, 9_007_199_254_740_991, 1e300, -1e300]

const mulberry32 = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? value as Readonly<Record<string, unknown>> : {}
const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

export const fuzz = async (
  { document, keys, requests, secrets, seed, send, without = [], words }: FuzzOptions
): Promise<FuzzReport> => {
  const draw = mulberry32(seed)
  const chance = (p: number) => draw() < p
  const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(draw() * list.length)]!
  const text = () => (chance(0.7) ? pick(words) : pick(strange))

  const valueOf = (schema: unknown, depth = 0): unknown => {
    if (depth > 8 || chance(0.01)) return pick([null, true, [], {}, "x", 7])
    const of = recordOf(schema)
    const { $ref: ref } = of
    if (typeof ref === "string") return valueOf(at(document, ...ref.split("/").slice(1)), depth + 1)
    const options = [...listOf(of["anyOf"]), ...listOf(of["oneOf"])]
    if (options.length > 0) return valueOf(pick(options), depth + 1)
    if (Array.isArray(of["enum"])) return chance(0.97) ? pick(of["enum"]) : text()
    if ("const" in of) return of["const"]
    switch (of["type"]) {
      case "string":
        return text()
      case "number":
      case "integer":
        return chance(0.6) ? Math.floor(draw() * 100) : pick(numbers)
      case "boolean":
        return chance(0.5)
      case "null":
        return null
      case "array":
        return Array.from({ length: Math.floor(draw() * 4) }, () => valueOf(of["items"], depth + 1))
      case "object": {
        const required = listOf(of["required"])
        const made: Record<string, unknown> = {}
        for (const [name, inner] of Object.entries(recordOf(of["properties"]))) {
          if (required.includes(name) ? chance(0.98) : chance(0.4)) made[name] = valueOf(inner, depth + 1)
        }
        if (chance(0.02)) made[text()] = text()
        return made
      }
      default:
        // anything: a spec, most of the time one that can be published
        return chance(0.6)
          ? { schema_version: "v1.0", pipeline_id: pick(words), pipeline_version: String(Math.floor(draw() * 50)) }
          : pick([null, 1, "x", [], {}])
    }
  }

  const operations = Object.entries(recordOf(at(document, "paths"))).flatMap(([path, methods]) =>
    Object.entries(recordOf(methods)).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  ).filter(({ method, path }) => !without.includes(`${method} ${path}`))

  const statuses: Record<number, number> = {}
  const succeeded = new Set<string>()
  const findings: Array<string> = []
  for (let n = 0; n < requests; n++) {
    const { method, operation, path } = pick(operations)
    let url = path
    const query = new URLSearchParams()
    for (const parameter of listOf(at(operation, "parameters"))) {
      const name = String(at(parameter, "name"))
      if (at(parameter, "in") === "path") url = url.replace(`{${name}}`, encodeURIComponent(text() || "x"))
      else if (at(parameter, "in") === "query" && chance(0.3)) {
        query.set(name, JSON.stringify(valueOf(at(parameter, "schema"))).replaceAll("\"", ""))
      }
    }
    if (chance(0.02)) query.set(text(), text())
    const schema = at(operation, "requestBody", "content", "application/json", "schema")
    const body = schema === undefined ? undefined : chance(0.01) ? "{" : JSON.stringify(valueOf(schema))
    const target = query.size === 0 ? url : `${url}?${query.toString()}`
    const sent = { key: pick(keys), ...(body === undefined ? {} : { body }) }
    const answer = await send(method, target, sent)
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
    if (answer.status < 300) succeeded.add(`${method} ${path}`)
    const said = `request ${n} of seed ${seed}: ${method} ${target} ${body ?? ""} → ${answer.status} ${
      answer.text.slice(0, 300)
    }`
    if (answer.status >= 500) findings.push(`a fault: ${said}`)
    const leaked = secrets.find((secret) => answer.text.includes(secret))
    if (leaked !== undefined) findings.push(`another tenant's: ${said}`)
    if (answer.status >= 400 && !/problem\+json/u.test(answer.headers.get("content-type") ?? "")) {
      findings.push(`no problem details: ${said}`)
    }
  }
  return { requests, statuses, succeeded, findings }
}
