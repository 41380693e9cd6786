import { assert, describe, it } from "@effect/vitest"
import { call, loopback, replay, validation } from "@rspp/cli/Composition"
import { controlOver } from "@rspp/cli/ControlDatabase"
import { ContractValidation } from "@rspp/cli/ContractValidation"
import { LocalRunner } from "@rspp/cli/LocalRunner"
import { embeddedPipeline, normalizeSpec } from "@rspp/cli/PipelineFile"
import { modules } from "@rspp/contracts/Module"
import type { ModuleCode } from "@rspp/contracts/Module"
import { AdmissionPolicy } from "@rspp/control/AdmissionPolicy"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { GraphCompiler } from "@rspp/control/GraphCompiler"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { PipelineRegistry } from "@rspp/control/PipelineRegistry"
import { PolicyEvaluation } from "@rspp/control/PolicyEvaluation"
import { ProviderHealth } from "@rspp/control/ProviderHealth"
import { Rollout } from "@rspp/control/Rollout"
import { RoutingView } from "@rspp/control/RoutingView"
import { SecurityTenancy } from "@rspp/control/SecurityTenancy"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { ExternalNodes } from "@rspp/providers/nodes/ExternalNodes"
import { ContractGuard } from "@rspp/runtime/authority/ContractGuard"
import { Cancellation } from "@rspp/runtime/cancellation/Cancellation"
import { Connection } from "@rspp/runtime/connection/Connection"
import { Delivery } from "@rspp/runtime/connection/Delivery"
import { Timebase } from "@rspp/runtime/determinism/Timebase"
import { EventGateway } from "@rspp/runtime/events/EventGateway"
import { Identity } from "@rspp/runtime/events/Identity"
import { LaneRouter } from "@rspp/runtime/events/LaneRouter"
import { EdgeBuffer } from "@rspp/runtime/flow/EdgeBuffer"
import { FlowControl } from "@rspp/runtime/flow/FlowControl"
import { SyncIntegrity } from "@rspp/runtime/flow/SyncIntegrity"
import { Watermarks } from "@rspp/runtime/flow/Watermarks"
import { GraphExecutor } from "@rspp/runtime/graph/GraphExecutor"
import { Speculation } from "@rspp/runtime/graph/Speculation"
import { InvocationLedger } from "@rspp/runtime/invocation/InvocationLedger"
import { InvocationRunner } from "@rspp/runtime/invocation/InvocationRunner"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { NodeHost } from "@rspp/runtime/nodes/NodeHost"
import { NodeRegistry } from "@rspp/runtime/nodes/NodeRegistry"
import { Budget } from "@rspp/runtime/limits/Budget"
import { ExecutionPool } from "@rspp/runtime/limits/ExecutionPool"
import { LocalAdmission } from "@rspp/runtime/limits/LocalAdmission"
import { Listening } from "@rspp/runtime/listening/Listening"
import { PlanResolver } from "@rspp/runtime/plan/PlanResolver"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Transport } from "@rspp/runtime/ports/Transport"
import { Conversation } from "@rspp/runtime/session/Conversation"
import { Session } from "@rspp/runtime/session/Session"
import { TurnArbiter } from "@rspp/runtime/turn/TurnArbiter"
import { MemoryTimelines } from "@rspp/timeline/recorder/MemoryRecorder"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Context, Effect, FileSystem, Layer, Option, Path } from "effect"
import { globSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

/** The contract's code → the Layer's services. What is not here is not built yet. */
const built: { readonly [Code in ModuleCode]?: ReadonlyArray<{ readonly key: string }> } = {
  "RK-01": [Session],
  "RK-02": [Listening],
  "RK-03": [TurnArbiter],
  "RK-04": [PlanResolver],
  "RK-05": [EventGateway],
  "RK-06": [LaneRouter],
  "RK-07": [GraphExecutor, Speculation],
  "RK-08": [NodeHost],
  "RK-09": [ExternalNodes],
  "RK-10": [ProviderManager],
  // the kernel's side and the port's
  "RK-11": [InvocationLedger, InvocationRunner],
  "RK-12": [EdgeBuffer],
  "RK-13": [Watermarks],
  "RK-14": [FlowControl],
  "RK-15": [SyncIntegrity],
  "RK-16": [Cancellation],
  "RK-17": [Budget],
  "RK-18": [Timebase],
  "RK-20": [Conversation],
  "RK-21": [Identity],
  "RK-22": [Delivery, Transport],
  "RK-23": [Connection],
  "RK-24": [ContractGuard],
  "RK-25": [LocalAdmission],
  "RK-26": [ExecutionPool],
  "CP-01": [PipelineRegistry],
  "CP-02": [SpecNormalizer],
  "CP-03": [GraphCompiler],
  // what they say comes to a runtime as snapshots of the control plane
  "CP-04": [PolicyEvaluation, ControlPlane],
  "CP-05": [AdmissionPolicy, ControlPlane],
  "CP-06": [SecurityTenancy],
  "CP-07": [LeaseAuthority],
  "CP-08": [RoutingView, ControlPlane],
  "CP-09": [Rollout],
  "CP-10": [ProviderHealth, ControlPlane],
  "OR-01": [SessionTracer],
  "OR-02": [Recorder],
  "OR-03": [Replayer],
  "DX-01": [LocalRunner],
  "DX-02": [ContractValidation],
  "DX-06": [NodeRegistry]
}

/** Everything that the program composes, as its commands do. Nothing is run, no file is made. */
const program = Effect.gen(function*() {
  const spec = yield* normalizeSpec(embeddedPipeline)
  const transport = loopback({ script: makeCallScript([{ text: "hello" }]) })
  const options = { spec, transport, timeline: join(tmpdir(), "never-written") }
  const database = { kind: "sqlite", path: ":memory:" } as const
  return yield* Layer.build(Layer.mergeAll(call(options), replay, validation, Layer.orDie(controlOver(database))))
}).pipe(Effect.provide(Layer.mergeAll(validation, FileSystem.layerNoop({}), Path.layer)))

describe("the modules of the contract", () => {
  it.live("are each composed in the rspp program", () =>
    Effect.gen(function*() {
      const context = yield* program
      const isComposed = (service: { readonly key: string }) =>
        Option.isSome(Context.getOption(context as Context.Context<unknown>, service as never))
      for (const [code, services] of Object.entries(built)) {
        for (const service of services) assert.isTrue(isComposed(service), `${code} ${service.key} is not composed`)
      }
      // a service of a package that the program could compose, and does not
      assert.isFalse(isComposed(MemoryTimelines))
    }), 60_000)

  it("are all in this table when a service says that it is one", () => {
    const root = dirname(dirname(import.meta.dirname))
    const said = new Map<string, string>()
    for (const file of globSync("packages/*/src/**/*.ts", { cwd: root })) {
      const text = readFileSync(join(root, file), "utf8")
      for (const [doc] of text.matchAll(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\nexport class \w+ extends Context\.Service/gu)) {
        // `(RK-11)`, `(RK-11, the kernel's side)`: what it is; a code elsewhere in a sentence is a reference.
        for (const [, code = ""] of doc.split("\n").slice(0, 2).join("\n").matchAll(/\(((?:RK|CP|OR|DX)-\d\d)[,)]/gu)) {
          said.set(code, file)
        }
      }
    }
    assert.isAtLeast(said.size, 25)
    for (const [code, file] of said) assert.property(built, code, `${file} is a module that no test knows`)
  })

  it("have their codes and names from the contract's table", () => {
    for (const code of Object.keys(built)) assert.property(modules, code)
  })
})
