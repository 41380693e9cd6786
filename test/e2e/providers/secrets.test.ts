// Holds I-NO-SECRETS for vendors' keys: each hosted adapter has one by seed, a hostile vendor repeats it wherever it can, and
// every byte that the real program writes is searched for it.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { plainText } from "@rspp/timeline/test/format/support/PlainText"
import { NamedRandom } from "@rspp/runtime/determinism/NamedRandom"
import { Effect, Exit, Scope } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { rspp } from "@rspp/cli/test/support/Program"
import type { Ended } from "@rspp/cli/test/support/Program"
import { recordingPath } from "../../support/Program.ts"
import { otlpReceiver } from "../../telemetry/OtlpReceiver.ts"
import type { OtlpReceiver } from "../../telemetry/OtlpReceiver.ts"
import { hostileVendor } from "./HostileVendor.ts"

const seed = 8
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const randomOf = (name: string, length: number, from = letters): string => {
  const random = new NamedRandom(seed, `secret/${name}`)
  return Array.from({ length }, () => from[Math.floor(random.next() * from.length)]).join("")
}

/** The hosted adapters: the shape of the vendor's keys, and what else each needs. */
const adapters = {
  "deepgram/streaming": { key: (name: string) => randomOf(name, 40, "0123456789abcdef"), settings: {} },
  "assemblyai/streaming": { key: (name: string) => randomOf(name, 32, "0123456789abcdef"), settings: {} },
  "openai/transcriptions": { key: (name: string) => `sk-proj-${randomOf(name, 48)}`, settings: { model: "m" } },
  "openai/compatible": { key: (name: string) => `sk-${randomOf(name, 48)}`, settings: { model: "m" } },
  "anthropic/messages": { key: (name: string) => `sk-ant-api03-${randomOf(name, 90)}`, settings: { model: "m" } },
  "google/gemini": { key: (name: string) => `AIza${randomOf(name, 35)}`, settings: { model: "m" } },
  "elevenlabs/websocket": { key: (name: string) => `sk_${randomOf(name, 48, "0123456789abcdef")}`, settings: {} },
  "elevenlabs/http": { key: (name: string) => randomOf(name, 32, "0123456789abcdef"), settings: {} },
  "cartesia/websocket": { key: (name: string) => `sk_car_${randomOf(name, 22)}`, settings: {} },
  "openai/speech": { key: (name: string) => `sk-svcacct-${randomOf(name, 48)}`, settings: { model: "m" } }
} as const
type AdapterName = keyof typeof adapters
const names = Object.keys(adapters) as ReadonlyArray<AdapterName>

/** Of the vendor's shape, and of none: only that it was given as one says that it is a secret. */
const shapes = ["shaped", "plain"] as const
const echoes = ["refusal", "in band"] as const

const idOf = (adapter: string): string => `x/${adapter.replace("/", "-")}`
const keyOf = (adapter: AdapterName, shape: (typeof shapes)[number]): string =>
  shape === "shaped"
    ? adapters[adapter].key(adapter)
    : `${randomOf(adapter, 8, letters.slice(26, 52))} ${randomOf(`${adapter}+`, 9, letters.slice(26, 52))}`

const literal = randomOf("literal", 24, letters.slice(26, 52))
/** No header can hold it: a client throws over it. */
const impossible = `${randomOf("impossible", 20, letters.slice(26, 52))}☃`
const keys = [
  ...names.flatMap((adapter) => shapes.map((shape) => keyOf(adapter, shape))),
  literal,
  impossible,
  impossible.slice(0, -1)
]

/** A key in the forms in which it may be written. */
const formsOf = (key: string): ReadonlyArray<string> => [
  ...new Set([
    key,
    encodeURIComponent(key),
    new URLSearchParams({ key }).toString().slice(4),
    Buffer.from(key).toString("base64").replace(/=+$/u, ""),
    Buffer.from(key).toString("base64url"),
    JSON.stringify(key).slice(1, -1)
  ])
]

