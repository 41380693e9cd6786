import { validate } from "@rspp/contracts/Artifact"
import { simpleProfile } from "@rspp/contracts/Profile"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { watermarkOf } from "../src/internal/EdgePolicies.ts"
import { describeSpecError, parseSpecText } from "../src/SpecFile.ts"
import { sourceOf, SpecNormalizer } from "../src/SpecNormalizer.ts"
import type { NormalizeOptions } from "../src/SpecNormalizer.ts"

const minimal = { schema_version: "v1.0", pipeline_id: "demo", pipeline_version: "demo/1" }
const wholeText = readFileSync(new URL("fixtures/whole.yaml", import.meta.url), "utf8")
const whole = Effect.map(parseSpecText(wholeText, "whole.yaml"), (text) => text.value as Record<string, unknown>)

const normalize = (spec: unknown, options?: NormalizeOptions) =>
  Effect.flatMap(SpecNormalizer, (normalizer) => normalizer.normalize(spec, options)).pipe(
    Effect.provide(SpecNormalizer.layer)
  )

const errorsOf = (spec: unknown, options?: NormalizeOptions) =>
  Effect.map(
    Effect.flip(normalize(spec, options)),
    ({ errors }) => errors.map(({ code, hint, message, path }) => `${code} ${path}: ${message} | ${hint}`)
  )

describe("a minimal spec", () => {
  it.effect("gets the simple graph, the embedded providers and every number of simple/v1", () =>
    Effect.gen(function*() {
      const { admission, pipeline } = yield* normalize(minimal)
      assert.deepStrictEqual(validate("normalized_pipeline", pipeline), { ok: true, value: pipeline })
      const {
        budgets,
        cancellation_grace_ms,
        edge_buffer_policies,
        execution_profile,
        provider_bindings,
        session_config
      } = pipeline
      assert.deepStrictEqual([execution_profile, cancellation_grace_ms, pipeline.provider_first_result_ms], [
        "simple/v1",
        75,
        1000
      ])
      assert.deepStrictEqual(provider_bindings, {
        stt: "embedded/moonshine",
        llm: "embedded/rules",
        tts: "embedded/flite"
      })
      assert.deepStrictEqual(budgets, simpleProfile.budgets)
      assert.deepStrictEqual(session_config, defaultSessionConfig)
      assert.deepStrictEqual(admission, {})
      assert.deepStrictEqual(
        Object.fromEntries(
          Object.entries(edge_buffer_policies).map((
            [id, p]
          ) => [id, [p.strategy, p.max_queue_items, p.max_queue_ms, p.max_queue_bytes, p.max_block_time_ms]])
        ),
        {
          "input.caller_audio.stt": ["merge", 50, 1000, 65536, undefined],
          "input.caller_audio.vad": ["merge", 50, 1000, 65536, undefined],
          "llm.text.sentences": ["block", 256, 1000, 65536, 200],
          "sentences.segment.tts": ["block", 256, 1000, 65536, 200],
          "stt.interim_transcript.turn": ["latest_only", 1, 500, 8192, undefined],
          "stt.transcript.turn": ["block", 256, 1000, 65536, 200],
          "tts.voice.output": ["block", 1000, 20000, 1048576, 200],
          "turn.transcript.llm": ["block", 256, 1000, 65536, 200],
          "vad.voice_edge.turn": ["block", 256, 1000, 65536, 200]
        }
      )
      // any change of what a minimal spec means is a change for every user: see it in this file's diff
      yield* Effect.promise(() =>
        // oxlint-disable-next-line vitest/no-standalone-expect -- it.effect is a test
        expect(`${JSON.stringify(pipeline, null, 2)}\n`).toMatchFileSnapshot("fixtures/minimal.normalized.json")
      )
    }))

  it.effect("says of each value that the profile set it", () =>
    Effect.gen(function*() {
      const { pipeline } = yield* normalize(minimal)
      assert.deepStrictEqual([...new Set(Object.values(pipeline.sources))], ["execution_profile_default"])
      for (
        const path of [
          "budgets.turn_budget_ms",
          "session_config.endpointing.min_ms",
          "edge_buffer_policies[\"tts.voice.output\"].max_queue_ms"
        ]
      ) {
        assert.strictEqual(sourceOf(pipeline, path), "execution_profile_default", path)
      }
      assert.strictEqual(sourceOf(pipeline, "budgets.nothing"), undefined)
    }))

  it.effect("is the same pipeline when the profile's own values are written out, but for their sources", () =>
    Effect.gen(function*() {
      const { sources: _1, ...implicit } = (yield* normalize(minimal)).pipeline
      const { schema_version: _2, ...session_config } = defaultSessionConfig
      const { allowed_adaptive_actions, budgets, flow_control, recording_policy } = simpleProfile
      const spelled = {
        ...minimal,
        execution_profile: "simple/v1",
        session_config,
        budgets,
        flow_control,
        allowed_adaptive_actions,
        recording_policy
      }
      const { sources, ...explicit } = (yield* normalize(spelled)).pipeline
      assert.deepStrictEqual(explicit, implicit)
      assert.strictEqual(sources["flow_control.watermarks.DataLane.low"], "explicit")
    }))
})

