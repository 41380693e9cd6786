import { ApiError, GoogleGenAI } from "@google/genai"
import { geminiServer } from "./GeminiServer.ts"
import { collect, officialClientSuite } from "./officialClient.ts"
import type { ProtocolServer } from "./ProtocolServer.ts"

const streamed = ({ baseUrl }: ProtocolServer, apiKey: string, abortSignal: AbortSignal) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl, apiVersion: "v1beta" } })
    .models.generateContentStream({
      model: "gemini-2.5-flash",
      contents: "Grüße, 世界 🎉",
      config: { systemInstruction: "Be brief.", thinkingConfig: { thinkingBudget: 0 }, abortSignal }
    })

officialClientSuite({
  name: "the Gemini protocol server",
  server: geminiServer(),
  ask: async function*(server, key, signal) {
    for await (const chunk of await streamed(server, key, signal)) yield chunk.text ?? ""
  },
  usage: async (server) => {
    const chunks = await collect(await streamed(server, server.key, new AbortController().signal))
    const usage = chunks.at(-1)?.usageMetadata
    return [usage?.promptTokenCount, usage?.candidatesTokenCount]
  },
  isUnauthorised: (error) => error instanceof ApiError && error.message.includes("API_KEY_INVALID"),
  isRateLimit: (error) => error instanceof ApiError && error.status === 429 && error.message.includes("\"1s\"")
})
