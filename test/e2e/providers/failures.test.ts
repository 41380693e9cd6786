// F3, a provider failure, in each of its forms: each fault happens at a real socket, in a turn of its own of a call that the
// real program runs; what it came to is read from the timeline that the program exports.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import { anthropicServer } from "@rspp/providers/test/servers/AnthropicServer"
import { cartesiaServer } from "@rspp/providers/test/servers/CartesiaServer"
import { deepgramServer } from "@rspp/providers/test/servers/DeepgramServer"
import { elevenLabsServer } from "@rspp/providers/test/servers/ElevenLabsServer"
import { openAiServer } from "@rspp/providers/test/servers/OpenAiServer"
import { openAiTranscriptionsServer } from "@rspp/providers/test/servers/OpenAiTranscriptionsServer"
import type { Reply } from "@rspp/providers/test/servers/EventStreamServer"
import type { Fault, ProtocolServer } from "@rspp/providers/test/servers/ProtocolServer"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { recordingPath, rspp } from "../../support/Program.ts"
import type { Ended } from "../../support/Program.ts"
import { RecordedCall } from "./RecordedCall.ts"

/** What a turn comes to after its provider failed. */
type Ending =
  /** `abort(provider_failure)`. */
  | "aborts"
  /** The same provider answers at the second attempt. */
  | "again"
  /** The stand-in answers. */
  | "stand-in"
  /** `degrade`: the reply ends with what was said, or goes on unspoken. */
  | "degrades"

/** The plans: what each allows. */
const plans = {
  nothing: [],
  retry: ["retry"],
  provider_switch: ["provider_switch"],
  fallback: ["fallback"],
  degrade: ["degrade"]
} as const
type Plan = keyof typeof plans

/** Longest times of the vendors, ms: with room for a slow machine, as nothing else in these calls takes a tenth of it. */
const bounds = { connect_ms: 2500, first_result_ms: 2500, stall_ms: 1500 }

interface Row {
  readonly form: string
  readonly modality: "llm" | "tts"
  readonly fault: Fault
  readonly outcome: "timeout" | "overload" | "blocked" | "infrastructure_failure"
  readonly retryable: boolean
  /** Whether something had been given before: then nobody may say it anew. */
  readonly given: boolean
  readonly ends: Readonly<Record<Plan, Ending>>
}

const ends = (nothing: Ending, retry: Ending, other: Ending, degrade: Ending): Row["ends"] => ({
  nothing,
  retry,
  provider_switch: other,
  fallback: other,
  degrade
})

/** Before any output. A voice that fails leaves the words; a model leaves nothing. */
const silent = {
  llm: ends("aborts", "again", "stand-in", "aborts"),
  tts: ends("aborts", "again", "stand-in", "degrades")
}
/** The same request would fail again: it is not sent again. */
const refused = {
  llm: ends("aborts", "aborts", "stand-in", "aborts"),
  tts: ends("aborts", "aborts", "stand-in", "degrades")
}
/** After some output. */
const inTheMiddle = {
  llm: ends("aborts", "aborts", "aborts", "aborts"),
  tts: ends("aborts", "aborts", "aborts", "degrades")
}

const row = (
  form: string,
  modality: Row["modality"],
  fault: Fault,
  outcome: Row["outcome"],
  retryable: boolean,
  ends: Row["ends"],
  given = false
): Row => ({ form, modality, fault, outcome, retryable, ends, given })

/** The vendor's own error in the middle of a regular connection: a fault of its server, or an account without credit. */
const vendorError = (modality: Row["modality"]): [Row["outcome"], boolean, Row["ends"]] =>
  modality === "llm" ? ["infrastructure_failure", true, silent.llm] : ["blocked", false, refused.tts]