describe("a spec that writes everything", () => {
  it.effect("keeps every value", () =>
    Effect.gen(function*() {
      const spec = yield* whole
      const { admission, pipeline } = yield* normalize(spec)
      assert.isTrue(validate("normalized_pipeline", pipeline).ok)
      assert.deepStrictEqual(admission, { max_turns_per_session: 3 })
      assert.deepStrictEqual(pipeline.provider_bindings, {
        stt: "embedded/moonshine",
        llm: "openai/compatible",
        tts: "embedded/flite"
      })
      assert.deepStrictEqual(
        pipeline.session_config,
        { schema_version: "v1.0", ...(spec["session_config"] as object) } as never
      )
      assert.deepStrictEqual(pipeline.budgets, spec["budgets"] as never)
      assert.deepStrictEqual(pipeline.flow_control, spec["flow_control"] as never)
      assert.deepStrictEqual(pipeline.allowed_adaptive_actions, ["retry", "fallback"])
      assert.deepStrictEqual(pipeline.recording_policy, {
        recording_level: "L1",
        allowed_replay_modes: ["replay_decisions", "recompute_decisions"]
      })
      const policies = spec["edge_buffer_policies"] as Record<string, object>
      assert.deepStrictEqual(
        pipeline.edge_buffer_policies["voice-out"],
        { ...policies["voice-out"], defaulting_source: "explicit_edge_config" } as never
      )
      assert.strictEqual(
        pipeline.edge_buffer_policies["brain.text.cut"]?.defaulting_source,
        "execution_profile_default"
      )
    }))

  it.effect("says of each value that the author set it, except for what a spec cannot say", () =>
    Effect.gen(function*() {
      const { pipeline } = yield* normalize(yield* whole)
      const byProfile = Object.entries(pipeline.sources).filter(([path, source]) =>
        source !== "explicit" && !path.startsWith("edge_buffer_policies")
      )
      assert.deepStrictEqual(byProfile.map(([path]) => path).sort(), [
        "cancellation_grace_ms",
        "provider_first_result_ms",
        "snapshot_outcomes.incompatible",
        "snapshot_outcomes.missing",
        "snapshot_outcomes.stale"
      ])
      assert.strictEqual(sourceOf(pipeline, "edge_buffer_policies[\"voice-out\"].watermarks.queue_ms.low"), "explicit")
      assert.strictEqual(
        sourceOf(pipeline, "edge_buffer_policies[\"brain.text.cut\"].strategy"),
        "execution_profile_default"
      )
    }))

  it.effect("gives the same pipeline in another order (N2)", () =>
    Effect.gen(function*() {
      const spec = yield* whole
      const turned = Object.fromEntries(
        Object.entries(spec).toReversed().map((
          [key, value]
        ) => [key, Array.isArray(value) ? value.toReversed() : value])
      )
      const [a, b] = [yield* normalize(spec), yield* normalize(turned)]
      assert.deepStrictEqual(b, a)
    }))
})

describe("an edge of which the author wrote a part", () => {
  const policyOf = (own: object, edge = "llm.text.sentences") =>
    Effect.map(normalize({ ...minimal, edge_buffer_policies: { [edge]: own } }), ({ pipeline }) => ({
      policy: pipeline.edge_buffer_policies[edge]!,
      source: (field: string) => sourceOf(pipeline, `edge_buffer_policies["${edge}"].${field}`)
    }))

  it.effect("has watermarks and latency that follow its bounds", () =>
    Effect.gen(function*() {
      const { policy, source } = yield* policyOf({ max_queue_items: 1, max_queue_ms: 100 })
      assert.deepStrictEqual(policy.watermarks, { queue_items: { high: 1, low: 0 }, queue_ms: { high: 75, low: 50 } })
      assert.deepStrictEqual([policy.max_latency_contribution_ms, policy.max_queue_bytes, policy.max_block_time_ms], [
        100,
        65536,
        200
      ])
      assert.strictEqual(policy.defaulting_source, "explicit_edge_config")
      assert.deepStrictEqual([source("max_queue_ms"), source("max_queue_bytes")], [
        "explicit",
        "execution_profile_default"
      ])
    }))

  it.effect("keeps the watermark that it wrote and gets the other", () =>
    Effect.gen(function*() {
      const { policy } = yield* policyOf({ watermarks: { queue_items: { high: 200, low: 10 } } })
      assert.deepStrictEqual(policy.watermarks, {
        queue_items: { high: 200, low: 10 },
        queue_ms: { high: 750, low: 500 }
      })
    }))

  it.effect("handles its data lane by its strategy, and forgets the block time when it no longer blocks", () =>
    Effect.gen(function*() {
      const { policy } = yield* policyOf({ strategy: "latest_only" })
      assert.deepStrictEqual([policy.lane_handling.DataLane, policy.max_block_time_ms], ["latest_only", undefined])
    }))

  it.effect("is the profile's when it wrote nothing", () =>
    Effect.gen(function*() {
      const { policy } = yield* policyOf({})
      assert.strictEqual(policy.defaulting_source, "execution_profile_default")
    }))

  it("has watermarks by the rule of the profile itself", () => {
    for (const policy of Object.values(simpleProfile.edge_buffer_policies)) {
      assert.deepStrictEqual(policy.watermarks, {
        queue_items: watermarkOf(policy.max_queue_items),
        queue_ms: watermarkOf(policy.max_queue_ms)
      })
    }
  })
})

