import * as Schema from "effect/Schema"

/** How a node's work ends when it did not succeed, in the classes of provider calls (CONTRACT section 7). */
export const NodeFailureClass = Schema.Literals(["timeout", "overload", "blocked", "infrastructure_failure"])

/**
 * A node cannot do what it was asked, and says so.
 *
 * `blocked`: it refuses the payload. The others: it could not. Edges with `fallback_on` and the turn's plan decide what
 * becomes of it. `message` is one sentence that is recorded: never a key, a token or the caller's words.
 */
export class NodeFailure extends Schema.TaggedError<NodeFailure>()("NodeFailure", {
  message: Schema.String,
  outcome_class: NodeFailureClass,
  retryable: Schema.optionalKey(Schema.Boolean)
}) {}

/** The node refuses this payload: the outcome is `blocked`. */
export const blocked = (message: string): NodeFailure => new NodeFailure({ message, outcome_class: "blocked" })

/** The node could not do it: the outcome is `infrastructure_failure`. */
export const broken = (message: string, retryable = false): NodeFailure =>
  new NodeFailure({ message, outcome_class: "infrastructure_failure", retryable })