const rowsOf = (modality: Row["modality"]): ReadonlyArray<Row> => {
  const before = silent[modality]
  const broken = "infrastructure_failure"
  return [
    row("timeout: unanswered", modality, { kind: "unanswered" }, "timeout", true, before),
    row("timeout: first output too late", modality, { kind: "slow_first", ms: 60_000 }, "timeout", true, before),
    row(
      "timeout: stalls in the middle",
      modality,
      { kind: "stall", after: 1 },
      "timeout",
      true,
      { ...inTheMiddle[modality], degrade: "degrades" },
      true
    ),
    row(
      "rate limit: 429 with Retry-After",
      modality,
      { kind: "refuse", status: 429, retryAfterSeconds: 1 },
      "overload",
      true,
      before
    ),
    row("overload: 503", modality, { kind: "refuse", status: 503 }, "overload", true, before),
    row("disconnect: before the first output", modality, { kind: "cut", after: 0 }, broken, true, before),
    row("disconnect: in the middle", modality, { kind: "cut", after: 1 }, broken, true, inTheMiddle[modality], true),
    row("blocked: 401", modality, { kind: "refuse", status: 401 }, "blocked", false, refused[modality]),
    row("blocked: 403", modality, { kind: "refuse", status: 403 }, "blocked", false, refused[modality]),
    row("the vendor's own error", modality, { kind: "vendor_error" }, ...vendorError(modality)),
    row("5xx", modality, { kind: "refuse", status: 500 }, broken, true, before),
    row("malformed: at once", modality, { kind: "malformed", after: 0 }, broken, true, before),
    row(
      "malformed: in the middle",
      modality,
      { kind: "malformed", after: 1 },
      broken,
      true,
      inTheMiddle[modality],
      true
    ),
    // A proxy's page: the next one would be the same.
    row("malformed: a page", modality, { kind: "wrong_content_type" }, broken, false, refused[modality])
  ]
}

/** A turn for each, model and voice in turn: of one provider no more than a few fail within a minute, so that no circuit opens. */
const models = rowsOf("llm")
const rows = models.flatMap((model, index) => [model, rowsOf("tts")[index]!])

/** In virtual time a minute of silence costs next to nothing. */
const betweenTurnsMs = 16_000

/** A call that is served well. */
const well: Fault = { kind: "slow_first", ms: 0 }

/** What the model meets, call by call; the first turn of a call is a good one. */
const queueOf = (plan: Plan): ReadonlyArray<Fault> => [
  well,
  ...rows.flatMap(({ ends, fault, modality }) =>
    modality === "tts" ? [well] : ends[plan] === "again" ? [fault, well] : [fault]
  )
]

/** The case that is asked for: after words that nobody answered, its own come last. */
const caseOf = (text: string): Row | undefined => rows[Number([...text.matchAll(/Case (\d+):/gu)].at(-1)?.[1] ?? -1)]

const scope = Scope.makeUnsafe()
const cwd = mkdtempSync(join(tmpdir(), "rspp-failures-"))
const calls = new Map<string, RecordedCall>()
let verified: Ended
let replayed: Ended

/** The model's reply; the voice that is to speak it meets its fault of this turn. */
const reply = (who: string, voice?: () => ProtocolServer): Reply =>
  async function*(messages) {
    const asked = caseOf(messages.findLast(({ role }) => role === "user")?.text ?? "")
    if (asked?.modality === "tts") voice?.().next(asked.fault)
    yield `${who} says one thing. `
    yield `${who} stops.`
  }

const nameOf = (adapter: string): string => adapter.replace("/", "-")

const write = (name: string, value: unknown) => writeFileSync(join(cwd, name), JSON.stringify(value))

/** Runs a script under a plan with these providers, and reads the timeline that it exports. */
const runs = async (
  name: string,
  script: unknown,
  pipeline: Readonly<Record<string, unknown>>,
  providers: Readonly<
    Record<string, { readonly server: ProtocolServer; readonly adapter: string; readonly model?: string }>
  >
) => {
  const declared = Object.entries(providers).map(([id, { server, ...adapter }]) => {
    const key = `${name}-${id.replace("/", "-")}.key`
    writeFileSync(join(cwd, key), server.key)
    return [id, { ...adapter, ...bounds, base_url: server.baseUrl, api_key: `file:${key}` }]
  })
  write(`${name}.providers.json`, { providers: Object.fromEntries(declared) })
  write(`${name}.pipeline.json`, {
    schema_version: "v1.0",
    pipeline_id: "failures",
    pipeline_version: "failures/1",
    // What is tried here is not the turn's budget.
    budgets: { turn_budget_ms: 60_000, path_budget_ms_default: 60_000 },
    ...pipeline
  })
  write(`${name}.script.json`, script)
  const ran = await rspp(
    cwd,
    ...["run", "--script", `${name}.script.json`, "--pipeline", `${name}.pipeline.json`],
    ...["--providers", `${name}.providers.json`, "--timeline", `${name}.timeline`, "--speed", "max", "--json"]
  )
  const exported = await rspp(cwd, "timeline", "export", `${name}.timeline`, "--format", "jsonl")
  calls.set(name, new RecordedCall(ran, exported))
}

