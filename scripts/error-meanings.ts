// What each code and reason means and what to do about it, in the words of docs/troubleshooting.md. A test holds the keys
// against the sources: none may be missing, and none may be of nothing.

/** Meaning, and what to do. */
export type Meaning = readonly [meaning: string, advice: string]
export type Meanings = Readonly<Record<string, Meaning>>

const form =
  "Correct the field that the message names; [pipelines.md](pipelines.md) and [configuration.md](configuration.md) have the form."
const graph = "The message names the node or edge and says what to add or take out; [pipelines.md](pipelines.md)."
const again = "Read it again, apply the change to what is there now, send the new revision."
const nothing = "Nothing: it is told so that the recording is complete."

/** `code` in problem details (`application/problem+json`) of a control plane, and of a worker's health. */
export const problemCodes: Meanings = {
  admission_invalid: [
    "The admission rules are not of their form.",
    "`problems` names each fault; [configuration.md](configuration.md#admission-of-a-control-plane)."
  ],
  answer_given_once: [
    "The request was done before under this `Idempotency-Key`, and its answer holds a secret, which is shown once.",
    "Use what you got then, or revoke it and make another."
  ],
  compatibility_invalid: ["The compatibility window of a pipeline is not of its form.", "`problems` names each fault."],
  cursor_invalid: ["The `cursor` of a page is not one that was handed out.", "Begin again without a cursor."],
  database_unavailable: [
    "The control plane cannot use its database now. Nothing was changed.",
    "Ask again; `npx rspp doctor --database DB` says what is wrong with it."
  ],
  draining: ["This control plane or worker is stopping.", "Send requests to another one."],
  idempotency_key_invalid: ["The `Idempotency-Key` is empty or too long.", "Give 1 to 200 characters."],
  idempotency_key_reused: [
    "Another request was sent under this `Idempotency-Key`.",
    "Take a new key for a new request."
  ],
  if_match_invalid: ["`If-Match` is not the revision of a document.", "Send the `ETag` that the last read gave."],
  key_not_found: ["There is no such API key in the tenant.", "`npx rspp tenant keys` lists them."],
  key_refused: [
    "The API key is missing, not known, revoked or past its end, or its tenant is suspended.",
    "Set `RSPP_API_KEY` (or the `Authorization` header) to a valid key; `npx rspp tenant key` makes one."
  ],
  lease_conflict: [
    "The session's epoch is not the one that was to be ended.",
    "Look who holds it (`npx rspp lease get SESSION`), then decide."
  ],
  lease_not_found: ["The session has no live lease.", "Nothing runs it; a runtime takes it when it starts."],
  not_allowed: [
    "The key's role may not do this.",
    "Use a key of a role that may; [control-plane.md](control-plane.md) has the table."
  ],
  not_registered: [
    "The worker is not registered with the LiveKit server.",
    "Check `LIVEKIT_URL` and that the server runs; it registers by itself when it can."
  ],
  other_tenant: ["The request names another tenant than the key's.", "Use a key of that tenant."],
  pipeline_incompatible: [
    "The new version breaks what the window of compatibility promises.",
    "The message says what; publish under a new pipeline id, or widen the window."
  ],
  pipeline_version_immutable: [
    "Other content is published under this version.",
    "Publish it as a new `pipeline_version`."
  ],
  pipeline_version_not_found: ["No such version is published in the tenant.", "`npx rspp pipeline list` lists them."],
  policy_invalid: [
    "The policy binding is not of its form.",
    "`problems` names each fault; [configuration.md](configuration.md#policy-of-a-control-plane)."
  ],
  policy_match_taken: [
    "Another binding has the same `match`, so neither would be more specific.",
    "Change that one, or match more narrowly."
  ],
  revision_conflict: ["The document was changed since it was read (412).", again],
  rollout_invalid: ["The rollout is not of its form.", "`problems` names each fault."],
  rollout_rolled_back: [
    "The candidate of this rollout was taken back; it cannot be brought in again.",
    "Publish a new version and make it the candidate."
  ],
  rollout_version: [
    "The rollout names a version that is not published, is deprecated, or is there twice.",
    "Publish it first, or name another."
  ],
  rollout_without_candidate: ["There is no candidate that could be taken back.", nothing],
  session_not_found: ["There is no such session in the tenant.", "`npx rspp session list` lists them."],
  spec_rejected: [
    "The pipeline is not accepted.",
    "`problems` has every fault with its place; `npx rspp spec validate FILE` shows the same."
  ],
  tenancy_invalid: ["A tenant, a key or a role is not of its form.", "`problems` names each fault."],
  tenant_exists: ["There is a tenant of this id.", "Take another id, or use that one."],
  tenant_not_found: ["There is no such tenant.", "`npx rspp tenant list` (with a platform key) lists them."],
  too_many_requests: [
    "The key has used up its rate (429).",
    "Wait as long as `Retry-After` says; `--rate` and `--runtime-rate` of `rspp control-plane` change it."
  ]
}

