import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const

/** No turn opens, and no output of a turn is enqueued, under an epoch that is over; what was refused is told twice over. */
const oneEpochAtATime = (told: Told): void => {
  let epoch = 0
  let held = false
  for (const record of told.records) {
    if (record.record === "input" && record.input.type === "lease") {
      const { authority_epoch, status } = record.input
      if (authority_epoch < epoch) continue
      epoch = authority_epoch
      held = status !== "revoked" && status !== "expired"
    } else if (record.record === "input" && record.input.type === "output_rejected") {
      if (record.input.reason === "lease_expired" && record.input.authority_epoch === epoch) held = false
    } else if (record.record === "command" && record.command.type === "enqueue_output") {
      assert.isTrue(held, "output without authority")
      assert.strictEqual(record.command.authority_epoch, epoch, "output of another epoch")
    } else if (record.record === "signal" && record.signal.signal === "turn_open") {
      assert.isTrue(held, "a turn opened without authority")
      assert.strictEqual(record.signal.authority_epoch, epoch)
    }
  }
  const drains = told.decisions("deauthorized_drain").length + told.decisions("stale_epoch_reject").length
  assert.strictEqual(told.signals(["deauthorized_drain", "stale_epoch_reject"]).length, drains)
}

const drained = (told: Told): void => {
  const [turn] = told.turns
  assert.deepStrictEqual(told.words(["deauthorized_drain", "abort", "close"], turn), [
    "deauthorized_drain(authority_lost)",
    "abort(authority_loss)",
    "close"
  ])
  const [decision] = told.decisions("deauthorized_drain")
  assert.deepInclude(decision, { phase: "active_turn", scope: "turn", turn_id: turn ?? "", emitted_by: "RK-24" })
  const [abort] = told.signals("abort", turn)
  assert.isTrue(told.commands("fence_output").some(({ at, turn_id }) => turn_id === turn && at < (abort?.at ?? 0)))
  const { epoch_at_open, terminal } = told.evidence(turn)
  assert.strictEqual(epoch_at_open, 1)
  assert.deepStrictEqual(terminal, { kind: "abort", reason: "authority_loss" })
}

export const scenario: NamedScenario = {
  id: "F7",
  sentence: "authority conflict: `stale_epoch_reject`, `deauthorized_drain`; if it ends the turn, `authority_loss`",
  cases: [
    {
      name: "the lease is revoked while the agent speaks",
      script: [speech, {
        when: { on: "input:playback_started", delayMs: 400 },
        act: { does: "lease", order: "revoke" }
      }],
      holds: drained,
      always: oneEpochAtATime
    },
    {
      name: "the lease is rotated while the agent speaks: the turn ends with its epoch, and the next has the new one",
      script: [
        speech,
        { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "lease", order: "rotate_home" } }
      ],
      holds: (told) => {
        drained(told)
        assert.lengthOf(told.signals("lease_rotated"), 1)
        const last = told.turns.at(-1)
        assert.strictEqual(told.terminal(last), "commit")
        assert.strictEqual(told.evidence(last).epoch_at_open, 2)
      },
      always: oneEpochAtATime
    },
    {
      name: "the lease is revoked while the model is asked",
      script: [speech, {
        when: { on: "command:start_invocation:llm", delayMs: 50 },
        act: { does: "lease", order: "revoke" }
      }],
      holds: (told) => {
        drained(told)
        assert.deepStrictEqual(told.commands("enqueue_output"), [])
      },
      always: oneEpochAtATime
    },
    {
      name: "the lease is revoked while the caller speaks: the turn does not open",
      script: [
        speech,
        { when: { on: "input:voice_activity:speech_started", delayMs: 300 }, act: { does: "lease", order: "revoke" } }
      ],
      holds: (told) => {
        assert.deepStrictEqual(told.turns, [])
        assert.include(told.words(["deauthorized_drain"]), "deauthorized_drain(authority_revoked)")
        assert.strictEqual(told.decisions("deauthorized_drain")[0]?.phase, "pre_turn")
        assert.deepStrictEqual(told.signals(["abort", "close"]), [])
      },
      always: oneEpochAtATime
    },
    {
      name: "results of an older epoch are refused at ingress",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { cancelMs: 100 } } },
        speech,
        { when: { on: "command:mark_utterance:pause", delayMs: 80 }, act: { does: "lease", order: "rotate_home" } }
      ],
      holds: (told) => {
        const [rejected] = told.decisions("stale_epoch_reject")
        assert.deepInclude(rejected, { phase: "scheduling_point", scope: "edge_enqueue", authority_epoch: 1 })
        assert.include(told.words(["stale_epoch_reject"]), "stale_epoch_reject(input_of_another_epoch)")
        for (const turn of told.turns) {
          assert.strictEqual(told.terminal(turn), "commit", "no turn of the old epoch opened")
        }
        assert.strictEqual(told.evidence(told.turns.at(-1)).epoch_at_open, 2)
      },
      always: oneEpochAtATime
    },
    {
      name: "what the caller said under an older epoch opens no turn",
      script: [
        speech,
        { when: { on: "input:transcript:final", delayMs: 40 }, act: { does: "lease", order: "rotate_home" } }
      ],
      spec: { session_config: { endpointing: { min_ms: 700, unfinished_ms: 900 } } },
      holds: (told) => {
        const rejected = told.decisions("stale_epoch_reject").filter(({ phase }) => phase === "pre_turn")
        assert.lengthOf(rejected, 1)
        assert.deepInclude(rejected[0], { scope: "turn", authority_epoch: 1 })
        assert.lengthOf(told.turns, 1, "the caller's last words, under the new epoch")
      },
      always: oneEpochAtATime
    },
    {
      name: "the lease runs out by its own deadline while the agent speaks",
      script: [
        speech,
        { when: { on: "signal:turn_open" }, act: { does: "fault", kind: "authority.partition", forMs: 9000 } }
      ],
      call: { leaseTtlMs: 1000, reply: { sentences: [8, 8], chunkMs: 100, factor: 0.2 } },
      holds: (told) => {
        assert.strictEqual(told.terminal(told.turns[0]), "authority_loss")
        // Whoever looks first notices: the session before its next step, or egress before its next frame.
        const lapsed = [
          ...told.inputs("output_rejected").filter(({ reason }) => reason === "lease_expired"),
          ...told.inputs("lease").filter(({ status }) => status === "expired")
        ]
        assert.isNotEmpty(lapsed)
      },
      always: oneEpochAtATime
    }
  ]
}
