import type { Message } from "@rspp/runtime/ports/LanguageModel"

/** What stands for the caller before the first word of a call: vendors refuse a conversation that the caller did not open. */
export const callBegins = "(The call begins.)"

/** What stands for the caller who has said nothing since the last reply: vendors refuse to answer themselves. */
export const callerIsSilent = "(The caller says nothing.)"

/** One side's words, as much of them as came in a row. */
export interface Turn {
  readonly role: "user" | "assistant"
  readonly text: string
}

/** A conversation as every vendor takes it. */
export interface Conversation {
  /** All system messages, a blank line between them; undefined where there are none. */
  readonly system: string | undefined
  /** At least one. The first and the last are the user's, and the two sides alternate. */
  readonly turns: ReadonlyArray<Turn>
}

/**
 * A conversation in the strictest form that vendors ask for: system messages apart, blank messages left out, messages of
 * one side in a row joined by a line end, and the user first and last. Where the user said nothing there,
 * {@link callBegins} or {@link callerIsSilent} says so.
 *
 * `prompt`, where there is one, comes before the system messages.
 */
export const conversationOf = (messages: ReadonlyArray<Message>, prompt?: string): Conversation => {
  const system = prompt === undefined ? [] : [prompt]
  const turns: Array<{ readonly role: Turn["role"]; text: string }> = []
  const add = (role: Turn["role"], text: string): void => {
    const last = turns.at(-1)
    if (last?.role === role) last.text += `\n${text}`
    else turns.push({ role, text })
  }
  for (const { role, text } of messages) {
    if (text.trim() === "") continue
    if (role === "system") system.push(text)
    else {
      if (turns.length === 0 && role === "assistant") add("user", callBegins)
      add(role, text)
    }
  }
  if (turns.at(-1)?.role !== "user") add("user", turns.length === 0 ? callBegins : callerIsSilent)
  return { system: system.length === 0 ? undefined : system.join("\n\n"), turns }
}