/** `code` of what is wrong in a file or an address that was given. */
export const inputCodes: Meanings = {
  action_not_allowed: [
    "Something stands by for failures that `allowed_adaptive_actions` does not allow to be used.",
    "Allow the action, or take out what stands by."
  ],
  bad_address: [
    "An address cannot be read.",
    "Give one such as `wss://example.livekit.cloud` or `ws://127.0.0.1:7880`."
  ],
  bad_options: ["The raw format (`--raw-rate`, `--raw-channels`) is out of bounds.", "The message has the bounds."],
  bad_value: ["A field has a value that it cannot have.", form],
  condition_misplaced: ["A condition stands on an edge that can have none.", graph],
  condition_type: ["A condition compares unlike things.", graph],
  condition_unknown: ["A condition that could never be met.", graph],
  cycle: ["The graph goes round in a circle.", graph],
  directory: ["A file was wanted, and this is a directory.", "Name the file in it."],
  duplicate_key: ["A YAML or JSON object has a key twice.", "Take one out; the message has the line."],
  edge_duplicate: ["Two edges between the same ends carry the same.", graph],
  edge_id_duplicate: ["Two edges have one id.", graph],
  edge_into_subgraph: ["An edge goes past the entry or exit of a subgraph.", graph],
  edge_node_unknown: ["An edge ends at a node that does not exist.", graph],
  edge_policy_unknown: [
    "A buffer policy is for an edge that is not in the graph.",
    "`npx rspp spec explain FILE` lists the edges by their ids."
  ],
  empty: ["The file is empty.", "Check the path, and what wrote it."],
  fallback_dead_end: ["A fallback leads to where nothing is heard.", graph],
  fallback_misplaced: ["A fallback edge starts from a node that has none.", graph],
  fallback_payload: ["A fallback hands over work that cannot be handed over.", graph],
  fallback_repeated: ["A node has two fallbacks for one cause.", graph],
  graph_incomplete: ["There are nodes without edges, or edges without nodes.", graph],
  graph_too_large: ["More than 64 nodes or 256 edges.", graph],
  invalid: [
    "The call script is JSON and not a script.",
    "The message names the step; [configuration.md](configuration.md#call-script)."
  ],
  malformed: [
    "A WAV file whose header makes no sense.",
    "Write it again; `ffmpeg -i IN -ar 16000 -ac 1 OUT.wav` makes one that is read."
  ],
  missing: ["There is no file at this path.", "Check the path; those in a script are relative to the script."],
  missing_key: ["A field is missing.", form],
  no_samples: ["A WAV header with no sound behind it.", "Check what recorded it."],
  node_dead_end: ["Nothing comes out of a node.", graph],
  node_id_duplicate: ["Two nodes have one id.", graph],
  node_id_reserved: ["A node's id stands for something else.", graph],
  node_input_missing: ["A node does not get what it works on.", graph],
  node_inputs_too_few: ["A `merge` or `select` has fewer than two edges.", graph],
  node_option_unused: ["A node says something that would do nothing.", graph],
  node_type_missing: ["A type of which a graph has one is not there.", graph],
  node_type_repeated: ["A type of which a graph has one is there twice.", graph],
  node_type_unknown: ["There is no such type of node.", graph],
  node_unreachable: ["Nothing leads to a node.", graph],
  not_found: ["No LiveKit server answers at this address (404).", "Check the URL: its path is usually empty."],
  not_json: ["The call script is no JSON.", "The message has the place."],
  not_wav: ["The recording is no WAV file.", "The message says what it is; convert it, or give `--raw-rate`."],
  payload_kind_unknown: ["There is no such kind of payload.", graph],
  payload_kinds_mixed: ["A node gets two kinds where it takes one.", graph],
  payload_mismatch: ["An edge carries what its ends do not give or take.", graph],
  profile_unknown: ["There is no such execution profile.", "Leave `execution_profile` out, or name `simple/v1`."],
  provider_conflict: ["A node has two providers.", graph],
  provider_missing: ["A node has no provider or implementation.", graph],
  provider_not_needed: ["A provider is named for nobody.", graph],
  provider_unknown: [
    "There is no provider or implementation of this id.",
    "`npx rspp providers list` has the providers; `--providers` and `--nodes` add some."
  ],
  rate_limited: ["The LiveKit server refuses for now (429).", "Try again later."],
  relation: ["Two numbers contradict each other.", "The message names both."],
  schema_version_unsupported: ["The file is for another version of the contract.", "This program reads `v1.0`."],
  secret_in_spec: [
    "A text has the shape of a secret; a spec is kept in every recording.",
    "Take it out; secrets belong in a providers file, by name ([providers.md](providers.md))."
  ],
  select_order_unknown: ["A `select` prefers an edge that it does not have.", graph],
  select_rule: ["A `select` does not say how it chooses.", graph],
  subgraph_end_unknown: ["A subgraph without its entry or exit.", graph],
  subgraph_missing: ["A node of the type `subgraph` names none.", graph],
  subgraph_recursive: ["A subgraph contains itself.", graph],
  subgraph_too_deep: ["More than 8 subgraphs in one another.", graph],
  subgraph_unknown: ["There is no subgraph of this name.", graph],
  subgraph_unused: ["There is no copy of a subgraph.", graph],
  syntax: ["The file is no JSON or YAML.", "The message has line and column."],
  timeout: ["The LiveKit server accepted the connection and never answered.", "Try again; check what stands between."],
  too_large: ["The file is larger than a spec may be.", "Check that it is the right file."],
  too_long: ["The recording is longer than 4 hours.", "Cut it."],
  too_many_aliases: ["A YAML file repeats itself by aliases without end.", "Write it out."],
  unauthorized: [
    "The LiveKit token is wrong, has expired or lacks the grant.",
    "Check the key pair; `npx rspp token` mints a new one."
  ],
  unavailable: ["The LiveKit server has a fault (5xx).", "Try again; read its log."],
  unknown: ["A room could not be joined for another reason.", "The message has the client's words."],
  unknown_format: ["A spec's name ends neither in `.json` nor in `.yaml` or `.yml`.", "Rename it."],
  unknown_key: ["A field that does not exist.", form],
  unreachable: ["Nobody answers at the address.", "Check it, and that the server runs."],
  unreadable: ["The file cannot be read.", "The message has the system's reason; check permissions."],
  unsupported_codec: ["A WAV file that is not plain PCM.", "`ffmpeg -i IN -c:a pcm_s16le OUT.wav`."],
  unsupported_rate: ["A sample rate that is not read.", "The message has the bounds; `ffmpeg -i IN -ar 16000 OUT.wav`."]
}