describe("a spec is refused", () => {
  const refused = (name: string, spec: unknown, expected: ReadonlyArray<string>, options?: NormalizeOptions) =>
    it.effect(name, () => Effect.map(errorsOf(spec, options), (errors) => assert.deepStrictEqual(errors, expected)))

  refused("when it is no object", ["demo"], [
    "bad_value : the spec must be an object | A spec holds at least schema_version, pipeline_id and pipeline_version."
  ])
  refused("with an unknown field, and told what was probably meant", { ...minimal, buget: {} }, [
    "unknown_key buget: buget is not a known field | Did you mean \"budgets\"?"
  ])
  refused(
    "with an unknown field far down",
    { ...minimal, session_config: { endpointing: { minimum_ms: 3, zzz: 1 } } },
    [
      "unknown_key session_config.endpointing.minimum_ms: session_config.endpointing.minimum_ms is not a known field | Fields here: min_ms, unfinished_ms, max_ms, mode.",
      "unknown_key session_config.endpointing.zzz: session_config.endpointing.zzz is not a known field | Fields here: min_ms, unfinished_ms, max_ms, mode."
    ]
  )
  refused("without its identity", {}, [
    "missing_key pipeline_id: pipeline_id is missing | Add pipeline_id.",
    "missing_key pipeline_version: pipeline_version is missing | Add pipeline_version.",
    "missing_key schema_version: schema_version is missing | Add schema_version."
  ])
  refused("with a number where a name belongs", { ...minimal, pipeline_version: 1.5 }, [
    "bad_value pipeline_version: pipeline_version must be a string, not 1.5 | Write it in quotes: \"1.5\"."
  ])
  refused("with a value out of bounds", {
    ...minimal,
    budgets: { turn_budget_ms: 0 },
    session_config: { voice_activity: { on_threshold: 1.5 } }
  }, [
    "bad_value budgets.turn_budget_ms: budgets.turn_budget_ms must be a value of at least 1, not 0 | Correct turn_budget_ms, or leave it out if it has a default.",
    "bad_value session_config.voice_activity.on_threshold: session_config.voice_activity.on_threshold must be a number from 0 to 1, not 1.5 | Correct on_threshold, or leave it out if it has a default."
  ])
  refused("with a secret", { ...minimal, pipeline_version: `p/AKIA${"Q7".repeat(8)}` }, [
    "secret_in_spec pipeline_version: pipeline_version looks like a secret, and a spec is kept in every recording | Give secrets in the environment of the provider or the node."
  ])
  refused("with an unknown choice", { ...minimal, session_config: { late_event_policy: "diagnostic" } }, [
    "bad_value session_config.late_event_policy: session_config.late_event_policy must be one of \"drop\", \"remap\", \"diagnostics\", not \"diagnostic\" | Did you mean \"diagnostics\"?"
  ])
  refused("of another major version", { ...minimal, schema_version: "v2.0" }, [
    "schema_version_unsupported schema_version: schema_version v2.0 is not one that is read here | Write v1.0."
  ])
  refused("with an unknown profile", { ...minimal, execution_profile: "simple" }, [
    "profile_unknown execution_profile: execution_profile \"simple\" does not exist | Did you mean \"simple/v1\"?"
  ])
  refused("when off is above on", { ...minimal, session_config: { voice_activity: { off_threshold: 0.7 } } }, [
    "relation session_config.voice_activity.off_threshold: session_config.voice_activity.off_threshold: off_threshold 0.7 is above on_threshold 0.5 | Change one of the two; a value that the spec leaves out is the profile's."
  ])
  refused("when endpointing is not min ≤ unfinished ≤ max", {
    ...minimal,
    session_config: { endpointing: { min_ms: 900, max_ms: 700 } }
  }, [
    "relation session_config.endpointing.min_ms: session_config.endpointing.min_ms: min_ms 900 is above unfinished_ms 800 | Change one of the two; a value that the spec leaves out is the profile's.",
    "relation session_config.endpointing.unfinished_ms: session_config.endpointing.unfinished_ms: unfinished_ms 800 is above max_ms 700 | Change one of the two; a value that the spec leaves out is the profile's."
  ])
  refused("when a watermark's low is above its high", {
    ...minimal,
    flow_control: { watermarks: { DataLane: { high: 3, low: 4 } } }
  }, [
    "relation flow_control.watermarks.DataLane.low: flow_control.watermarks.DataLane: low 4 is above high 3 | Set low to at most 3."
  ])
  refused("when an edge's watermarks do not fit its bound", {
    ...minimal,
    edge_buffer_policies: {
      "tts.voice.output": { max_queue_items: 5, watermarks: { queue_items: { high: 6, low: 7 } } }
    }
  }, [
    "relation edge_buffer_policies[\"tts.voice.output\"].watermarks.queue_items.high: the high watermark 6 of edge \"tts.voice.output\" is above its max_queue_items 5 | Set high to at most 5, or raise max_queue_items.",
    "relation edge_buffer_policies[\"tts.voice.output\"].watermarks.queue_items.low: edge_buffer_policies[\"tts.voice.output\"].watermarks.queue_items: low 7 is above high 6 | Set low to at most 6."
  ])
  refused("when an edge blocks for ever", {
    ...minimal,
    edge_buffer_policies: { "input.caller_audio.vad": { strategy: "block" } }
  }, [
    "relation edge_buffer_policies[\"input.caller_audio.vad\"].strategy: edge \"input.caller_audio.vad\" blocks without a max_block_time_ms, and could block for ever | Add max_block_time_ms, such as 200."
  ])
  refused("with a policy for an edge that does not exist", {
    ...minimal,
    edge_buffer_policies: { "tts.voice.out": {} }
  }, [
    "edge_policy_unknown edge_buffer_policies[\"tts.voice.out\"]: edge_buffer_policies names the edge \"tts.voice.out\", which the graph does not have | Did you mean \"tts.voice.output\"?"
  ])
  refused("with nodes but no edges", { ...minimal, nodes: [], edge_buffer_policies: { mine: {} } }, [
    "graph_incomplete edges: the spec has nodes but no edges | Add edges, or leave both out for the simple graph."
  ])
  refused("with an unknown provider", { ...minimal, providers: { llm: "embedded/rule" } }, [
    "provider_unknown providers.llm: providers.llm: there is no provider \"embedded/rule\" | Did you mean \"embedded/rules\"?"
  ], { providers: ["embedded/moonshine", "embedded/rules", "embedded/flite"] })

  it.effect("with everything that is wrong at once, form and graph (N3)", () =>
    Effect.gen(function*() {
      const spec = yield* whole
      const nodes = (spec["nodes"] as Array<object>).map((node, i) =>
        i === 1 ? { ...node, node_type: "speech2text" } : node
      )
      assert.deepStrictEqual(yield* errorsOf({ ...spec, nodes, budgets: { turn_budget_ms: -1 } }), [
        "bad_value budgets.turn_budget_ms: budgets.turn_budget_ms must be a value of at least 1, not -1 | Correct turn_budget_ms, or leave it out if it has a default.",
        "node_type_unknown nodes[1].node_type: node \"ears\" has the unknown type \"speech2text\" | Did you mean \"speech_to_text\"?"
      ])
      assert.deepStrictEqual(
        yield* errorsOf({
          ...spec,
          providers: { tts: "embedded/flite", llm: "x/y" },
          session_config: { voice_activity: { on_threshold: 0.1 } }
        }),
        [
          "provider_missing nodes[1]: node \"ears\" is a speech_to_text and has no provider | Add provider_id to the node, or providers.stt to the spec.",
          "provider_conflict nodes[2].provider_id: node \"brain\" has provider_id openai/compatible, but providers.llm is x/y | Keep one of the two.",
          "relation session_config.voice_activity.off_threshold: session_config.voice_activity.off_threshold: off_threshold 0.35 is above on_threshold 0.1 | Change one of the two; a value that the spec leaves out is the profile's."
        ]
      )
    }))

  it.effect("with the line at which each field stands", () =>
    Effect.gen(function*() {
      const text = yield* parseSpecText(wholeText.replace("text_to_speech }", "text_to_speach }"), "whole.yaml")
      const { errors, message } = yield* Effect.flip(normalize(text.value))
      assert.strictEqual(message, "node \"mouth\" has the unknown type \"text_to_speach\"")
      assert.deepStrictEqual(errors.map((error) => describeSpecError(error, text)), [
        "whole.yaml:10:23: node \"mouth\" has the unknown type \"text_to_speach\". Did you mean \"text_to_speech\"?"
      ])
    }))
})
