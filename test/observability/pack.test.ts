// The SLO pack of deploy/observability against the metrics that the program has, and against its runbooks.
import { assert, describe, it } from "@effect/vitest"
import { parseSpecText } from "@rspp/control/SpecFile"
import { metricEntries } from "@rspp/timeline/telemetry/MetricCatalog"
import type { MetricEntry } from "@rspp/timeline/telemetry/MetricCatalog"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { faultsOf } from "./Pack.ts"
import type { Dashboard, Pack, Rules } from "./Pack.ts"
import { queryOf } from "./PromQl.ts"

const root = dirname(dirname(import.meta.dirname))
const read = (path: string) => readFileSync(join(root, path), "utf8")
const yaml = (path: string) => Effect.runSync(parseSpecText(read(path), path)).value

/** What the control plane counts, from its source: it has no catalogue. */
const control = [
  ...read("packages/control/src/http/RequestMetrics.ts").matchAll(
    /Metric\.(counter|gauge|histogram)\("(rspp_[a-z_]+)"/gu
  )
].map(([, kind, name = ""]): MetricEntry => ({
  name,
  kind: kind === "counter" || kind === "gauge" ? kind : "histogram",
  unit: "",
  labels: kind === "counter" ? { status: undefined } : {},
  meaning: ""
}))

const pack: Pack = {
  dashboard: JSON.parse(read("deploy/observability/grafana-dashboard.json")) as Dashboard,
  rules: yaml("deploy/observability/prometheus-alerts.yaml") as Rules,
  runbooks: readdirSync(join(root, "docs/runbooks")).filter((name) => name !== "README.md").map((name) =>
    name.replace(/\.md$/u, "")
  ),
  control
}

/** The pack with a text in it changed. */
const changed = (from: string | RegExp, to: string): Pack => {
  const [rules, dashboard] = [pack.rules, pack.dashboard].map((value) => JSON.stringify(value).replaceAll(from, to))
  assert.notStrictEqual(
    `${rules}${dashboard}`,
    JSON.stringify(pack.rules) + JSON.stringify(pack.dashboard),
    "no change"
  )
  return { ...pack, rules: JSON.parse(rules ?? "") as Rules, dashboard: JSON.parse(dashboard ?? "") as Dashboard }
}

describe("the SLO pack", () => {
  it("asks for metrics, labels and buckets that there are, and has a runbook for each alert", () => {
    assert.strictEqual(control.length, 3)
    assert.deepStrictEqual(faultsOf(pack), [])
  })

  it("shows every metric that there is", () => {
    const asked = pack.dashboard.panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) => queryOf(expr).selectors.map(({ metric }) => metric))
    ).join(" ")
    for (const { name } of [...metricEntries, ...control]) assert.include(asked, name)
  })

  it("watches every gate of the contract", () => {
    const text = JSON.stringify(pack.rules)
    const gates = [
      "rspp_turn_open_latency_ms_bucket{le=~\\\"120(",
      "rspp_first_output_latency_ms_bucket{le=~\\\"1500(",
      "rspp_cancel_latency_ms_bucket{le=~\\\"150(",
      "rspp_stale_epoch_outputs_accepted_total",
      "rspp_evidence_incomplete_total",
      "rspp_turns_total",
      "rspp_response_latency_ms_bucket{le=~\\\"1500(",
      "rspp_response_latency_ms_bucket{le=~\\\"2000("
    ]
    for (const gate of gates) assert.include(text, gate)
  })

  // Each planted fault is told by the line that names it.
  it.each<[string, () => Pack, RegExp]>([
    [
      "a metric that was renamed",
      () => changed("rspp_drops_total", "rspp_dropped_total"),
      /no metric rspp_dropped_total/u
    ],
    [
      "a histogram without its suffix",
      () => changed("rspp_loop_delay_ms_bucket", "rspp_loop_delay_ms"),
      /is a histogram: use/u
    ],
    ["a label that is none", () => changed("(queue, reason)", "(queue, cause)"), /by cause, which it does not have/u],
    [
      "a value that a label never has",
      () => changed("outcome=\\\"failed\\\"", "outcome=\\\"broken\\\""),
      /no outcome broken/u
    ],
    ["a bound without a bucket", () => changed("le=~\\\"120(", "le=~\\\"125("), /has no bucket up to 125/u],
    ["an le that Prometheus 3 does not find", () => changed("=~\\\"150([.]0)?", "=\\\"150"), /le="150": write/u],
    ["an expression that does not parse", () => changed("sum(rate(", "sum(rate(("), /cannot be parsed/u],
    [
      "an alert that was renamed",
      () => changed("RsppDrops", "RsppDropping"),
      /there is no docs\/runbooks\/RsppDropping/u
    ],
    [
      "a rule that nobody asks for",
      () => changed("rspp:slo_errors:ratio_rate3d{", "rspp:slo_errors:ratio_rate1d{"),
      /nobody/u
    ],
    [
      "a runbook that is missing",
      () => ({ ...pack, runbooks: pack.runbooks.slice(1) }),
      /there is no docs\/runbooks\//u
    ],
    ["a runbook without an alert", () => ({ ...pack, runbooks: [...pack.runbooks, "RsppNone"] }), /no such alert/u],
    [
      "a severity that pages nobody",
      () => changed("\"severity\":\"page\"", "\"severity\":\"high\""),
      /neither page nor/u
    ]
  ])("is red with %s", (_, planted, told) => {
    assert.match(faultsOf(planted()).join("\n"), told)
  })

  const promtool = spawnSync("promtool", ["--version"]).status === 0
  it.skipIf(!promtool)("passes promtool: rules, and a case for each alert (not run without promtool)", () => {
    for (
      const args of [["check", "rules", "prometheus-alerts.yaml"], ["test", "rules", "prometheus-alerts.test.yaml"]]
    ) {
      const { status, stderr, stdout } = spawnSync("promtool", args, {
        cwd: join(root, "deploy/observability"),
        encoding: "utf8"
      })
      assert.strictEqual(status, 0, `${stdout}${stderr}`)
    }
  }, 180_000)

  it("has a case for promtool for each alert and severity", () => {
    const cases = read("deploy/observability/prometheus-alerts.test.yaml")
    for (const { alert = "", labels = {} } of pack.rules.groups.flatMap(({ rules }) => rules)) {
      if (alert === "") continue
      const fires = `ALERTS{alertname="${alert}", severity="${labels["severity"] ?? ""}", alertstate="firing"})'\n`
      assert.match(cases.split(fires).slice(1).join(""), /^ {8}eval_time: [0-9]+[mh]\n {8}exp_samples: \[\{/mu, alert)
    }
  })
})
