import { createServer } from "node:http"

/** A language model that says what the test wants: a server on 127.0.0.1, as {@link AgentProcess} takes it. */
export interface ScriptedModel extends AsyncDisposable {
  /** Settings of the agent's process. */
  readonly environment: Readonly<Record<string, string>>
}

/** A reply of several sentences, about half a minute long. */
export const longReply = Array.from(
  { length: 8 },
  (_, i) => `This is sentence number ${i + 1} of a long reply, and it goes on for a while.`
).join(" ")

const piece = (content: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`

/**
 * Answers what was said last by `reply`, in words, after `thinkMs`: so long nothing of the answer can be heard, and the
 * end of a reply that was cut is told apart from the next one's beginning.
 */
export const scriptedModel = async (
  reply: (heard: string) => string,
  thinkMs: number
): Promise<ScriptedModel> => {
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (text: string) => (body += text))
    request.on("end", () => {
      // A connection that is opened ahead of the first question.
      if (request.method === "OPTIONS") return void response.end()
      const { messages } = JSON.parse(body) as { readonly messages: ReadonlyArray<{ readonly content: string }> }
      const timer = setTimeout(() => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        for (const word of reply(messages.at(-1)?.content ?? "").match(/\s*\S+/gu) ?? []) response.write(piece(word))
        response.end(`${piece("", "stop")}data: [DONE]\n\n`)
      }, thinkMs)
      response.on("close", () => clearTimeout(timer))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    environment: { RSPP_LLM_BASE_URL: `http://127.0.0.1:${port}/v1`, RSPP_LLM_MODEL: "scripted" },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}