const header =
  /(?:authorization|xi-api-key|x-api-key|x-goog-api-key)["']?\s*[:=,]?\s*["']?(?:(?:bearer|token|basic)\s+)?(?!\[secret\]|redacted\.value)[\w.~+/-]{8,}/giu

/** What of the secrets a text holds. */
const leaksIn = (text: string): ReadonlyArray<string> => [
  ...keys.filter((key) => formsOf(key).some((form) => text.includes(form))).map((key) => `the key ${key}`),
  ...(text.match(header) ?? []).map((found) => `the header ${found}`)
]

const scope = Scope.makeUnsafe()
const cwd = mkdtempSync(join(tmpdir(), "rspp-vendor-secrets-"))
const ended: Record<string, Ended> = {}
const repeated = new Set<string>()
const repeatedBy: Array<Set<string>> = []
let receiver: OtlpReceiver

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(cwd, { recursive: true, force: true })
})

/** What was given to the program: it is no output. */
const given = new Set<string>()
const give = (name: string, text: string) => {
  given.add(name)
  writeFileSync(join(cwd, name), text)
}

const textOf = (path: string): string => {
  try {
    if (path.endsWith(".timeline")) return plainText(readFileSync(path))
  } catch {
    // no timeline after all: searched as it is
  }
  return readFileSync(path, "latin1")
}

const written = (): ReadonlyArray<readonly [string, string]> =>
  readdirSync(cwd, { recursive: true, encoding: "utf8" })
    .filter((name) => !given.has(name) && statSync(join(cwd, name)).isFile())
    .map((name) => [name, textOf(join(cwd, name))] as const)

const trios = [
  ["deepgram/streaming", "openai/compatible", "elevenlabs/websocket"],
  ["assemblyai/streaming", "anthropic/messages", "cartesia/websocket"],
  ["openai/transcriptions", "google/gemini", "elevenlabs/http"],
  ["deepgram/streaming", "google/gemini", "openai/speech"]
] as const

