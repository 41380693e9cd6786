import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import { AdmissionPolicy } from "./AdmissionPolicy.ts"
import { AuditLog } from "./AuditLog.ts"
import { defaultHealthOptions } from "./CircuitBreaker.ts"
import type { HealthOptions } from "./CircuitBreaker.ts"
import type { ControlPlane } from "./ControlPlane.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import type { LeaseAuthority } from "./LeaseAuthority.ts"
import { PipelineRegistry } from "./PipelineRegistry.ts"
import type { RegistryOptions } from "./PipelineRegistry.ts"
import { PolicyEvaluation } from "./PolicyEvaluation.ts"
import { ProviderHealth } from "./ProviderHealth.ts"
import { Rollout } from "./Rollout.ts"
import { RoutingView } from "./RoutingView.ts"
import { SecurityTenancy } from "./SecurityTenancy.ts"
import { SessionDirectory } from "./SessionDirectory.ts"
import { SnapshotPublisher } from "./SnapshotPublisher.ts"
import { SpecNormalizer } from "./SpecNormalizer.ts"

export interface ControlOptions extends RegistryOptions {
  readonly health?: HealthOptions
}

/** Every module of the control plane over one database. Leases and the way of snapshots are the caller's choice. */
export const controlModules = (options: ControlOptions = {}): Layer.Layer<
  | AuditLog
  | PipelineRegistry
  | SecurityTenancy
  | PolicyEvaluation
  | AdmissionPolicy
  | Rollout
  | ProviderHealth
  | SessionDirectory
  | RoutingView
  | SnapshotPublisher
  | SpecNormalizer,
  DatabaseFailure,
  SqlClient.SqlClient | LeaseAuthority | ControlPlane
> =>
  SnapshotPublisher.layer.pipe(
    Layer.provideMerge(SessionDirectory.layer),
    Layer.provideMerge(Rollout.layer),
    Layer.provideMerge(Layer.mergeAll(
      PipelineRegistry.layer(options),
      SecurityTenancy.layer,
      PolicyEvaluation.layer,
      AdmissionPolicy.layer,
      ProviderHealth.layer(options.health ?? defaultHealthOptions),
      RoutingView.layer
    )),
    Layer.provideMerge(AuditLog.layer),
    Layer.provideMerge(SpecNormalizer.layer)
  )
