import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { anthropicServer } from "@rspp/providers/test/servers/AnthropicServer"
import { assemblyAiServer } from "@rspp/providers/test/servers/AssemblyAiServer"
import { cartesiaServer } from "@rspp/providers/test/servers/CartesiaServer"
import { deepgramServer } from "@rspp/providers/test/servers/DeepgramServer"
import { elevenLabsServer } from "@rspp/providers/test/servers/ElevenLabsServer"
import { geminiServer } from "@rspp/providers/test/servers/GeminiServer"
import { openAiServer } from "@rspp/providers/test/servers/OpenAiServer"
import { openAiSpeechServer } from "@rspp/providers/test/servers/OpenAiSpeechServer"
import { openAiTranscriptionsServer } from "@rspp/providers/test/servers/OpenAiTranscriptionsServer"
import type { ProtocolServer } from "@rspp/providers/test/servers/ProtocolServer"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { recordingPath, recordings, rspp } from "../../support/Program.ts"
import { wordErrorRate } from "../../support/Words.ts"
import { embeddedEngines } from "./EmbeddedEngines.ts"

/** The shipped conversation: four turns, one of them cut. */
const said = ["goforward", "something", "vm-savefolder", "librivox-0880"] as const

const script = {
  steps: [
    { say: recordingPath("goforward") },
    { say: recordingPath("something") },
    { say: recordingPath("vm-savefolder") },
    { say: recordingPath("librivox-0880"), at: { after: "agent_started", delay_ms: 2500 } }
  ],
  hang_up: { after: "agent_finished", delay_ms: 500 }
}

/** The pipeline names no vendor: which one is behind an id is a line of the providers file. */
const pipeline = {
  schema_version: "v1.0",
  pipeline_id: "hosted",
  pipeline_version: "hosted/1",
  providers: { stt: "main/ears", llm: "main/mind", tts: "main/voice" }
}

type Role = "main/ears" | "main/mind" | "main/voice"

/** A vendor in a role: the adapter, and what it needs besides the address and the key. */
interface Vendor {
  readonly role: Role
  readonly settings: Readonly<Record<string, string>>
  readonly server: ProtocolServer
}

const scope = Scope.makeUnsafe()
const cwd = mkdtempSync(join(tmpdir(), "rspp-hosted-"))
const vendors = new Map<string, Vendor>()

beforeAll(async () => {
  await Effect.runPromise(
    Effect.gen(function*() {
      const { reply, transcribe, voice } = yield* embeddedEngines
      const add = (
        role: Role,
        adapter: string,
        settings: Readonly<Record<string, string>>,
        server: Effect.Effect<ProtocolServer, never, Scope.Scope>
      ) => Effect.map(server, (server) => vendors.set(adapter, { role, settings, server }))
      const model = { model: "test-model" }
      yield* add("main/ears", "deepgram/streaming", {}, deepgramServer({ engine: transcribe }))
      yield* add("main/ears", "assemblyai/streaming", {}, assemblyAiServer({ engine: transcribe }))
      yield* add("main/ears", "openai/transcriptions", model, openAiTranscriptionsServer({ engine: transcribe }))
      yield* add("main/mind", "openai/compatible", model, openAiServer({ engine: reply }))
      yield* add("main/mind", "anthropic/messages", model, anthropicServer({ engine: reply }))
      yield* add("main/mind", "google/gemini", model, geminiServer({ engine: reply }))
      yield* add("main/voice", "elevenlabs/websocket", {}, elevenLabsServer({ engine: voice }))
      yield* add("main/voice", "elevenlabs/http", {}, elevenLabsServer({ engine: voice }))
      yield* add("main/voice", "cartesia/websocket", {}, cartesiaServer({ engine: voice }))
      yield* add("main/voice", "openai/speech", model, openAiSpeechServer({ engine: voice }))
    }).pipe(Effect.provideService(Scope.Scope, scope), Effect.orDie)
  )
  writeFileSync(join(cwd, "call.json"), JSON.stringify(script))
  writeFileSync(join(cwd, "pipeline.json"), JSON.stringify(pipeline))
}, 120_000)

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(cwd, { recursive: true, force: true })
})

/** One run of the conversation with the usual three, and one of them swapped. */
const runWith = async (swapped?: string) => {
  const usual = ["deepgram/streaming", "openai/compatible", "elevenlabs/websocket"]
  const name = (swapped ?? "usual").replace("/", "-")
  const providers: Record<string, unknown> = {}
  for (const adapter of swapped === undefined ? usual : [...usual, swapped]) {
    const { role, server, settings } = vendors.get(adapter)!
    writeFileSync(join(cwd, `${name}-${role.slice(5)}.key`), `${server.key}\n`)
    providers[role] = { adapter, base_url: server.baseUrl, api_key: `file:${name}-${role.slice(5)}.key`, ...settings }
  }
  writeFileSync(join(cwd, `${name}.json`), JSON.stringify({ providers }))
  const run = await rspp(
    cwd,
    ...["run", "--script", "call.json", "--pipeline", "pipeline.json", "--providers", `${name}.json`],
    ...["--timeline", `${name}.timeline`, "--speed", "max", "--json"]
  )
  return { name, run }
}

interface Summary {
  readonly conversation: ReadonlyArray<{ readonly who: string; readonly text: string }>
}

/** The call went well: the caller was understood, every turn was answered, and its recording replays identical. */
const wentWell = async (swapped?: string) => {
  const { name, run } = await runWith(swapped)
  assert.strictEqual(run.stderr, "")
  assert.strictEqual(run.code, 0, run.stdout)
  const { conversation } = JSON.parse(run.stdout) as Summary
  const heard = conversation.filter(({ who }) => who === "you").map(({ text }) => text)
  const answered = conversation.filter(({ who }) => who === "agent")
  assert.isAtMost(
    wordErrorRate(said.map((one) => recordings[one]).join(" "), heard.join(" ")),
    0.2,
    JSON.stringify(conversation)
  )
  assert.isAtLeast(answered.length, said.length, JSON.stringify(conversation))
  const replay = await rspp(cwd, "replay", `${name}.timeline`)
  assert.strictEqual(replay.code, 0, replay.stdout + replay.stderr)
}

describe("the shipped conversation through vendors' protocols", () => {
  it(
    "flows from Deepgram's through an OpenAI-compatible one to ElevenLabs', and replays identical",
    () => wentWell(),
    300_000
  )

  it.each([
    "assemblyai/streaming",
    "openai/transcriptions",
    "anthropic/messages",
    "google/gemini",
    "elevenlabs/http",
    "cartesia/websocket",
    "openai/speech"
  ])("and as well with %s in its place: one line of the providers file, and none of the pipeline", wentWell, 300_000)
})
