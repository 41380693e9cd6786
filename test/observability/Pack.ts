import { metricEntries } from "@rspp/timeline/telemetry/MetricCatalog"
import type { MetricEntry } from "@rspp/timeline/telemetry/MetricCatalog"
import { queryOf } from "./PromQl.ts"

/** What the SLO pack consists of: the dashboard and the rules as values, and the names of the runbooks. */
export interface Pack {
  readonly dashboard: Dashboard
  readonly rules: Rules
  readonly runbooks: ReadonlyArray<string>
  /** Metrics of the control plane, which has no catalogue. */
  readonly control: ReadonlyArray<MetricEntry>
}

export interface Target {
  readonly expr: string
  readonly legendFormat: string
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: ReadonlyArray<Target>
}

export interface Dashboard {
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: ReadonlyArray<Panel>
  readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly type: string }> }
}

export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface Rules {
  readonly groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Rule> }>
}

/** What every scraped series has. */
const targetLabels = ["job", "instance"]

/** Series that Prometheus and the blackbox exporter make themselves. */
const foreign = ["up", "probe_success"]

const part = /^(?<name>rspp_[a-z_]+?)(?:_(?<suffix>bucket|sum|count))?$/u

/** Values that a matcher lets through, as far as it lists them: `a|b`, or one. */
const alternatives = (value: string): ReadonlyArray<string> => value.split("|")

/**
 * Holds the pack against the catalogue of metrics, and against itself. Each fault is one line that names the place.
 *
 * Every expression parses; every metric is in the catalogue, histograms with a suffix and others without; every label is one
 * that the metric has, every listed value one that the label takes, every `le` a bucket's bound; what is recorded is used and
 * what is used is recorded; every alert says what the contract of alerts wants, and has its runbook, and every runbook an alert.
 */
