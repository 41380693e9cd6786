import type { Snapshot } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Verdict } from "../turn/TurnArbiter.ts"

type AdmissionPolicy = Extract<Snapshot, { readonly snapshot_kind: "admission_policy_snapshot" }>

/**
 * Local admission (RK-25): decides from the last admission policy snapshot whether a turn may open, with no call to the
 * control plane.
 *
 * Guarantees: I-ADMIT-RESERVE the count includes the turn that is being opened, so a burst is never over-admitted;
 * I-ADMIT-LOCAL the same snapshot and count give the same verdict.
 */
export class LocalAdmission extends Context.Service<LocalAdmission, {
  /** `accepted`: turns that this session has opened so far. */
  readonly admitTurn: (policy: AdmissionPolicy, accepted: number) => Verdict
}>()("rspp/LocalAdmission") {
  static readonly layer = Layer.succeed(LocalAdmission, {
    admitTurn: (policy, accepted) =>
      accepted + 1 > policy.body.max_turns_per_session
        ? { ok: false, outcome: policy.body.over_quota, reason: policy.body.reason }
        : { ok: true }
  })
}
