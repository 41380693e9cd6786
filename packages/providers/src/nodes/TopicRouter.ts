import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"

const smalltalk =
  /^(?:hello|hi|hey|good (?:morning|afternoon|evening|night)|how are you|how do you do|what's up|nice to meet you|thanks?|thank you|bye|goodbye|see you|have a nice)\b/iu
const question =
  /^(?:what|who|whom|whose|where|when|why|which|how|can|could|will|would|shall|should|may|might|is|are|am|was|were|do|does|did|have|has|tell me|explain|show me)\b|\?\s*$/iu

/** What the caller wants, by words alone. */
export const topicOf = (text: string): "question" | "smalltalk" => {
  const said = text.trim().replace(/^(?:(?:well|so|and|um|uh|okay|ok|please|now)[\s,]+)+/iu, "")
  if (smalltalk.test(said)) return "smalltalk"
  return question.test(said) ? "question" : "smalltalk"
}

/**
 * `example/topic_router`: says of a transcript whether it is a `question` or `smalltalk`, as its label, for edges with a
 * condition such as `{fact: label, is: equals, value: question}`. An example: it knows some English words.
 */
export const topicRouter = defineNode({
  id: "example/topic_router",
  inputs: ["transcript"],
  outputs: ["transcript"],
  onItem: ({ text }) => ({ text, label: topicOf(text) })
})
