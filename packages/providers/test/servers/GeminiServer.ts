import * as Schema from "effect/Schema"
import { eventStreamServer } from "./EventStreamServer.ts"
import type { Protocol, Refusal, Reply } from "./EventStreamServer.ts"

// Google's Gemini API, `models/{model}:streamGenerateContent?alt=sse`, as documented at
// https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/thinking and
// https://ai.google.dev/gemini-api/docs/troubleshooting. `GeminiServer.test.ts` has the vendor's own client pass against it.

const Parts = Schema.Array(Schema.Struct({ text: Schema.NonEmptyString })).check(Schema.isMinLength(1))

const Request = Schema.Struct({
  contents: Schema.Array(Schema.Struct({ role: Schema.optionalKey(Schema.Literals(["user", "model"])), parts: Parts })),
  systemInstruction: Schema.optionalKey(Schema.Struct({ role: Schema.optionalKey(Schema.String), parts: Parts })),
  generationConfig: Schema.optionalKey(Schema.Struct({
    maxOutputTokens: Schema.optionalKey(Schema.Int),
    temperature: Schema.optionalKey(Schema.Finite),
    thinkingConfig: Schema.optionalKey(Schema.Struct({
      thinkingBudget: Schema.optionalKey(Schema.Int),
      thinkingLevel: Schema.optionalKey(Schema.String)
    }))
  }))
})

const isRequest = Schema.is(Request)

/** Names of google.rpc.Code by status. */
const codes: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED"
}

const error = (status: number, message: string, details: ReadonlyArray<unknown> = []): Refusal => ({
  status,
  body: {
    error: {
      code: status,
      message,
      status: codes[status] ?? "UNKNOWN",
      ...(details.length === 0 ? {} : { details })
    }
  }
})

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\r\n\r\n`

const textOf = (parts: typeof Parts.Type): string => parts.map(({ text }) => text).join("")

const protocol: Protocol = {
  key: "AIza-test-0123456789abcdef",
  basePath: "",
  serves: (path) => /^\/v1beta\/models\/[\w.-]+:streamGenerateContent\?alt=sse$/u.test(path),
  keyOf: (headers) => [headers["x-goog-api-key"]].flat()[0],
  // A key that is not valid is a 400 at this vendor.
  unauthorised: error(400, "API key not valid. Please pass a valid API key.", [{
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason: "API_KEY_INVALID",
    domain: "googleapis.com",
    metadata: { service: "generativelanguage.googleapis.com" }
  }]),
  notFound: error(404, "Requested entity was not found."),
  // No Retry-After at this vendor: the wait is in the body.
  refusal: (status, retryAfterSeconds) =>
    error(
      status,
      status === 503 ? "The model is overloaded. Please try again later." : "Refused.",
      retryAfterSeconds === undefined
        ? []
        : [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: `${retryAfterSeconds}s` }]
    ),
  read: (body) => {
    if (!isRequest(body)) return error(400, "Invalid JSON payload received.")
    const { contents, systemInstruction } = body
    if (contents.length === 0) return error(400, "* GenerateContentRequest.contents: contents is not specified")
    if (contents.at(-1)?.role === "model") {
      return error(400, "Please ensure that multiturn requests end with a user turn")
    }
    return [
      ...(systemInstruction === undefined ? [] : [{ role: "system" as const, text: textOf(systemInstruction.parts) }]),
      ...contents.map(({ parts, role }) => ({
        role: role === "model" ? "assistant" as const : "user" as const,
        text: textOf(parts)
      }))
    ]
  },
  reply: (body) => {
    const promptTokenCount = isRequest(body) ? body.contents.length : 0
    const chunk = (text: string, finishReason: string | undefined, candidatesTokenCount: number): string =>
      data({
        candidates: [{
          content: { parts: [{ text }], role: "model" },
          ...(finishReason === undefined ? {} : { finishReason }),
          index: 0
        }],
        usageMetadata: {
          promptTokenCount,
          candidatesTokenCount,
          totalTokenCount: promptTokenCount + candidatesTokenCount,
          promptTokensDetails: [{ modality: "TEXT", tokenCount: promptTokenCount }]
        },
        modelVersion: "gemini-2.5-flash",
        responseId: "mAitaLmkHPPlz7IPvtfUqQ4"
      })
    return {
      begin: "",
      text: (text) => chunk(text, undefined, 1),
      end: (reply) => chunk("", "STOP", reply.split(" ").length),
      error: data({
        error: { code: 503, message: "The model is overloaded. Please try again later.", status: "UNAVAILABLE" }
      }),
      malformed: "data: {\"candidates\":[\r\n\r\n"
    }
  }
}

/** A server that speaks the Gemini API's `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`. */
export const geminiServer = (options: { readonly engine?: Reply } = {}) => eventStreamServer(protocol, options.engine)