const underPlan = async (plan: Plan) => {
  let voices: ReadonlyArray<ProtocolServer> = []
  const [mind, voice, otherMind, otherVoice] = await Effect.runPromise(
    Effect.all([
      openAiServer({ engine: reply("The first", () => voices[0]!) }),
      elevenLabsServer(),
      anthropicServer({ engine: reply("The stand-in") }),
      cartesiaServer()
    ]).pipe(Effect.provideService(Scope.Scope, scope))
  )
  voices = [voice]
  mind.next(...queueOf(plan))
  const texts = ["A good one", ...rows.map(({ form }, index) => `Case ${index}: ${form}`)]
  const script = {
    steps: texts.map((text, index) => ({
      text,
      at: index === 0 ? { after: "start" } : { after: "previous", delay_ms: betweenTurnsMs }
    })),
    hang_up: { after: "previous", delay_ms: betweenTurnsMs }
  }
  await runs(
    plan,
    script,
    {
      providers: { llm: "main/mind", tts: "main/voice" },
      ...(plan === "provider_switch" || plan === "fallback"
        ? { fallback_providers: { llm: "other/mind", tts: "other/voice" } }
        : {}),
      allowed_adaptive_actions: plans[plan]
    },
    {
      "main/mind": { server: mind, adapter: "openai/compatible", model: "first" },
      "main/voice": { server: voice, adapter: "elevenlabs/http" },
      "other/mind": { server: otherMind, adapter: "anthropic/messages", model: "other" },
      "other/voice": { server: otherVoice, adapter: "cartesia/websocket" }
    }
  )
}

/** Forms of a recogniser's failure. Which is the plan's business with no stand-in named: nobody else can listen, in any plan. */
interface HeardRow {
  readonly form: string
  readonly fault: Fault
  readonly outcome: Row["outcome"]
  readonly retryable: boolean
}

const heard = (form: string, fault: Fault, outcome: Row["outcome"], retryable = true): HeardRow => ({
  form,
  fault,
  outcome,
  retryable
})

const recognisers = {
  // One request an utterance.
  "openai/transcriptions": {
    server: openAiTranscriptionsServer,
    settings: { model: "ears" },
    allows: [],
    rows: [
      heard("timeout: unanswered", { kind: "unanswered" }, "timeout"),
      heard("timeout: first output too late", { kind: "slow_first", ms: 60_000 }, "timeout"),
      heard("timeout: stalls", { kind: "stall", after: 0 }, "timeout"),
      heard("rate limit: 429 with Retry-After", { kind: "refuse", status: 429, retryAfterSeconds: 1 }, "overload"),
      heard("overload: 503", { kind: "refuse", status: 503 }, "overload"),
      heard("disconnect", { kind: "cut", after: 0 }, "infrastructure_failure"),
      heard("blocked: 401", { kind: "refuse", status: 401 }, "blocked", false),
      heard("blocked: 403", { kind: "refuse", status: 403 }, "blocked", false),
      heard("the vendor's own error", { kind: "vendor_error" }, "blocked", false),
      heard("5xx", { kind: "refuse", status: 500 }, "infrastructure_failure"),
      heard("malformed", { kind: "malformed", after: 0 }, "infrastructure_failure"),
      heard("malformed: a page", { kind: "wrong_content_type" }, "infrastructure_failure", false)
    ]
  },
  // A connection an utterance, and one in advance, which meets refusals in its place.
  "deepgram/streaming": {
    server: deepgramServer,
    settings: {},
    allows: ["retry", "degrade"],
    rows: [
      heard("timeout: stalls", { kind: "stall", after: 0 }, "timeout"),
      heard("disconnect", { kind: "cut", after: 0 }, "infrastructure_failure"),
      heard("the vendor's own error", { kind: "vendor_error" }, "infrastructure_failure"),
      heard("malformed", { kind: "malformed", after: 0 }, "infrastructure_failure")
    ]
  }
} as const
type Recogniser = keyof typeof recognisers

