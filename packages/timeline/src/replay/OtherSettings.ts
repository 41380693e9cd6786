import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { PolicyResolutionSnapshot, Snapshot } from "@rspp/contracts/Snapshot"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"
import { changedSettings } from "./ConfigOverride.ts"

/** What may be another than recorded. */
export interface Settings {
  readonly sessionConfig?: SessionConfig
  readonly policy?: PolicyResolutionSnapshot["body"]
  readonly pipeline?: NormalizedPipeline
}

interface Session {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

/** The recorded session as if it had been started under other settings, and the names of those that are other. */
export const underSettings = (
  { header, records }: Session,
  { pipeline: given, policy, sessionConfig }: Settings
): Session & { readonly changed: ReadonlyArray<string> } => {
  const session_config = sessionConfig ?? given?.session_config ?? header.session_config
  const pipeline: NormalizedPipeline = { ...(given ?? header.pipeline), session_config }
  const other: TimelineHeader = {
    ...header,
    ...(given === undefined
      ? {}
      : { pipeline_version: given.pipeline_version, recording_level: given.recording_policy.recording_level }),
    session_config,
    session_config_hash: digest(session_config),
    pipeline
  }
  const snapshots = records.map((record): TimelineRecord => {
    if (record.record !== "input" || record.input.type !== "snapshot") return record
    const { snapshot } = record.input
    const replaced = snapshotUnder(snapshot, policy, given)
    return replaced === snapshot ? record : { ...record, input: { ...record.input, snapshot: replaced } }
  })
  const policies = records.some((record, at) => record !== snapshots[at])
  return {
    header: other,
    records: policies ? snapshots : records,
    changed: [
      ...changedSettings(header.session_config, session_config),
      ...(given === undefined ? [] : changedFields(header.pipeline, pipeline)),
      ...(policy !== undefined && policies ? ["policy"] : [])
    ]
  }
}

const snapshotUnder = (
  snapshot: Snapshot,
  policy: PolicyResolutionSnapshot["body"] | undefined,
  pipeline: NormalizedPipeline | undefined
): Snapshot => {
  if (snapshot.snapshot_kind === "policy_resolution_snapshot" && policy !== undefined) {
    return canonicalJson(snapshot.body) === canonicalJson(policy)
      ? snapshot
      : { ...snapshot, body: policy, content_hash: digest(policy) }
  }
  if (snapshot.snapshot_kind === "version_resolution_snapshot" && pipeline !== undefined) {
    const body = {
      pipeline_version: pipeline.pipeline_version,
      graph_definition_ref: pipeline.graph.graph_definition_ref
    }
    return canonicalJson(snapshot.body) === canonicalJson(body)
      ? snapshot
      : { ...snapshot, body, content_hash: digest(body) }
  }
  return snapshot
}

/** Fields of a pipeline that differ, without those that say where a value came from; the config is compared by setting. */
const changedFields = (from: NormalizedPipeline, to: NormalizedPipeline): ReadonlyArray<string> => {
  const left: Readonly<Record<string, unknown>> = from
  const right: Readonly<Record<string, unknown>> = to
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .filter((key) => key !== "sources" && key !== "session_config")
    .filter((key) => canonicalJson(left[key] ?? null) !== canonicalJson(right[key] ?? null))
    .map((key) => `pipeline.${key}`)
}