/** `reason` in a timeline, in what `rspp timeline` and a live screen show, and in an audit log. */
export const reasons: Meanings = {
  append_queue_fill: [
    "The recording is written too slowly: its queue fills, and it records less.",
    "A faster disk, or fewer sessions a process."
  ],
  attributes_missing: [
    "The request for a recording lacks some of its six attributes.",
    "The message names them; [privacy.md](privacy.md)."
  ],
  authority_loss: [
    "The turn ended because another placement took the session over (abort).",
    "See who holds the lease: `npx rspp lease get SESSION`."
  ],
  authority_lost: ["Work of a turn was drained after the lease was lost.", "As `authority_loss`."],
  authority_revoked: [
    "No turn opens: the session's lease was revoked.",
    "A session whose lease is revoked is over here; another placement goes on with it."
  ],
  barge_in: [
    "The caller spoke over the agent, and it was a cut.",
    "Too eager? Raise `barge_in.min_ms` or `min_words`, and try on the recording: `npx rspp replay CALL --set barge_in.min_ms=700`."
  ],
  blocked: [
    "A provider refused: 401, 402, 403 or a content filter.",
    "Check its key and credit; `npx rspp providers check`."
  ],
  caller_went_on: ["Words that were begun to be answered were not the last: the caller went on.", nothing],
  cancelled: [
    "The turn was cancelled: a cut, a hang-up, or an order from outside (abort).",
    "The record before it says which."
  ],
  conflict: ["Too many publishers wrote one log of snapshots at once.", "One publisher for each scope."],
  context_changed: ["The conversation went on while an answer was begun ahead; it is begun again.", nothing],
  cost_cap_reached: ["The session has cost what its policy allows.", "`cost_cap` of the policy binding."],
  cross_tenant: ["The recording is of another tenant.", "No role and no policy opens those."],
  damaged: [
    "A stored state or snapshot is not what was written.",
    "It is not used. Restore the database, or let it be published again."
  ],
  draining: ["The worker took no job: it is stopping.", "Another worker takes it."],
  eased: ["The recording has room again.", nothing],
  edge_budget: [
    "An item waited on an edge for longer than `edge_budget_ms_default` (warning).",
    "`npx rspp timeline summary` shows where time goes."
  ],
  edge_latency: [
    "An item waited for longer than the edge may add, and was shed.",
    "What stands behind the edge is too slow; `max_latency_contribution_ms`."
  ],
  edge_pressure: ["A full edge was relieved by the plan's rule.", "What stands behind the edge is too slow."],
  expired: [
    "A lease ran out without being renewed.",
    "The runtime died or could not reach the database for its TTL; `--lease-ttl`."
  ],
  export_lag: ["Recordings reach their store too slowly.", "Look at the store; recordings wait on disk meanwhile."],
  fair_share_exhausted: [
    "One caller or pipeline has all the sessions that it may have.",
    "`fairness` of `rspp policy admission`."
  ],
  false_alarm: ["Speech over the agent was no cut: the reply goes on.", nothing],
  fenced: ["Sound of a cancelled turn reached the door and was not let out.", nothing],
  full: ["The worker took no job: all its places are taken.", "More workers, or `--sessions` of `rspp worker`."],
  garbage: ["Bytes that are no record of a timeline.", "`npx rspp timeline repair FILE`."],
  infrastructure_failure: [
    "A provider failed: 5xx, a cut connection, something that is not its protocol.",
    "Retried where the plan allows it; see the vendor's status page."
  ],
  ingress_full: [
    "Sound of the caller came faster than it could be taken, and was lost.",
    "The process is overloaded: fewer sessions in it."
  ],
  input_of_another_epoch: ["An input of another epoch was refused.", nothing],
  intent_of_another_epoch: ["A turn that was proposed under another epoch was refused.", nothing],
  interrupted: ["The program was stopped while the call went on.", nothing],
  known: ["The job was offered before.", nothing],
  lane_high: ["A lane has filled to its high watermark.", "`flow_xoff` follows; what stands behind is too slow."],
  lane_low: ["It has emptied to its low one.", nothing],
  late_diagnostic: ["A result that came after its turn was dropped and kept as a diagnostic.", nothing],
  late_dropped: ["A result that came after its turn was dropped.", nothing],
  late_remapped: ["Words that came after their turn were taken as a new utterance.", nothing],
  lease_expired: [
    "Sound was not let out because the lease had ended by its own deadline.",
    "The process was stopped, or cannot renew its lease."
  ],
  lease_of_a_lost_epoch: ["A lease came that was lost before.", nothing],
  lease_of_an_older_epoch: ["A lease came that is older than the session's.", nothing],
  merged: ["An item of a `merge` names what it was merged from.", nothing],
  no_admission_policy: [
    "No turn opens: there is no admission policy snapshot.",
    "Snapshots do not arrive: `--snapshots`, `--control-plane`."
  ],
  no_final: ["A recogniser ended without a final transcript.", "What was said is lost; see the provider's own log."],
  not_permitted: ["No rule of the access policy permits the request.", "[privacy.md](privacy.md)."],
  no_model: [
    "`end_of_turn` is on, and the program has no such model; the words decide.",
    "Turn it off, or give one to the program."
  ],
  no_replay_mode_permitted: [
    "No turn opens: policy allows none of the pipeline's replay modes.",
    "`allowed_replay_modes` of policy and pipeline must share one."
  ],
  no_words: ["Nothing was recognised in what was heard.", nothing],
  node_budget: [
    "A node took longer than `node_budget_ms_default` (warning).",
    "`npx rspp timeline summary` shows which."
  ],
  node_timeout_or_failure: [
    "A filter or custom node failed, and nothing stood by (abort).",
    "`optional: true`, a fallback edge, or mend the node; [nodes.md](nodes.md)."
  ],
  not_a_number: ["The end-of-turn model answered with no probability; the words decide.", "Mend the model's adapter."],
  output_of_another_epoch: ["Output of another epoch was refused.", nothing],
  overload: [
    "No room: a provider (429, 503), the recorder's queue, or admission near the tenant's capacity.",
    "Wait, or give it room: quotas, `overload` of `rspp policy admission`, more runtimes."
  ],
  overrun: [
    "The call did not end in the time that it has after a stop, and was cut off.",
    "The record before it says what was still open."
  ],
  passed_over: [
    "What the caller said takes no turn: too few words, or only a sign of attention, over the agent.",
    nothing
  ],
  plan_without_policy: [
    "No turn opens: the plan has no buffer policy for an edge.",
    "A fault of the pipeline's compilation: `npx rspp spec validate FILE`."
  ],
  pool_full: [
    "A call was not made: the process' pool for such calls, and its queue, are full.",
    "Fewer sessions in the process, or a larger pool."
  ],
  pool_wait: ["A call waited too long for its place in the pool.", "As `pool_full`."],
  provider_defect: [
    "An adapter threw something that is no failure of a provider.",
    "A fault of the adapter; `RSPP_DEBUG=1`."
  ],
  node_defect: ["A custom node threw something that is no failure of a node.", "A fault of the node; `RSPP_DEBUG=1`."],
  provider_failure: [
    "A model or voice failed, and nothing stood by (abort).",
    "`retry`, `provider_switch`, `fallback` in `allowed_adaptive_actions`; [pipelines.md](pipelines.md#when-something-fails)."
  ],
  queue_age: ["An item was older than the edge may hold it, and was shed.", "What stands behind the edge is too slow."],
  recording_evidence_unavailable: [
    "The turn's evidence could not be written, so it did not commit (abort).",
    "Look at the disk: space, permissions."
  ],
  refused: [
    "Something that was begun ahead was refused with its turn, or a store does not do this for who asks.",
    "The record beside it says why."
  ],
  released: ["The caller let go of the key (`push_to_talk`).", nothing],
  reply_cut_short: [
    "The model stopped in the middle; what it had said was spoken.",
    "See the provider; `provider_between_chunks_ms`."
  ],
  revoked: ["A lease was ended by hand.", "`npx rspp lease revoke` did it; the audit log says who."],
  rotated: ["A lease went to another placement.", nothing],
  session_ended: ["A turn was not opened, or a call not finished, because the session was over.", nothing],
  session_needed: [
    "Access to one turn was asked for, and this needs the whole session.",
    "`--as requested_scope=session,…`; [privacy.md](privacy.md)."
  ],
  session_quota_exhausted: ["The tenant has all the sessions that it may have.", "`max_sessions_per_tenant`."],
  session_refused: ["The session was not admitted.", "The reason beside it; quotas of the tenant."],
  shutdown: ["The program was stopped.", nothing],
  snapshot_incompatible: [
    "No turn opens: the snapshots are of another pipeline version or contract.",
    "Publish snapshots of the version that runs: `npx rspp snapshots publish`."
  ],
  speculation_withdrawn: ["A model that was begun ahead of the endpoint was stopped: the words changed.", nothing],
  speech_started: ["Speech over the agent: it pauses.", nothing],
  speech_unavailable: [
    "A sentence has no voice: it was left out, as the plan allows (`degrade`).",
    "See the voice's failure before it."
  ],
  stable: ["The rollout gave the stable version.", nothing],
  stale_epoch: [
    "A writer or an output of an older epoch was refused.",
    "Another placement has the session; nothing to do."
  ],
  success: ["A provider's call ended well.", nothing],
  superseded: ["What the caller said later took the place of what had not opened yet.", nothing],
  taken_back: ["The caller took back what it was saying (`push_to_talk`), or cut its own utterance.", nothing],
  tenant_quota: [
    "The tenant's turns are used up in this process.",
    "`max_turns_per_minute_per_tenant`, `max_concurrent_turns_per_tenant`."
  ],
  timeout: [
    "A call took longer than it may.",
    "[pipelines.md](pipelines.md#time-limits) has the limits; providers may declare their own."
  ],
  torn: [
    "The file ends in the middle of a record: its writer was killed.",
    "Everything before it is kept; `npx rspp timeline repair FILE`."
  ],
  transport_disconnect_or_stall: [
    "The caller's connection was lost (abort).",
    "See `connected`, `reconnecting`, `disconnected` in the timeline."
  ],
  turn_active: ["A turn was deferred because one was open.", nothing],
  turn_budget_exhausted: [
    "Nothing came within `turn_budget_ms` (abort).",
    "Which stage took it: `npx rspp timeline summary`. Faster models, `fallback_providers`, or a longer budget."
  ],
  turn_not_named: ["Access to one turn was asked for, and none was named.", "`--turn`."],
  turn_quota_exhausted: ["The session has had all its turns.", "`admission.max_turns_per_session` of the pipeline."],
  unavailable: [
    "A database, store or log does not answer.",
    "`npx rspp doctor --database DB`; runtimes go on meanwhile."
  ],
  unknown: ["Nothing is known of it: no such lease, or a track that is not told apart.", nothing],
  user_idle: ["The caller has been silent for `idle.timeout_ms`.", nothing],
  within_quota: ["A turn was admitted.", nothing],
  words_changed: ["The words of an answer that was begun ahead were not the final ones.", nothing]
}