beforeAll(async () => {
  mkdirSync(join(cwd, "tmp"))
  given.add("tmp")
  receiver = await Effect.runPromise(otlpReceiver().pipe(Effect.provideService(Scope.Scope, scope)))
  give(
    "call.json",
    JSON.stringify({
      steps: [{ say: recordingPath("goforward") }, { text: "And in writing?" }],
      reply_timeout_ms: 2000
    })
  )
  const work: Array<readonly [string, () => Promise<Ended>]> = []
  const start = (name: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
    work.push([name, () => rspp(args, { cwd, env: { TMPDIR: join(cwd, "tmp"), RSPP_DEBUG: "1", ...env } })])
  for (const echo of echoes) {
    const vendor = await Effect.runPromise(hostileVendor(echo).pipe(Effect.provideService(Scope.Scope, scope)))
    for (const shape of shapes) {
      const name = `${shape}-${echo.replace(" ", "-")}`
      const env: Record<string, string> = {}
      const providers = Object.fromEntries(names.map((adapter, index) => {
        const key = keyOf(adapter, shape)
        // A variable whose name does not say that it is a secret, or a file.
        const variable = `EARS_AND_VOICES_${index}`
        const file = `${name}.${index}.given`
        if (index % 2 === 0) env[variable] = key
        else give(file, `${key}\n`)
        return [idOf(adapter), {
          adapter,
          base_url: `http://127.0.0.1:${vendor.port}`,
          api_key: index % 2 === 0 ? `env:${variable}` : `file:${file}`,
          ...adapters[adapter].settings
        }]
      }))
      give(`${name}.providers.json`, JSON.stringify({ providers }))
      const file = ["--providers", `${name}.providers.json`]
      start(`check ${name}`, ["providers", "check", ...names.map(idOf), ...file, "--json"], env)
      if (echo === "refusal") {
        start(`check for people ${name}`, ["providers", "check", ...names.map(idOf), ...file], env)
        start(`list ${name}`, ["providers", "list", ...file, "--json"], env)
      }
      // Every adapter meets every echo in `check`; calls take the longest.
      const combined = shape === "shaped" ? trios.slice(2, 3) : echo === "refusal" ? trios : trios.slice(0, 2)
      for (const [index, [stt, llm, tts]] of combined.entries()) {
        const call = `${name}-${index}`
        give(
          `${call}.pipeline.json`,
          JSON.stringify({
            schema_version: "v1.0",
            pipeline_id: "p",
            pipeline_version: "p/1",
            providers: { stt: idOf(stt), llm: idOf(llm), tts: idOf(tts) },
            fallback_providers: { llm: "embedded/rules" },
            allowed_adaptive_actions: ["retry", "fallback"],
            recording_policy: { recording_level: "L2" }
          })
        )
        start(call, [
          ...["run", "--script", "call.json", "--pipeline", `${call}.pipeline.json`, ...file, "--speed", "max"],
          ...["--timeline", `${call}.timeline`, "--trace", `${call}.trace`, "--log-level", "debug"],
          ...(index === 0 ? ["--store", "dir:store"] : []),
          ...(index % 2 === 0 ? ["--json"] : [])
        ], {
          ...env,
          // What the vendor repeats is in traces, metrics and logs if anywhere.
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          ...(index % 2 === 0 ? { RSPP_LOG_FORMAT: "json" } : {})
        })
      }
    }
    repeatedBy.push(vendor.keys)
    for (const adapter of echo === "refusal" ? ["openai/compatible", "deepgram/streaming", "elevenlabs/http"] : []) {
      const name = `impossible-${adapter.replace("/", "-")}`
      give(`${name}.given`, impossible)
      give(
        `${name}.json`,
        JSON.stringify({
          providers: {
            "x/one": { adapter, base_url: `http://127.0.0.1:${vendor.port}`, api_key: `file:${name}.given`, model: "m" }
          }
        })
      )
      start(name, ["providers", "check", "x/one", "--providers", `${name}.json`])
    }
  }
  // A defect in the middle of an adapter, which has the key in its message.
  give(
    "defect.mjs",
    `const { toString } = URLSearchParams.prototype
URLSearchParams.prototype.toString = function() {
  const text = toString.call(this)
  if (text.includes("linear16")) throw new Error("a defect that tells " + process.env.EARS_OF_A_DEFECT)
  return text
}
`
  )
  give(
    "defect.json",
    JSON.stringify({
      providers: {
        "x/one": { adapter: "deepgram/streaming", api_key: "env:EARS_OF_A_DEFECT", base_url: "http://127.0.0.1:9" }
      }
    })
  )
  start("defect", ["providers", "check", "x/one", "--providers", "defect.json"], {
    EARS_OF_A_DEFECT: keyOf("deepgram/streaming", "plain"),
    NODE_OPTIONS: `--import ${pathToFileURL(join(cwd, "defect.mjs")).href}`
  })
  const usual = Object.fromEntries(
    ["DEEPGRAM", "ASSEMBLYAI", "ANTHROPIC", "GEMINI", "CARTESIA", "ELEVENLABS", "OPENAI", "RSPP_LLM"].map((
      vendor,
      index
    ) => [`${vendor}_API_KEY`, keyOf(names[index]!, "plain")])
  )
  start("list by the environment", ["providers", "list"], usual)
  start("doctor", ["doctor"], usual)
  start(
    "explain",
    ["spec", "explain", "plain-refusal-0.pipeline.json", "--providers", "plain-refusal.providers.json"],
    usual
  )
  for (
    const [name, text] of Object.entries({
      "written in": JSON.stringify({ providers: { "x/one": { adapter: "openai/compatible", api_key: literal } } }),
      "of another form": JSON.stringify({
        providers: { "x/one": { adapter: "openai/compatible", api_key: { value: literal } } }
      }),
      "in a list": JSON.stringify({ providers: [{ adapter: "openai/compatible", api_key: literal }] }),
      "as an address": JSON.stringify({
        providers: { "x/one": { adapter: "openai/compatible", model: "m", base_url: literal, api_key: "env:NONE" } }
      }),
      "no JSON": `{"providers": {"x/one": {"adapter": "openai/compatible", "api_key": "${literal}"`
    })
  ) {
    const file = `${name.replaceAll(" ", "-")}.wrong.json`
    give(file, text)
    start(`providers file, ${name}`, ["providers", "list", "--providers", file])
  }
  const worker = async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) ended[next[0]] = await next[1]()
  }
  await Promise.all([worker(), worker()])
  const recorded = readdirSync(cwd).filter((name) => name.endsWith(".timeline"))
  for (const [index, format] of (["jsonl", "otlp", "perfetto"] as const).entries()) {
    const file = recorded[index % recorded.length]!
    ended[`export ${format}`] = await rspp(["timeline", "export", file, "--format", format], { cwd })
  }
  for (const seen of repeatedBy) for (const key of seen) repeated.add(key)
}, 900_000)

