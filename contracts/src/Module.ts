/**
 * The one table from the contract's module codes (CONTRACT section 10) to names.
 *
 * `name` is the contract's wording; `module` is what the code calls it: the Layer's service, and the file that holds it.
 */
export const modules = {
  "CP-01": { module: "PipelineRegistry", name: "pipeline registry" },
  "CP-02": { module: "SpecNormalizer", name: "spec normalizer" },
  "CP-03": { module: "GraphCompiler", name: "graph compiler" },
  "CP-04": { module: "PolicyEvaluation", name: "policy evaluation" },
  "CP-05": { module: "AdmissionPolicy", name: "admission policy" },
  "CP-06": { module: "SecurityTenancy", name: "security and tenancy" },
  "CP-07": { module: "LeaseAuthority", name: "placement lease authority" },
  "CP-08": { module: "RoutingView", name: "routing view" },
  "CP-09": { module: "Rollout", name: "rollout" },
  "CP-10": { module: "ProviderHealth", name: "provider health" },
  "RK-01": { module: "SessionLifecycle", name: "session lifecycle" },
  "RK-02": { module: "SessionPrelude", name: "session prelude (voice activity, turn detection)" },
  "RK-03": { module: "TurnArbiter", name: "turn arbiter" },
  "RK-04": { module: "PlanResolver", name: "plan resolver" },
  "RK-05": { module: "EventGateway", name: "event gateway" },
  "RK-06": { module: "LaneRouter", name: "lane router" },
  "RK-07": { module: "GraphExecutor", name: "graph executor" },
  "RK-08": { module: "NodeHost", name: "node host" },
  "RK-09": { module: "ExternalNodes", name: "external nodes" },
  "RK-10": { module: "ProviderManager", name: "provider manager" },
  "RK-11": { module: "ProviderInvocation", name: "provider invocation" },
  "RK-12": { module: "EdgeBuffers", name: "edge buffers" },
  "RK-13": { module: "Watermarks", name: "watermarks" },
  "RK-14": { module: "FlowControl", name: "flow control" },
  "RK-15": { module: "SyncIntegrity", name: "sync integrity" },
  "RK-16": { module: "Cancellation", name: "cancellation" },
  "RK-17": { module: "Budget", name: "budget" },
  "RK-18": { module: "Timebase", name: "timebase" },
  "RK-19": { module: "Determinism", name: "determinism" },
  "RK-20": { module: "SessionState", name: "session state" },
  "RK-21": { module: "Identity", name: "identity and idempotency" },
  "RK-22": { module: "TransportMapping", name: "transport mapping" },
  "RK-23": { module: "Connection", name: "connection" },
  "RK-24": { module: "ContractGuard", name: "contract guard" },
  "RK-25": { module: "LocalAdmission", name: "local admission" },
  "RK-26": { module: "ExecutionPool", name: "execution pool" },
  "OR-01": { module: "Telemetry", name: "telemetry" },
  "OR-02": { module: "TimelineRecorder", name: "timeline recorder" },
  "OR-03": { module: "Replay", name: "replay" },
  "DX-01": { module: "LocalRunner", name: "local runner" },
  "DX-02": { module: "ContractValidation", name: "contract and spec validation" },
  "DX-03": { module: "ReplayRegression", name: "replay regression" },
  "DX-04": { module: "Release", name: "release" },
  "DX-05": { module: "SloPack", name: "SLO pack" },
  "DX-06": { module: "NodeAuthoring", name: "node authoring" }
} as const

export type ModuleCode = keyof typeof modules
