import * as Schema from "effect/Schema"
import { eventStreamServer } from "./EventStreamServer.ts"
import type { Protocol, Refusal, Reply } from "./EventStreamServer.ts"

// Anthropic's messages with `stream: true`, as documented at
// https://platform.claude.com/docs/en/api/messages,
// https://platform.claude.com/docs/en/build-with-claude/streaming, https://platform.claude.com/docs/en/api/versioning and
// https://platform.claude.com/docs/en/api/errors. `AnthropicServer.test.ts` has the vendor's own client pass against it.

const Text = Schema.Struct({ type: Schema.Literal("text"), text: Schema.NonEmptyString })
const Content = Schema.Union([Schema.NonEmptyString, Schema.Array(Text).check(Schema.isMinLength(1))])

const Request = Schema.Struct({
  model: Schema.String,
  max_tokens: Schema.Int.check(Schema.isGreaterThan(0)),
  stream: Schema.Literal(true),
  temperature: Schema.optionalKey(Schema.Finite),
  system: Schema.optionalKey(Content),
  thinking: Schema.optionalKey(Schema.Struct({
    type: Schema.Literals(["disabled", "between_tools", "adaptive", "enabled"])
  })),
  output_config: Schema.optionalKey(Schema.Struct({
    effort: Schema.optionalKey(Schema.Literals(["low", "medium", "high", "xhigh", "max"]))
  })),
  messages: Schema.Array(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), content: Content }))
})

const isRequest = Schema.is(Request)

const textOf = (content: typeof Content.Type): string =>
  typeof content === "string" ? content : content.map(({ text }) => text).join("")

/** Types of errors by status; 529 is Anthropic's own. */
const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  504: "timeout_error",
  529: "overloaded_error"
}

const requestId = "req_011CSHoEeqs5C35K2UUqR7Fy"

const error = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): Refusal => ({
  status,
  headers: { "request-id": requestId, ...headers },
  body: { type: "error", error: { type: types[status] ?? "api_error", message }, request_id: requestId }
})

const event = (value: { readonly type: string }): string => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`

const protocol: Protocol = {
  key: "sk-ant-test-0123456789abcdef",
  basePath: "",
  serves: (path) => path === "/v1/messages",
  // The API takes the key in either header, the vendor's own clients (since API version 2026-10-21) send the second.
  keyOf: (headers) => [headers["x-api-key"]].flat()[0] ?? headers.authorization?.replace(/^Bearer /u, ""),
  unauthorised: error(401, "invalid x-api-key"),
  notFound: error(404, "Not found"),
  refusal: (status, retryAfterSeconds) =>
    error(
      status,
      status === 529 ? "Overloaded" : "Refused",
      retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` }
    ),
  read: (body, headers) => {
    const version = headers["anthropic-version"]
    if (version === undefined) return error(400, "anthropic-version: header is required")
    if (!isRequest(body)) return error(400, "messages: the body is not a streamed message")
    const { messages, system } = body
    if (messages.length === 0) return error(400, "messages: at least one message is required")
    if (messages[0]?.role !== "user") return error(400, "messages: first message must use the \"user\" role")
    if (version !== "2023-06-01" && body.temperature !== undefined) {
      return error(400, "temperature: Extra inputs are not permitted")
    }
    if (messages.at(-1)?.role === "assistant") {
      return error(
        400,
        "This model does not support assistant message prefill. The conversation must end with a user message."
      )
    }
    return [
      ...(system === undefined ? [] : [{ role: "system" as const, text: textOf(system) }]),
      ...messages.map(({ content, role }) => ({ role, text: textOf(content) }))
    ]
  },
  reply: (body) => {
    const request = isRequest(body) ? body : undefined
    const input_tokens = request?.messages.length ?? 0
    const message = {
      id: "msg_01EcyWo6m4hyW8KHs2y2pei5",
      type: "message",
      role: "assistant",
      model: request?.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 1 }
    }
    const start = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }
    return {
      begin: event({ type: "message_start", ...{ message } }) + event(start) + event({ type: "ping" }),
      text: (text) => event({ type: "content_block_delta", ...{ index: 0, delta: { type: "text_delta", text } } }),
      end: (reply) =>
        event({ type: "content_block_stop", ...{ index: 0 } }) +
        event({
          type: "message_delta",
          ...{
            delta: { stop_reason: "end_turn", stop_sequence: null },
            usage: { output_tokens: reply.split(" ").length }
          }
        }) +
        event({ type: "message_stop" }),
      error: event({ type: "error", ...{ error: { type: "overloaded_error", message: "Overloaded" } } }),
      malformed: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\n\n"
    }
  }
}

/** A server that speaks Anthropic's `POST /v1/messages` with `stream: true`. */
export const anthropicServer = (options: { readonly engine?: Reply } = {}) =>
  eventStreamServer(protocol, options.engine)