describe("vendors' keys", () => {
  it("reached the hostile vendor, which repeated them", () => {
    const all = [...repeated].join("\n")
    const unseen = names.filter((adapter) =>
      !all.includes(keyOf(adapter, "shaped")) || !all.includes(keyOf(adapter, "plain"))
    )
    assert.deepStrictEqual(unseen, [])
  })

  it("are in nothing that the program says", () => {
    const found = Object.entries(ended).flatMap(([run, { stderr, stdout }]) =>
      [...leaksIn(stdout), ...leaksIn(stderr)].map((leak) => `${run}: ${leak}`)
    )
    assert.deepStrictEqual(found, [])
  })

  it("are in no file that it wrote: timelines, traces, a store, temporary directories", () => {
    const files = written()
    assert.isAtLeast(files.filter(([name]) => name.endsWith(".timeline")).length, 8)
    assert.isAtLeast(files.filter(([name]) => name.endsWith(".trace")).length, 8)
    assert.isTrue(files.some(([name]) => name.startsWith("store/")))
    assert.deepStrictEqual(files.flatMap(([name, text]) => leaksIn(text).map((leak) => `${name}: ${leak}`)), [])
  })

  it("are in nothing that is exported: traces, metrics, logs", () => {
    for (const path of ["/v1/traces", "/v1/metrics", "/v1/logs"]) {
      const sent = receiver.requests.filter(({ url }) => url === path)
      assert.isAtLeast(sent.length, 8, path)
      assert.deepStrictEqual(sent.flatMap(({ body }) => leaksIn(body.toString("latin1"))), [])
    }
    // The calls did fail at the vendor, and are told.
    assert.isTrue(receiver.logs.some(({ attributes }) => attributes["event.name"] === "rspp.provider.failed"))
  })

  it("would be found: in plain, encoded for an address, in base64, and as a header of any value", () => {
    for (const key of keys) {
      for (const form of formsOf(key)) assert.isNotEmpty(leaksIn(`{"message":"refused ${form}."}`), form)
    }
    // The same way through the files: a log with a key in it, somewhere below.
    writeFileSync(
      join(cwd, "tmp", "planted.log"),
      `the vendor said: ${encodeURIComponent(keyOf("google/gemini", "plain"))}`
    )
    const found = written().filter(([, text]) => leaksIn(text).length > 0).map(([name]) => name)
    rmSync(join(cwd, "tmp", "planted.log"))
    assert.deepStrictEqual(found, [join("tmp", "planted.log")])
    assert.isNotEmpty(leaksIn("authorization: Bearer 0123456789"))
    assert.isNotEmpty(leaksIn("\"xi-api-key\":\"0123456789\""))
    assert.isEmpty(leaksIn("authorization: [secret]"))
  })

  it("a wrong providers file is refused with a word on what is wrong", () => {
    const of = (name: string) => ended[`providers file, ${name}`]
    for (const name of ["of another form", "in a list", "no JSON"]) {
      assert.strictEqual(of(name)?.code, 3, name)
      assert.isNotEmpty(of(name)?.stderr)
    }
    assert.include(of("written in")?.stdout, "take the secret out of the file")
  })

  it("that no header can hold are refused before anything is asked", () => {
    const refused = Object.entries(ended).filter(([name]) => name.startsWith("impossible"))
    assert.strictEqual(refused.length, 3)
    for (const [name, { code, stdout }] of refused) {
      assert.strictEqual(code, 1, name)
      assert.include(stdout, "MISCONFIGURED", name)
    }
  })

  it("are not in the report of a defect that tells one", () => {
    const { code, stderr, stdout } = ended["defect"]!
    assert.strictEqual(code, 70, stdout + stderr)
    assert.include(stderr, "a defect that tells")
  })
})
