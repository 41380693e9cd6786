import * as Schema from "effect/Schema"
import { eventStreamServer } from "./EventStreamServer.ts"
import type { Protocol, Refusal, Reply } from "./EventStreamServer.ts"

// OpenAI's chat completions with `stream: true`, as documented at
// https://platform.openai.com/docs/api-reference/chat/create,
// https://platform.openai.com/docs/api-reference/chat-streaming and
// https://platform.openai.com/docs/guides/error-codes. `OpenAiServer.test.ts` has the vendor's own client pass against it.

const Request = Schema.Struct({
  model: Schema.String,
  stream: Schema.Literal(true),
  stream_options: Schema.optionalKey(Schema.Struct({ include_usage: Schema.optionalKey(Schema.Boolean) })),
  max_tokens: Schema.optionalKey(Schema.Int),
  max_completion_tokens: Schema.optionalKey(Schema.Int),
  temperature: Schema.optionalKey(Schema.Finite),
  messages: Schema.Array(Schema.Struct({
    role: Schema.Literals(["system", "developer", "user", "assistant"]),
    content: Schema.String
  })).check(Schema.isMinLength(1))
})

const isRequest = Schema.is(Request)

const error = (status: number, message: string, type: string, code: string | null): Refusal => ({
  status,
  headers: { "x-request-id": "req_0123456789abcdef" },
  body: { error: { message, type, param: null, code } }
})

const refusal = (status: number, retryAfterSeconds: number | undefined): Refusal => {
  if (status === 429) {
    const answer = error(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded")
    return retryAfterSeconds === undefined
      ? answer
      : { ...answer, headers: { ...answer.headers, "retry-after": `${retryAfterSeconds}` } }
  }
  if (status === 401) return unauthorised
  if (status >= 500) {
    return error(status, "The server had an error while processing your request", "server_error", null)
  }
  return error(status, "The request was refused", "invalid_request_error", null)
}

const unauthorised = error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

/** Some servers (older ones of llama.cpp and others) send no usage, whatever they are asked. */
const protocol = (sendsUsage: boolean): Protocol => ({
  key: "sk-test-openai-0123456789abcdef",
  basePath: "/v1",
  serves: (path) => path === "/v1/chat/completions",
  keyOf: ({ authorization }) => authorization?.replace(/^Bearer /u, ""),
  unauthorised,
  notFound: error(404, "Invalid URL (POST)", "invalid_request_error", null),
  refusal,
  read: (body) =>
    isRequest(body)
      ? body.messages.map(({ content, role }) => ({ role: role === "developer" ? "system" : role, text: content }))
      : error(400, "The body is not a streamed chat completion", "invalid_request_error", null),
  reply: (body) => {
    const request = isRequest(body) ? body : undefined
    const usage = sendsUsage && request?.stream_options?.include_usage === true
    const chunk = (choices: ReadonlyArray<unknown>, used: unknown = null): string =>
      data({
        id: "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        object: "chat.completion.chunk",
        created: 1_741_570_283,
        model: request?.model,
        service_tier: "default",
        system_fingerprint: "fp_44709d6fcb",
        choices,
        ...(usage ? { usage: used } : {})
      })
    const choice = (delta: unknown, finish_reason: string | null = null): string =>
      chunk([{ index: 0, delta, logprobs: null, finish_reason }])
    const prompt_tokens = request?.messages.length ?? 0
    return {
      begin: choice({ role: "assistant", content: "", refusal: null }),
      text: (content) => choice({ content }),
      end: (reply) => {
        const completion_tokens = reply.split(" ").length
        const total_tokens = prompt_tokens + completion_tokens
        return choice({}, "stop") + (usage ? chunk([], { prompt_tokens, completion_tokens, total_tokens }) : "") +
          "data: [DONE]\n\n"
      },
      error: data({
        error: { message: "The server had an error while processing your request", type: "server_error", code: null }
      }),
      malformed: "data: {\"id\":\"chatcmpl-B9MH\",\"choices\":[\n\n"
    }
  }
})

/** A server that speaks OpenAI's `POST /v1/chat/completions` with `stream: true`. */
export const openAiServer = (options: { readonly engine?: Reply; readonly sendsUsage?: boolean } = {}) =>
  eventStreamServer(protocol(options.sendsUsage ?? true), options.engine)