export const faultsOf = ({ control, dashboard, rules, runbooks }: Pack): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const entries = [...metricEntries, ...control]
  const all = rules.groups.flatMap((group) => group.rules)
  const recorded = new Map<string, Set<string>>()
  for (const { labels = {}, record } of all) {
    if (record === undefined) continue
    recorded.set(record, new Set([...(recorded.get(record) ?? []), ...Object.keys(labels)]))
  }
  const used = new Set<string>()

  /** The entry that a name in an expression stands for, and whether it is right to stand so. */
  const entryOf = (metric: string, tell: (fault: string) => void): MetricEntry | undefined => {
    const exact = entries.find(({ name }) => name === metric)
    if (exact !== undefined) {
      if (exact.kind === "histogram") tell(`${metric} is a histogram: use its _bucket, _sum or _count`)
      return exact
    }
    const { name = "", suffix } = part.exec(metric)?.groups ?? {}
    const entry = entries.find((each) => each.name === name)
    if (entry === undefined || suffix === undefined) tell(`there is no metric ${metric}`)
    else if (entry.kind !== "histogram") tell(`${entry.name} is no histogram and has no ${metric}`)
    return entry
  }

  /** The labels that a series of a name may have; undefined: any. */
  const labelsOf = (metric: string, tell: (fault: string) => void): ReadonlyArray<string> | undefined => {
    if (foreign.includes(metric) || metric === "ALERTS") return undefined
    const own = recorded.get(metric)
    if (own !== undefined) return [...own]
    const entry = entryOf(metric, tell)
    if (entry === undefined) return undefined
    return [...Object.keys(entry.labels), ...(metric.endsWith("_bucket") ? ["le"] : []), ...targetLabels]
  }

  const judge = (place: string, expression: string): ReadonlySet<string> => {
    const tell = (fault: string) => faults.push(`${place}: ${fault}`)
    const query = queryOf(expression)
    if (query.error !== undefined) tell(`cannot be parsed ${query.error}`)
    if (query.selectors.length === 0) tell("asks for no metric")
    const known = new Set<string>(targetLabels)
    for (const { matchers, metric } of query.selectors) {
      used.add(metric)
      const labels = labelsOf(metric, tell)
      for (const label of labels ?? []) known.add(label)
      for (const { label, op, value } of matchers) {
        if (labels !== undefined && !labels.includes(label)) tell(`${metric} has no label ${label}`)
        if (label === "le") {
          const bound = /^(?<bound>[0-9.]+)\(\[\.\]0\)\?$/u.exec(value)?.groups?.["bound"]
          if (op !== "=~" || bound === undefined) {
            tell(`le${op}"${value}": write le=~"N([.]0)?", which Prometheus 2 and 3 both understand`)
          } else if (entryOf(metric, () => {})?.boundaries?.includes(Number(bound)) !== true) {
            tell(`${metric} has no bucket up to ${bound}`)
          }
          continue
        }
        const values = entryOf(metric, () => {})?.labels[label]
        if (values === undefined || value.startsWith("$")) continue
        for (const each of alternatives(value)) if (!values.includes(each)) tell(`${metric} has no ${label} ${each}`)
      }
    }
    for (const { labels, metrics } of query.groupings) {
      for (const metric of metrics) {
        const own = labelsOf(metric, () => {})
        for (const label of labels) {
          if (own !== undefined && !own.includes(label)) tell(`groups ${metric} by ${label}, which it does not have`)
        }
      }
    }
    for (const { metrics, name } of query.calls) {
      for (const metric of metrics) {
        const kind = entryOf(metric, () => {})?.kind
        if (/^(?:rate|increase|irate)$/u.test(name) && kind === "gauge") tell(`${name} of the gauge ${metric}`)
        if (name === "histogram_quantile" && !metric.endsWith("_bucket")) tell(`a quantile of ${metric}`)
      }
    }
    return known
  }

  const templated = (place: string, texts: ReadonlyArray<string>, pattern: RegExp, known: ReadonlySet<string>) => {
    for (const [, label = ""] of texts.flatMap((text) => [...text.matchAll(pattern)])) {
      if (!known.has(label)) faults.push(`${place}: shows the label ${label}, which its series do not have`)
    }
  }

  // dashboard
  const ids = new Set<number>()
  const cells = new Set<string>()
  const variables = new Set(dashboard.templating.list.map(({ name }) => name))
  for (const panel of dashboard.panels) {
    const place = `panel ${panel.title}`
    const { h, w, x, y } = panel.gridPos
    if (ids.has(panel.id)) faults.push(`${place}: its id is another's`)
    ids.add(panel.id)
    for (let row = y; row < y + h; row++) {
      for (let column = x; column < x + w; column++) {
        const cell = `${column},${row}`
        if (cells.has(cell) || column >= 24) faults.push(`${place}: lies on another panel, or outside`)
        cells.add(cell)
      }
    }
    if (panel.type === "row") continue
    if ((panel.description ?? "") === "") faults.push(`${place}: says nothing of what it shows`)
    if ((panel.targets ?? []).length === 0) faults.push(`${place}: asks for nothing`)
    for (const { expr, legendFormat } of panel.targets ?? []) {
      templated(place, [legendFormat], /\{\{\s*([a-z_]+)\s*\}\}/gu, judge(place, expr))
      for (const [, name = ""] of expr.matchAll(/\$(?!__)([a-z_]+)/gu)) {
        if (!variables.has(name)) faults.push(`${place}: there is no variable ${name}`)
      }
    }
  }

  // rules
  const alerts = new Set<string>()
  const severities = new Set<string>()
  for (const rule of all) {
    const { alert, annotations = {}, expr, labels = {}, record } = rule
    const place = alert ?? record ?? "a rule without a name"
    const known = judge(place, expr)
    if (alert === undefined) continue
    alerts.add(alert)
    const { severity = "" } = labels
    if (severity !== "page" && severity !== "ticket") faults.push(`${place}: its severity is neither page nor ticket`)
    if (severities.has(`${alert} ${severity}`)) faults.push(`${place}: there are two of severity ${severity}`)
    severities.add(`${alert} ${severity}`)
    for (const name of ["summary", "description", "runbook_url"]) {
      if ((annotations[name] ?? "") === "") faults.push(`${place}: has no ${name}`)
    }
    if (annotations["runbook_url"] !== `docs/runbooks/${alert}.md`) {
      faults.push(`${place}: runbook_url is not its runbook`)
    }
    if (!runbooks.includes(alert)) faults.push(`${place}: there is no docs/runbooks/${alert}.md`)
    templated(place, Object.values(annotations), /\$labels\.([a-z_]+)/gu, known)
  }
  for (const runbook of runbooks) {
    if (!alerts.has(runbook)) faults.push(`docs/runbooks/${runbook}.md: there is no such alert`)
  }
  for (const record of recorded.keys()) if (!used.has(record)) faults.push(`${record}: is recorded, and nobody uses it`)
  return faults
}
