import type { AccessAction, AccessPolicy } from "@rspp/contracts/Privacy"
import { accessAttributes } from "@rspp/contracts/Privacy"
import { Context, Effect, FileSystem, Layer, Schema } from "effect"
import type { Timeline, TimelineError } from "../format/TimelineReader.ts"
import { read } from "../format/TimelineReader.ts"
import { TurnIndex } from "../export/TurnIndex.ts"
import type { AccessDecision, AccessRequest } from "./AccessDecision.ts"
import { decideAccess } from "./AccessDecision.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditUnavailable } from "./AuditLog.ts"
import { findKey } from "./KeyStore.ts"
import type { KeyStoreFailure } from "./KeyStore.ts"
import { PayloadTurns } from "./PayloadTurns.ts"
import { opened, redactedForReading } from "./ReadRedaction.ts"

/** The request for a recording was denied, and that was written down. */
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", {
  file: Schema.String,
  /** `attributes_missing`, `cross_tenant`, `not_permitted`, `turn_not_named`, `session_needed`, or `unreadable`. */
  reason: Schema.String,
  message: Schema.String
}) {}

export interface AccessOptions {
  readonly action: AccessAction
  readonly request: AccessRequest
  /** The turn that is asked for; the scope `turn` needs it. */
  readonly turnId?: string
}

/** The longest value of an attribute that the audit log keeps, in characters. */
const maxAttributeChars = 200

/**
 * The way to a recording for everybody but its owner (CONTRACT section 11).
 *
 * Guarantees: I-DENY what is not asked for with all six attributes and permitted by the policy is denied; I-TENANT across
 * tenants always; I-AUDIT-FIRST nothing is handed out before the entry of this access is on the disk, and denials are
 * entries too; I-READ-REDACT what is handed out has met the replay column of the matrix. It cannot keep anybody from
 * reading the file by other means: that is what its permissions are for.
 */
export class ReplayAccess extends Context.Service<ReplayAccess, {
  readonly read: (
    file: string,
    options: AccessOptions
  ) => Effect.Effect<Timeline, AccessDenied | AuditUnavailable | KeyStoreFailure | TimelineError>
}>()("rspp/ReplayAccess") {
  /** `keyStore` opens sealed payloads, so that they can be shown masked; without it they are left out. */
  static readonly layerNoDeps = (
    policy: AccessPolicy,
    keyStore?: string
  ): Layer.Layer<ReplayAccess, never, AuditLog | FileSystem.FileSystem> =>
    Layer.effect(
      ReplayAccess,
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const audit = yield* AuditLog
        return ReplayAccess.of({
          read: Effect.fn("ReplayAccess.read")(function*(file, options) {
            const timeline = yield* read(file).pipe(
              Effect.tapError(() =>
                Effect.ignore(audit.append(entryOf(file, options, "denied", "unreadable", undefined)))
              )
            )
            const decision = decide(policy, options, timeline)
            const outcome = decision.granted ? "granted" : "denied"
            const reason = decision.granted ? undefined : decision.reason
            yield* audit.append(entryOf(file, options, outcome, reason, timeline))
            if (!decision.granted) {
              return yield* new AccessDenied({
                file,
                reason: decision.reason,
                message: `${file}: denied: ${decision.message}`
              })
            }
            const { payload_key_id } = timeline.header
            const key = keyStore === undefined || payload_key_id === undefined
              ? undefined
              : yield* findKey(keyStore, payload_key_id)
            const turnId = decision.scope === "turn" ? options.turnId : undefined
            const shown = response(opened(timeline, key), decision.fidelity, turnId)
            return ofTurns.has(options.action) ? shown : counted(shown, timeline.records.length)
          }, Effect.provideService(FileSystem.FileSystem, fs))
        })
      })
    )
}

/** What can be done with one turn of a recording; the rest needs all of it. */
const ofTurns: ReadonlySet<AccessAction> = new Set(["show", "export"])

const decide = (policy: AccessPolicy, options: AccessOptions, { header }: Timeline): AccessDecision => {
  const decision = decideAccess(policy, options.request, header.tenant_id)
  if (!decision.granted || decision.scope !== "turn") return decision
  if (!ofTurns.has(options.action)) {
    const message = `${options.action} needs the whole session, and the scope is a turn`
    return { granted: false, reason: "session_needed", message }
  }
  return options.turnId === undefined
    ? { granted: false, reason: "turn_not_named", message: "the scope is a turn, and no turn is named" }
    : decision
}

const entryOf = (
  file: string,
  { action, request, turnId }: AccessOptions,
  outcome: "granted" | "denied",
  reason: string | undefined,
  timeline: Timeline | undefined
) => {
  const given = accessAttributes.flatMap((name) => {
    const value = request[name]
    return value === undefined ? [] : [[name, value.slice(0, maxAttributeChars)]]
  })
  return {
    action,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    request: Object.fromEntries(given) as AccessRequest,
    subject: {
      file,
      ...(timeline === undefined
        ? {}
        : { session_id: timeline.header.session_id, tenant_id: timeline.header.tenant_id }),
      ...(turnId === undefined ? {} : { turn_id: turnId })
    }
  }
}

/** The end record counts what is there: what is executed again must not end otherwise because something is withheld. */
const counted = (timeline: Timeline, recorded: number): Timeline => {
  const withheld = recorded - timeline.records.length
  return withheld === 0 ? timeline : {
    ...timeline,
    records: timeline.records.map((record) =>
      record.record === "end" ? { ...record, records: record.records - withheld } : record
    )
  }
}

const response = (
  timeline: Timeline,
  fidelity: Parameters<typeof redactedForReading>[1],
  turnId: string | undefined
): Timeline => {
  const index = new TurnIndex(timeline.records)
  const payloads = new PayloadTurns(timeline.records)
  const isWanted = (record: Timeline["records"][number]) =>
    turnId === undefined || index.turnOf(record) === turnId || payloads.isOf(record, turnId)
  const records = timeline.records.flatMap((record) => {
    if (!isWanted(record)) return []
    const shown = redactedForReading(record, fidelity)
    return shown === undefined ? [] : [shown]
  })
  return { ...timeline, records }
}