const listening = async (adapter: Recogniser) => {
  const { allows, rows, server, settings } = recognisers[adapter]
  const [ears, mind, voice] = await Effect.runPromise(
    Effect.all([server(), openAiServer({ engine: reply("The first") }), elevenLabsServer()]).pipe(
      Effect.provideService(Scope.Scope, scope)
    )
  )
  // After each failure the next utterance is heard.
  ears.next(well, ...rows.flatMap(({ fault }) => [fault, well]))
  const steps = Array.from({ length: 2 * rows.length + 1 }, (_, index) => ({
    say: recordingPath("goforward"),
    at: index === 0 ? { after: "start" } : { after: "previous", delay_ms: betweenTurnsMs }
  }))
  await runs(
    nameOf(adapter),
    { steps, hang_up: { after: "previous", delay_ms: betweenTurnsMs } },
    { providers: { stt: "main/ears", llm: "main/mind", tts: "main/voice" }, allowed_adaptive_actions: allows },
    {
      "main/ears": { server: ears, adapter, ...settings },
      "main/mind": { server: mind, adapter: "openai/compatible", model: "first" },
      "main/voice": { server: voice, adapter: "elevenlabs/http" }
    }
  )
}

const planNames = Object.keys(plans) as ReadonlyArray<Plan>
const recogniserNames = Object.keys(recognisers) as ReadonlyArray<Recogniser>

beforeAll(async () => {
  // They mostly wait, but more than a few at a time would wait for each other on a small machine.
  const left = [
    ...recogniserNames.map((name) => () => listening(name)),
    ...planNames.map((name) => () => underPlan(name))
  ]
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await next()
  }
  await Promise.all([worker(), worker(), worker()])
  const files = [...calls.keys()].map((name) => `${name}.timeline`)
  verified = await rspp(cwd, "timeline", "verify", ...files, "--json")
  replayed = await rspp(cwd, "replay", ...files)
}, 600_000)

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(cwd, { recursive: true, force: true })
})

const called = (name: string): RecordedCall => {
  const call = calls.get(name)
  assert.isDefined(call)
  return call
}

/** What is told of a turn, in order, by how it ends. */
const toldOf = (plan: Plan, { ends, modality, outcome }: Row): ReadonlyArray<string> => {
  const begins = ["turn_open", `provider_error(${outcome})`]
  switch (ends[plan]) {
    case "aborts":
      return [...begins, "abort(provider_failure)", "close"]
    case "again":
      return [...begins, "commit", "close"]
    case "stand-in":
      return [...begins, `${plan}(${outcome})`, "commit", "close"]
    case "degrades":
      return [...begins, `degrade(${modality === "tts" ? "speech_unavailable" : "reply_cut_short"})`, "commit", "close"]
  }
}

/** Cancel times that make sense: acknowledged after it was sent, within what the call is given to end. */
const hasCancelTimes = ({ cancel_ack_ms, cancel_sent_ms, outcome_class, started_ms }: InvocationFacts) => {
  if (cancel_sent_ms === undefined) {
    assert.isUndefined(cancel_ack_ms)
    assert.notStrictEqual(outcome_class, "cancelled")
    return
  }
  assert.isDefined(cancel_ack_ms)
  assert.isAtLeast(cancel_sent_ms, started_ms)
  assert.isAtLeast(cancel_ack_ms, cancel_sent_ms)
}

/** How it is recorded that a stand-in was asked. */
const standsIn = (plan: Plan) => plan === "provider_switch" || plan === "fallback" ? plan : "none"

