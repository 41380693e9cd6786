import { parser } from "@prometheus-io/lezer-promql"

type SyntaxNode = ReturnType<typeof parser.parse>["topNode"]

/** One `label op "value"` of a selector. */
export interface Matcher {
  readonly label: string
  readonly op: string
  readonly value: string
}

/** One series selector of an expression. */
export interface Selector {
  readonly metric: string
  readonly matchers: ReadonlyArray<Matcher>
}

/** Labels that an expression groups or joins by, and the metrics that they are said of. */
export interface Grouping {
  readonly labels: ReadonlyArray<string>
  readonly metrics: ReadonlyArray<string>
}

/** What a PromQL expression asks for. */
export interface Query {
  /** Where it cannot be parsed, if anywhere. */
  readonly error: string | undefined
  readonly selectors: ReadonlyArray<Selector>
  readonly groupings: ReadonlyArray<Grouping>
  /** Functions that are called on something, with the metrics below them. */
  readonly calls: ReadonlyArray<{ readonly name: string; readonly metrics: ReadonlyArray<string> }>
}

/** The variables of Grafana stand for what Prometheus knows. */
const plain = (text: string): string => text.replaceAll(/\$__(?:rate_interval|range|interval)/gu, "5m")

const descendants = (node: SyntaxNode, name: string): ReadonlyArray<SyntaxNode> => {
  const found: Array<SyntaxNode> = []
  node.cursor().iterate((each) => {
    if (each.name === name) found.push(each.node)
  })
  return found
}

/** Parses an expression; names in it are those of the text, variables of Grafana included. */
export const queryOf = (expression: string): Query => {
  const text = plain(expression)
  const top = parser.parse(text).topNode
  const words = ({ from, to }: SyntaxNode): string => text.slice(from, to)
  const broken = descendants(top, "⚠")[0]
  const selectorOf = (node: SyntaxNode): Selector => {
    const name = node.getChild("Identifier")
    return {
      metric: name === null ? "" : words(name),
      matchers: descendants(node, "UnquotedLabelMatcher").map((matcher) => {
        const parts = ["LabelName", "MatchOp", "StringLiteral"].map((kind) => matcher.getChild(kind))
        const [label = "", op = "", value = ""] = parts.map((part) => part === null ? "" : words(part))
        return { label, op, value: value.slice(1, -1) }
      })
    }
  }
  const metricsIn = (node: SyntaxNode): ReadonlyArray<string> =>
    descendants(node, "VectorSelector").map((each) => selectorOf(each).metric)
  return {
    error: broken === undefined ? undefined : `at ${broken.from}: ${text.slice(broken.from, broken.from + 30)}`,
    selectors: descendants(top, "VectorSelector").map(selectorOf),
    groupings: descendants(top, "GroupingLabels").map((node) => ({
      labels: descendants(node, "LabelName").map(words),
      // the aggregation, or the operation whose sides are matched
      metrics: node.parent?.parent === null || node.parent === null ? [] : metricsIn(node.parent.parent)
    })),
    calls: descendants(top, "FunctionCall").map((node) => {
      const name = node.getChild("FunctionIdentifier")
      return { name: name === null ? "" : words(name), metrics: metricsIn(node) }
    })
  }
}