/** Reasons that carry a name behind a colon. */
export const namedReasons: ReadonlyArray<readonly [pattern: string, meaning: string, advice: string]> = [
  [
    "snapshot_missing:KIND",
    "No turn opens: this snapshot never came.",
    "`npx rspp snapshots publish`, `--snapshots`; is the control plane reached?"
  ],
  [
    "snapshot_stale:KIND",
    "A turn is deferred: this snapshot is past its TTL.",
    "The publisher has stopped; `--max-staleness` says how long old ones count."
  ],
  [
    "provider_unhealthy:PROVIDER",
    "A turn is deferred: the provider's circuit is open and nobody stands in.",
    "`npx rspp provider health`; `fallback_providers`."
  ],
  [
    "block_time:STRATEGY",
    "A full edge held its producer for as long as it may, and then shed.",
    "What stands behind the edge is too slow."
  ],
  [
    "open:PROVIDER, half_open:PROVIDER, closed:PROVIDER",
    "The provider's circuit changed.",
    "[control-plane.md](control-plane.md#how-breakers-decide)."
  ],
  ["turn_budget, path_budget", "The budget that was used up, or nearly.", "As `turn_budget_exhausted`."]
]

/** Classes of a divergence (`rspp replay`). */
export const divergences: Meanings = {
  ORDERING_DIVERGENCE: [
    "The same records in another order.",
    "A fault of RSPP, or of a node that decides by more than its inputs. Passes a gate only when it is listed and `approved`."
  ],
  PLAN_DIVERGENCE: [
    "A turn resolved to another plan.",
    "Another profile, policy or pipeline than in the recording; expected with `--set`, `--policy`, `--spec`."
  ],
  OUTCOME_DIVERGENCE: ["A turn ended in another way.", "The first divergence that is shown says where it began."],
  TIMING_DIVERGENCE: [
    "The same at another time, beyond `timing_tolerance_ms`.",
    "Give the fixture a tolerance when the difference is meant."
  ],
  AUTHORITY_DIVERGENCE: [
    "Something passed that another epoch should have refused, or the other way round.",
    "Never accepted by a gate: report it."
  ]
}