describe.each(planNames)("F3 in a plan that allows: %s", (plan) => {
  it("every turn is opened, in order, and no circuit opens", () => {
    const { ran, signals, turns } = called(plan)
    assert.strictEqual(ran.stderr, "")
    assert.strictEqual(ran.code, 0, ran.stdout)
    assert.deepStrictEqual(
      turns.map(({ turn_id }) => turn_id),
      Array.from({ length: rows.length + 1 }, (_, index) => `turn_${index + 1}`)
    )
    assert.deepStrictEqual(signals.filter(({ signal }) => signal === "circuit_event"), [])
    for (const { outcomes } of turns) assert.match(outcomes.join(" "), /^turn_open .*(?:commit|abort\(\w+\)) close$/u)
  })

  it.each(rows.map((row, index) => ({ ...row, index, ending: row.ends[plan] })))(
    "$modality, $form: $ending",
    ({ fault, given, index, modality, outcome, retryable, ...row }) => {
      const turn = called(plan).turns[index + 1]
      assert.isDefined(turn)
      assert.deepStrictEqual(turn.outcomes, toldOf(plan, { fault, given, modality, outcome, retryable, ...row }))
      assert.strictEqual(turn.evidence.length, 1)
      for (const invocation of turn.invocations) hasCancelTimes(invocation)

      const [failed, next] = turn.invocations.filter((one) => one.modality === modality)
      assert.isDefined(failed)
      const ending = row.ends[plan]
      assert.deepInclude(failed, {
        provider_id: modality === "llm" ? "main/mind" : "main/voice",
        outcome_class: outcome,
        retryable,
        attempts: 1,
        retry_decision: ending === "again" ? "retry" : ending === "stand-in" ? standsIn(plan) : "none"
      })
      assert.strictEqual(failed.first_result_ms !== undefined, given)
      if (ending === "again" || ending === "stand-in") {
        assert.isDefined(next)
        assert.deepInclude(next, {
          provider_id: ending === "again" ? failed.provider_id : modality === "llm" ? "other/mind" : "other/voice",
          idempotency_key: failed.idempotency_key,
          outcome_class: "success",
          retry_decision: "none",
          attempts: ending === "again" ? 2 : 1
        })
        const failedAt = failed.started_ms + failed.final_latency_ms
        const waited = fault.kind === "refuse" ? (fault.retryAfterSeconds ?? 0) * 1000 : 0
        // The least wait of the first backoff, and what the vendor asked for.
        assert.isAtLeast(next.started_ms - failedAt, ending === "again" ? waited + 50 : 0)
      }
      // Nothing is said twice: of one piece of work at most one call gave anything.
      const gave = turn.invocations.filter(({ first_result_ms }) => first_result_ms !== undefined)
      assert.strictEqual(new Set(gave.map((one) => one.idempotency_key)).size, gave.length)
    }
  )
})

describe.each(recogniserNames)("F3 of a recogniser, %s", (adapter) => {
  const { rows } = recognisers[adapter]

  it.each(rows.map((row, index) => ({ ...row, index })))(
    "$form: the utterance is lost, which is told, and the next one is heard",
    ({ index, outcome, retryable }) => {
      const { invocations, signals } = called(nameOf(adapter))
      const heard = invocations.filter(({ modality }) => modality === "stt")
        .sort((a, b) => a.started_ms - b.started_ms)
      const [failed, next] = heard.slice(2 * index + 1)
      assert.isDefined(failed)
      assert.isDefined(next)
      hasCancelTimes(failed)
      assert.deepInclude(failed, {
        provider_id: "main/ears",
        outcome_class: outcome,
        retryable,
        attempts: 1,
        retry_decision: "none"
      })
      assert.isUndefined(failed.turn_id, "a turn was opened for what nobody understood")
      assert.isDefined(next.turn_id)
      assert.strictEqual(next.outcome_class, "success")
      const told = signals.filter(({ provider_invocation_id }) =>
        provider_invocation_id === failed.provider_invocation_id
      )
      assert.deepStrictEqual(
        told.filter(({ signal }) => signal === "provider_error").map(({ reason }) => reason),
        [outcome]
      )
    }
  )

  it("no other turn was opened, and each was answered", () => {
    const { ran, turns } = called(nameOf(adapter))
    assert.strictEqual(ran.code, 0, ran.stderr + ran.stdout)
    assert.deepStrictEqual(
      turns.map(({ outcomes }) => outcomes),
      Array.from({ length: rows.length + 1 }, () => ["turn_open", "commit", "close"])
    )
  })
})

describe("recordings of failures", () => {
  it("have complete baseline evidence of every accepted turn", () => {
    assert.strictEqual(verified.code, 0, verified.stdout + verified.stderr)
    const files = verified.stdout.trim().split("\n").map((line) =>
      JSON.parse(line) as { readonly ok: boolean; readonly turns: ReadonlyArray<{ readonly complete: boolean }> }
    )
    assert.strictEqual(files.length, calls.size)
    const turns = files.flatMap(({ turns }) => turns)
    assert.isTrue(turns.every(({ complete }) => complete))
    assert.strictEqual(turns.length, [...calls.values()].reduce((sum, call) => sum + call.turns.length, 0))
  })

  it("replay identical", () => {
    assert.strictEqual(replayed.code, 0, replayed.stdout + replayed.stderr)
    assert.strictEqual(replayed.stdout.match(/: identical,/gu)?.length, calls.size)
  })
})
