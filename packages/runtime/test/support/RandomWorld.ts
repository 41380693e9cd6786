import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { CommandOf, SessionCommand } from "@rspp/contracts/SessionCommand"
import type { InputOf, SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { AdaptiveAction, EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { KernelSession } from "@rspp/runtime/kernel/SessionKernel"
import { ended, openKernel } from "./KernelHarness.ts"
import { KernelLaws } from "./KernelLaws.ts"
import {
  literalHeader,
  literalPipeline,
  literalSnapshots,
  segmentEdge,
  sessionConfigWith,
  voiceEdge
} from "./LiteralSession.ts"

/** A small seeded stream of numbers (mulberry32): the same seed gives the same world. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761) >>> 0
  }

  /** 0 ≤ x < 1. */
  roll(): number {
    this.#state = (this.#state + 0x6D2B79F5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** Whole number from 0 up to, not including, `n`. */
  below(n: number): number {
    return Math.floor(this.roll() * n)
  }

  chance(p: number): boolean {
    return this.roll() < p
  }

  pick<T>(list: ReadonlyArray<T>): T {
    return list[this.below(list.length)] as T
  }
}

const outcomes = ["timeout", "overload", "blocked", "infrastructure_failure"] as const
const states = ["connected", "reconnecting", "disconnected", "silence", "stall"] as const
/** Steps after which a session that still has something to do is stuck. */
const patience = 3000

const edgePolicy = (dice: Dice, policy: EdgeBufferPolicy): EdgeBufferPolicy => {
  const items = 1 + dice.below(3)
  const ms = 200 + dice.below(2000)
  return {
    ...policy,
    strategy: dice.pick(["block", "block", "block", "block", "drop", "merge", "sample", "latest_only"]),
    max_queue_items: items,
    max_queue_ms: ms,
    max_queue_bytes: 100 + dice.below(40_000),
    max_block_time_ms: 1 + dice.below(40),
    watermarks: {
      queue_items: { high: Math.max(1, Math.floor(items * 0.75)), low: Math.floor(items * 0.5) },
      queue_ms: { high: Math.max(1, Math.floor(ms * 0.75)), low: Math.floor(ms * 0.5) }
    }
  }
}

/** The header of a world: settings, budgets, actions and edges drawn by its dice. */
const drawHeader = (dice: Dice): TimelineHeader => {
  const min_ms = dice.below(400)
  const config = sessionConfigWith({
    late_event_policy: dice.pick(["drop", "remap", "diagnostics"] as const),
    turn_detection: dice.chance(0.15) ? "push_to_talk" : "automatic",
    endpointing: {
      min_ms,
      unfinished_ms: min_ms + 300,
      max_ms: min_ms + 1000,
      mode: dice.pick(["fixed", "dynamic"] as const)
    },
    barge_in: {
      enabled: dice.chance(0.9),
      min_ms: dice.below(600),
      false_alarm_ms: dice.below(2500),
      min_words: dice.chance(0.3) ? dice.below(4) : 0,
      backchannel: dice.chance(0.3) ? ["mhm"] : []
    },
    end_of_turn: {
      enabled: dice.chance(0.3),
      timeout_ms: 1 + dice.below(400),
      likely_percent: 70,
      unlikely_percent: 30
    },
    idle: { timeout_ms: dice.chance(0.3) ? 50 + dice.below(3000) : 0, hang_up_after: 0 },
    recognition: { partial_interval_ms: 500, max_utterance_ms: dice.chance(0.2) ? 400 : 20_000 }
  })
  const base = literalPipeline(config)
  const tight = dice.chance(0.5)
  const policies = Object.fromEntries(
    Object.entries(base.edge_buffer_policies).map(([id, policy]) => [
      id,
      tight && (id === segmentEdge || id === voiceEdge) ? edgePolicy(dice, policy) : policy
    ])
  )
  const actions: ReadonlyArray<AdaptiveAction> = ["retry", "provider_switch", "degrade", "fallback"]
  return literalHeader({
    ...base,
    edge_buffer_policies: policies,
    allowed_adaptive_actions: actions.filter(() => dice.chance(0.3)),
    provider_bindings: dice.chance(0.5)
      ? { ...base.provider_bindings, "llm.fallback": "test/second_mind", "tts.fallback": "test/second_voice" }
      : base.provider_bindings,
    budgets: dice.chance(0.2)
      ? { ...base.budgets, turn_budget_ms: 1 + dice.below(800), path_budget_ms_default: 1 + dice.below(800) }
      : base.budgets,
    flow_control: {
      ...base.flow_control,
      mode_by_lane: { ...base.flow_control.mode_by_lane, DataLane: dice.pick(["signal", "credit", "hybrid"] as const) },
      shedding_strategy_by_lane: {
        ...base.flow_control.shedding_strategy_by_lane,
        DataLane: dice.pick(["drop", "merge", "latest_only", "degrade", "fallback"] as const)
      }
    }
  })
}

/**
 * A world in which everything that may happen to a session happens in random order: whoever has something to say (each
 * provider call, egress, recorder, each timer) is picked at random, keeps its own order and no other; between them the
 * world injects cancels, leases, connection changes, speech, late and stale chunks, failures, repeated reports.
 *
 * Everything is drawn from one seed. What was still in flight when a fence, a pause or a cancel took effect may arrive
 * after it, as it does in life.
 */
export class RandomWorld {
  readonly seed: number
  readonly header: TimelineHeader
  readonly session: KernelSession
  readonly laws: KernelLaws
  readonly inputs: Array<{ readonly at: number; readonly input: SessionInput | { readonly audio: number } }> = []
  readonly outputs: Array<KernelOutput> = []
  readonly #dice: Dice
  readonly #lanes = new Map<string, Array<SessionInput>>()
  /** Calls that are held back, and how many results were on their way already. */
  readonly #held = new Map<string, number>()
  readonly #timers = new Map<string, { readonly generation: number; readonly due: number }>()
  readonly #past: Array<SessionInput> = []
  readonly #live = new Map<string, CommandOf<"start_invocation">>()
  readonly #known: Array<string> = []
  readonly #turns: Array<string> = []
  readonly #lengths = new Map<string, number>()
  /** What egress of a paused turn would have done next. */
  readonly #frozen = new Map<string, Array<SessionInput>>()
  readonly #playing = new Map<string, string>()
  readonly #slow: string
  /** What may be injected in this world: some of all, so that rare things get worlds of their own. */
  readonly #faults: ReadonlyArray<number>
  #now = 0
  #epoch = 1
  #handles = 0
  #speaking = false

  constructor(seed: number, options: { readonly validate: boolean }) {
    this.seed = seed
    this.#dice = new Dice(seed)
    this.header = drawHeader(this.#dice)
    this.#slow = this.#dice.pick(["nobody", "stt", "llm", "tts", "egress", "recorder"])
    // Typed text is in every world, so that there is a turn to speak of.
    this.#faults = [8, ...Array.from({ length: 18 }, (_, fault) => fault).filter(() => this.#dice.chance(0.5))]
    this.session = openKernel(this.header)
    this.laws = new KernelLaws(options)
  }

  /** Lives through one session. Throws when a law is broken or the session does not come to its end. */
  run(): void {
    const dice = this.#dice
    this.#step({ type: "session_started" })
    this.#snapshots()
    this.#step({ type: "lease", status: "issued", authority_epoch: 1, ttl_ms: 10_000 })
    this.#step({ type: "connection", state: "connected" })
    const eager = dice.chance(0.5) ? 0.15 : 0.45
    for (let left = 15 + dice.below(90); left > 0; left--) {
      if (dice.chance(eager)) this.#inject()
      else this.#happen()
      // Authority that was lost comes back under the next epoch, or the rest of the world is silence.
      if (dice.chance(0.02)) {
        this.#epoch += 1
        this.#step({ type: "lease", status: "issued", authority_epoch: this.#epoch, ttl_ms: 1000 })
      }
    }
    this.#step(dice.chance(0.8) ? { type: "connection", state: "ended" } : { type: "shutdown", reason: "stop" })
    for (let left = patience; left > 0 && !this.session.hasEnded(); left--) {
      if (dice.chance(0.1)) this.#inject()
      else if (!this.#happen() && !this.session.hasEnded()) {
        throw new Error("the session waits for nothing and does not end")
      }
    }
    this.laws.finished()
    // Who comes after the end is heard no more.
    for (let left = 5; left > 0; left--) this.#inject()
  }

  /** Something that is under way happens. False: nothing is. */
  #happen(): boolean {
    const dice = this.#dice
    const ready = [...this.#lanes.entries()].filter(([lane, queue]) =>
      queue.length > 0 && (this.#held.get(lane) ?? 1) > 0
    )
    const timers = [...this.#timers.entries()]
    if (ready.length + timers.length === 0) return false
    if (ready.length > 0 && (timers.length === 0 || dice.chance(0.8))) {
      let [lane, queue] = dice.pick(ready)
      // Who is slow in this world mostly lets the others go first.
      for (let tries = 4; tries > 0 && this.#kind(lane) === this.#slow; tries--) [lane, queue] = dice.pick(ready)
      const onTheWay = this.#held.get(lane)
      if (onTheWay !== undefined) this.#held.set(lane, onTheWay - 1)
      const input = queue.shift() as SessionInput
      this.#pass()
      this.#performed(input)
      this.#step(input)
      return true
    }
    // Mostly the one that is due first; now and then the clock has gone far.
    const [timer, { due, generation }] = dice.chance(0.8)
      ? timers.reduce((best, next) => next[1].due < best[1].due ? next : best)
      : dice.pick(timers)
    this.#now = Math.max(this.#now, due)
    this.#timers.delete(timer)
    this.#step({ type: "timer", timer, generation })
    return true
  }

  #kind(lane: string): string {
    return this.#live.get(lane)?.modality ?? lane
  }

  #inject(): void {
    const dice = this.#dice
    this.#pass()
    const turn = () =>
      this.#turns.length === 0 || dice.chance(0.05)
        ? "turn_99"
        : dice.chance(0.7)
        ? this.#turns.at(-1) ?? ""
        : dice.pick(this.#turns)
    const call = () => this.#known.length === 0 || dice.chance(0.05) ? "inv_99" : dice.pick(this.#known.slice(-6))
    const strange = (): { readonly authority_epoch?: number } =>
      dice.chance(0.85) ? {} : { authority_epoch: dice.below(this.#epoch + 2) }
    switch (dice.pick(this.#faults)) {
      case 0:
      case 1: {
        const scope = dice.pick(["session", "turn", "turn", "node", "provider_invocation"] as const)
        return this.#step({
          type: "cancel_requested",
          scope,
          reason: "by_dice",
          ...(scope === "node" ? { node_id: dice.pick(["llm", "tts", "stt"]) } : {}),
          ...(scope === "provider_invocation" ? { provider_invocation_id: call() } : {}),
          ...(dice.chance(0.4) ? { turn_id: turn() } : {}),
          ...(dice.chance(0.2) ? { idempotency_key: `k${dice.below(3)}` } : {}),
          ...strange()
        })
      }
      case 2: {
        const next = dice.chance(0.5)
        if (next) this.#epoch += 1
        return this.#step({
          type: "lease",
          status: dice.pick(["issued", "renewed", "rotated", "rotated", "revoked", "expired"] as const),
          authority_epoch: dice.chance(0.9) ? this.#epoch : dice.below(this.#epoch + 1),
          ttl_ms: 1000
        })
      }
      case 3:
        return this.#step({ type: "connection", state: dice.pick(states) })
      case 4:
      case 5:
      case 6:
      case 7: {
        const frame = Math.max(0, this.#now - 20) * 16
        const sequence = this.session.audio(frame, 320, this.#now)
        this.inputs.push({ at: this.#now, input: { audio: frame } })
        this.laws.audio(sequence, this.#now)
        if (dice.chance(0.95)) this.#speaking = !this.#speaking
        if (this.header.session_config.turn_detection === "push_to_talk") {
          const key = this.#speaking ? "pressed" : dice.chance(0.8) ? "released" : "cancelled"
          return this.#step({ type: "push_to_talk", state: key })
        }
        return this.#step({
          type: "voice_activity",
          edge: this.#speaking ? "speech_started" : "speech_ended",
          sample_index: Math.max(0, this.#now - dice.below(300)) * 16,
          ...(dice.chance(0.97) ? {} : strange())
        })
      }
      case 8:
      case 9:
      case 10:
        return this.#step({ type: "typed_text", handle: this.#text(1 + dice.below(40)), ...strange() })
      case 11: {
        const type = dice.pick(["segment", "text_delta", "voice_chunk", "transcript"] as const)
        const about = { provider_invocation_id: call(), authority_epoch: dice.below(this.#epoch + 2) }
        return type === "transcript"
          ? this.#step({
            type,
            ...about,
            finality: dice.pick(["partial", "final"] as const),
            pause_id: dice.below(3),
            handle: this.#text(dice.below(9))
          })
          : this.#step({ type, ...about, handle: type === "voice_chunk" ? this.#voice(320) : this.#text(9) })
      }
      case 12: {
        const live = [...this.#live.values()]
        if (live.length === 0) return
        const { provider_invocation_id: id } = dice.pick(live)
        this.#lanes.set(
          id,
          (this.#lanes.get(id) ?? []).slice(0, dice.below(2)).filter(({ type }) => type !== "invocation_ended")
        )
        return this.#say(id, ended(id, dice.pick(outcomes), dice.chance(0.5)))
      }
      case 13:
        return this.#step({
          type: "output_rejected",
          turn_id: turn(),
          authority_epoch: dice.below(this.#epoch + 1),
          reason: dice.pick(["fenced", "stale_epoch", "stale_epoch", "lease_expired"] as const),
          samples: 320
        })
      case 14: {
        // A report that was told before is told again.
        const again = this.#past.filter(({ type }) =>
          type.startsWith("playback") || type.startsWith("egress") || type === "output_accepted" ||
          type === "evidence_appended" || type === "timer"
        )
        return again.length === 0 ? undefined : this.#step(dice.pick(again))
      }
      case 15:
        return this.#snapshots(dice)
      case 16:
        return this.#step({ type: "media_loss", edge_id: "input.caller_audio.stt", count: 1, first: 7, last: 7 })
      case 17:
        if (dice.chance(0.1)) return this.#step({ type: "shutdown", reason: "stop" })
        if (dice.chance(0.1)) return this.#step({ type: "connection", state: "ended" })
        this.#now += dice.below(3000)
        return
    }
  }

  #snapshots(dice?: Dice): void {
    const changes = dice === undefined ? {} : {
      ...(dice.chance(0.2)
        ? { admission_policy_snapshot: { max_turns_per_session: dice.below(4), over_quota: "defer" } }
        : {}),
      ...(dice.chance(0.3)
        ? { provider_health_snapshot: { providers: { [dice.pick(["test/mind", "test/second_mind"])]: "open" } } }
        : {}),
      ...(dice.chance(0.1) ? { version_resolution_snapshot: { pipeline_version: "other" } } : {})
    }
    for (const snapshot of literalSnapshots(this.header, changes)) this.#step({ type: "snapshot", snapshot })
  }

  #step(input: SessionInput): void {
    this.inputs.push({ at: this.#now, input })
    const { outputs, sequence } = this.session.step(input, this.#now)
    this.laws.input(sequence, this.#now, input)
    this.laws.outputs(outputs)
    this.#past.push(input)
    for (const output of outputs) {
      this.outputs.push(output)
      if (output.record === "plan") this.#turns.push(output.plan.turn_id)
      if (output.record === "command") this.#obey(output.command)
    }
  }

  #pass(): void {
    this.#now += this.#dice.below(this.#dice.chance(0.1) ? 400 : 40)
  }

  #say(lane: string, ...inputs: ReadonlyArray<SessionInput>): void {
    const queue = this.#lanes.get(lane)
    if (queue === undefined) this.#lanes.set(lane, [...inputs])
    else queue.push(...inputs)
  }

  #text(length: number): PayloadHandle {
    const facts = this.#dice.chance(0.5)
      ? {
        facts: { complete: this.#dice.chance(0.5), words: this.#dice.below(5), backchannel: this.#dice.chance(0.4) }
      }
      : {}
    return { id: `text_${++this.#handles}`, payload_class: "text_raw", length, ...facts }
  }

  #voice(samples: number): PayloadHandle {
    const id = `voice_${++this.#handles}`
    this.#lengths.set(id, samples)
    return { id, payload_class: "audio_raw", length: samples }
  }

  #obey(command: SessionCommand): void {
    const dice = this.#dice
    switch (command.type) {
      case "arm_timer":
        this.#timers.set(command.timer, { generation: command.generation, due: command.due_ms })
        return
      case "disarm_timer":
        this.#timers.delete(command.timer)
        // It had fired already and was on its way: the kernel must know it for an old one.
        if (dice.chance(0.1)) {
          this.#say("old timers", { type: "timer", timer: command.timer, generation: command.generation })
        }
        return
      case "start_invocation":
        return this.#start(command)
      case "mark_utterance":
        return this.#utterance(command)
      case "predict_turn": {
        if (dice.chance(0.2)) return
        const { pause_id, provider_invocation_id } = command
        const said = dice.chance(0.8) ? { percent: dice.below(101) } : { reason: "timeout" }
        return this.#say("predictions", { type: "turn_prediction", provider_invocation_id, pause_id, ...said })
      }
      case "cancel_invocation": {
        const id = command.provider_invocation_id
        const queue = this.#lanes.get(id) ?? []
        const end = queue.find(({ type }) => type === "invocation_ended")
        const inFlight = queue.filter((input) => input !== end).slice(0, dice.below(3))
        this.#held.delete(id)
        this.#lanes.set(id, inFlight)
        return this.#say(
          id,
          end !== undefined && dice.chance(0.3)
            ? end
            : {
              ...ended(id, dice.chance(0.9) ? "cancelled" : dice.pick(outcomes)),
              late_outputs: queue.length - inFlight.length
            }
        )
      }
      case "pause_invocation":
        this.#held.set(command.provider_invocation_id, dice.below(8))
        return
      case "resume_invocation":
        this.#held.delete(command.provider_invocation_id)
        return
      case "enqueue_output": {
        const { segment_id, turn_id } = command
        const samples = this.#lengths.get(command.handle_id) ?? 0
        return this.#egress(turn_id, { type: "egress_dequeued", turn_id, items: 1, samples }, {
          type: "playback_started",
          turn_id,
          segment_id
        })
      }
      case "end_segment": {
        const { segment_id, turn_id } = command
        return this.#egress(
          turn_id,
          { type: "output_accepted", turn_id, segment_id, samples: 320 },
          { type: "playback_completed", turn_id, segment_id, samples: 320 }
        )
      }
      case "pause_output": {
        const rest = this.#takeFromEgress(command.turn_id)
        this.#frozen.set(command.turn_id, rest)
        return
      }
      case "resume_output": {
        const rest = this.#frozen.get(command.turn_id) ?? []
        this.#frozen.delete(command.turn_id)
        return this.#say("egress", ...rest)
      }
      case "fence_output": {
        const { turn_id } = command
        this.#takeFromEgress(turn_id)
        this.#frozen.delete(turn_id)
        const segment_id = this.#playing.get(turn_id)
        const cut: ReadonlyArray<SessionInput> = segment_id === undefined
          ? []
          : [{ type: "playback_cancelled", turn_id, segment_id, samples: dice.below(400) }]
        const fenced: SessionInput = { type: "egress_fenced", turn_id, dropped_samples: 0 }
        return this.#say("egress", ...(dice.chance(0.5) ? [fenced, ...cut] : [...cut, fenced]))
      }
      case "append_evidence":
        return this.#say("recorder", {
          type: "evidence_appended",
          turn_id: command.turn_id,
          result: dice.chance(0.9) ? "appended" : "refused"
        })
      // No policy of these worlds limits the tenant.
      case "reserve_turn":
      case "release_turn":
      case "reserve_session":
      case "push_item":
      case "end_items":
      case "notify_node":
      case "write_transcript":
      case "keep_state":
      case "end_output":
      case "seal_supplement":
      case "limit_recording":
      case "end_session":
        return
    }
  }

  /** What egress will do, unless it is fenced or paused before. */
  #egress(turnId: string, ...inputs: ReadonlyArray<SessionInput>): void {
    const frozen = this.#frozen.get(turnId)
    if (frozen !== undefined) frozen.push(...inputs)
    else this.#say("egress", ...inputs)
  }

  /** Takes back what egress had not done for the turn; the first few may have been done and be on their way. */
  #takeFromEgress(turnId: string): Array<SessionInput> {
    const queue = this.#lanes.get("egress") ?? []
    const own = queue.filter((input) => "turn_id" in input && input.turn_id === turnId)
    const gone = new Set(own.slice(this.#dice.below(3)))
    for (const input of own) if (!gone.has(input)) this.#performed(input)
    this.#lanes.set("egress", queue.filter((input) => !gone.has(input)))
    return [...gone]
  }

  #performed(input: SessionInput): void {
    if (input.type === "playback_started") this.#playing.set(input.turn_id, input.segment_id)
    if (input.type === "playback_completed") this.#playing.delete(input.turn_id)
    if (input.type === "invocation_ended") this.#live.delete(input.provider_invocation_id)
  }

  #start(command: CommandOf<"start_invocation">): void {
    const dice = this.#dice
    const id = command.provider_invocation_id
    this.#live.set(id, command)
    this.#known.push(id)
    if (command.modality !== "llm" && command.modality !== "tts") return
    const about = { provider_invocation_id: id, authority_epoch: command.authority_epoch } as const
    const count = dice.below(command.modality === "llm" && dice.chance(0.7) ? 4 : 9)
    for (let i = 0; i < count; i++) {
      if (command.modality === "tts") {
        const samples = dice.chance(0.05) ? 60_000 : 320 + dice.below(6400)
        this.#say(id, { type: "voice_chunk", ...about, handle: this.#voice(samples) })
      } else {
        this.#say(id, { type: "text_delta", ...about, handle: this.#text(9) })
        this.#say(id, { type: "segment", ...about, handle: this.#text(1 + dice.below(60)) })
      }
    }
    if (dice.chance(0.85)) this.#say(id, ended(id, "success"))
    else if (dice.chance(0.6)) this.#say(id, ended(id, dice.pick(outcomes), dice.chance(0.5)))
  }

  #utterance(command: CommandOf<"mark_utterance">): void {
    const dice = this.#dice
    const id = command.provider_invocation_id
    const start = this.#live.get(id)
    if (start === undefined) return
    switch (command.mark) {
      case "pause":
        if (dice.chance(0.05)) return
        if (dice.chance(0.05)) return this.#say(id, ended(id, dice.pick([...outcomes, "success"] as const), true))
        return this.#say(id, {
          type: "transcript",
          provider_invocation_id: id,
          finality: "final",
          pause_id: command.pause_id ?? 0,
          handle: this.#text(dice.chance(0.15) ? 0 : 1 + dice.below(30)),
          authority_epoch: start.authority_epoch
        })
      case "resume":
        if (dice.chance(0.8)) this.#lanes.delete(id)
        return
      case "end":
        if (dice.chance(0.1)) {
          this.#say(
            id,
            {
              type: "transcript",
              provider_invocation_id: id,
              finality: "final",
              pause_id: 1,
              handle: this.#text(dice.below(9)),
              authority_epoch: start.authority_epoch
            } satisfies InputOf<"transcript">
          )
        }
        return this.#say(id, ended(id, "success"))
    }
  }
}
