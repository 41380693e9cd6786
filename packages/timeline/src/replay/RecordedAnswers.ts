import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { AnswerAgenda } from "./AnswerAgenda.ts"
import type { DueAnswer } from "./AnswerAgenda.ts"
import { dialogueOfAnswer, dialogueOfAsk } from "./Asks.ts"
import { bareText, identityOf } from "./RecordIdentity.ts"

type CommandRecord = Extract<TimelineRecord, { readonly record: "command" }>

/** Something that was asked for in the recording, and what came of it before the next thing was asked for there. */
interface Ask {
  readonly type: SessionCommand["type"]
  /** What is asked for, without when. */
  readonly text: string
  /** For the start of a call: the same without the number of the call. */
  readonly question: string | undefined
  readonly what: string
  readonly atMs: number
  readonly index: number
  readonly answers: Array<{ readonly index: number; readonly record: InputRecord }>
}

interface Dialogue {
  readonly name: string
  readonly asks: Array<Ask>
  /** So many of them were asked for here as well, or passed over. */
  done: number
  /** It runs so much later than in the recording, ms. */
  shiftMs: number
  /** It has come to its end here: nothing more is answered. */
  over: boolean
  /** Its output stands still here. */
  paused: boolean
  /** How much of its output is played is no longer known. */
  unsure: boolean
  /** Segments that have begun to play here and have not ended. */
  readonly playing: Set<string>
}

/** When the recording has no more to say, and why. */
export interface Silence {
  readonly atMs: number
  readonly reason: string
  /** What the recording says at that very moment was looked at. */
  readonly counted: boolean
}

/** Without one of these things go on here in a way that nobody recorded. */
const endsWhatIsKnown: ReadonlySet<SessionCommand["type"]> = new Set([
  "pause_invocation",
  "cancel_invocation",
  "pause_output",
  "fence_output"
])

/** After the last record of a recording: an answer of our own comes after all that were recorded for the same instant. */
const afterAll = Number.MAX_SAFE_INTEGER

/**
 * What the recording answers to what a session asks for that runs otherwise from some record on.
 *
 * A conversation is what is asked of one provider call, of the output of one turn, or of the recorder about one turn. The
 * answers to an ask come as long after it as in the recording, whenever it is asked; so a call that starts earlier is
 * answered earlier. What was recorded only answers what was asked then: asked for something else, or in another order, the
 * recording is silent from there on. Two asks are answered without: a call that is cancelled ends as cancelled, at once
 * where no cancel was recorded, and output that is paused or fenced says so, at once. How much of a reply was heard is then
 * not known, and no question that depends on it is answered.
 */
export class RecordedAnswers {
  readonly agenda = new AnswerAgenda()
  readonly #dialogues = new Map<string, Dialogue>()
  /** Calls that the recording has under another number, by the number that they have here. */
  readonly #recordedCalls = new Map<string, string>()
  /** The calls of the recording that nothing here has started, by what is asked of them; those of a retry in their order. */
  readonly #unasked = new Map<string, Array<Dialogue>>()
  /** Places of the records that are answers: they come when they are asked for. */
  readonly #answers = new Set<number>()
  /** Conversations in which the recording asks for something that must be asked for here too, by when. */
  readonly #expected = new Map<Dialogue, { readonly ask: Ask; readonly atMs: number }>()
  /** The turn of which it is not known how much was heard. */
  #unheard: string | undefined
  #silence: Silence | undefined

  /** `from`: index of the first record that the session has not come to; what was asked for before `since` was asked here. */
  constructor(records: ReadonlyArray<TimelineRecord>, since: number, from: number) {
    for (const [index, record] of records.entries()) {
      if (record.record === "command") this.#file(record, index)
      else if (record.record === "input") this.#answer(record, index)
    }
    for (const dialogue of this.#dialogues.values()) {
      while ((dialogue.asks[dialogue.done]?.index ?? since) < since) {
        const ask = dialogue.asks[dialogue.done++]
        if (ask === undefined) break
        if (ask.type === "pause_output") dialogue.paused = true
        if (ask.type === "resume_output") dialogue.paused = false
        if (ask.type === "fence_output") dialogue.over = true
        for (const { index, record } of ask.answers) {
          if (index < from) this.#follow(dialogue, record.input)
          else this.#schedule(dialogue, index, record, record.runtime_timestamp_ms)
        }
      }
      this.#expect(dialogue)
      const question = dialogue.done === 0 ? dialogue.asks[0]?.question : undefined
      if (question === undefined) continue
      const same = this.#unasked.get(question)
      if (same === undefined) this.#unasked.set(question, [dialogue])
      else same.push(dialogue)
    }
  }

  get silence(): Silence | undefined {
    return this.#silence
  }

  isAnswer(index: number): boolean {
    return this.#answers.has(index)
  }

  /** Takes the next answer off the agenda: it comes now. The answer, as it is to be fed here. */
  deliver(answer: DueAnswer): SessionInput {
    this.agenda.shift()
    const dialogue = this.#dialogues.get(answer.dialogue)
    const { input } = answer.record
    if (dialogue !== undefined) this.#follow(dialogue, input)
    if (!("provider_invocation_id" in input)) return input
    for (const [here, recorded] of this.#recordedCalls) {
      if (recorded === input.provider_invocation_id) return { ...input, provider_invocation_id: here }
    }
    return input
  }

  /** False when, by then, something was not asked for here without which nobody knows how things go on. */
  knowsUntil(atMs: number): boolean {
    for (const [{ over, paused }, expected] of this.#expected) {
      if (expected.atMs >= atMs || over || (paused && expected.ask.type === "fence_output")) continue
      const reason =
        `${expected.ask.what} is in the recording but not asked for here; how it goes on without that is not` +
        " recorded"
      this.#end({ atMs: expected.atMs, reason, counted: true })
    }
    return this.#silence === undefined
  }

  /** The session asks for something: what the recording answers to it is put on the agenda. */
  ask(given: CommandRecord, atMs: number): void {
    if (this.#silence !== undefined) return
    if (given.command.type === "start_invocation") this.#start(given.command.provider_invocation_id, given)
    const record = this.#asRecorded(given)
    const name = dialogueOfAsk(record.command)
    if (name === undefined) return
    const dialogue = this.#dialogues.get(name)
    const next = dialogue?.asks[dialogue.done]
    const { command } = record
    switch (command.type) {
      case "cancel_invocation":
        return this.#cancel(dialogue ?? this.#open(name), command.provider_invocation_id, atMs)
      case "fence_output":
        return this.#fence(dialogue ?? this.#open(name), command.turn_id, atMs)
      case "append_evidence":
        if (next === undefined) return this.#now(name, atMs, evidenceAppended(command.turn_id))
        break
      case "start_invocation":
      case "predict_turn":
        if (this.#unheard !== undefined && (command.conversation?.length ?? 0) > 0) {
          const { what } = identityOf(record)
          const reason = `${what} depends on how much of ${this.#unheard} was heard, which is not recorded`
          return this.#end({ atMs, reason, counted: false })
        }
        break
      default:
    }
    if (dialogue?.over === true || dialogue?.unsure === true) {
      if (command.type !== "resume_output") return
      const reason = `how much of ${command.turn_id} was played before is not recorded, nor what is played now`
      return this.#end({ atMs, reason, counted: false })
    }
    if (dialogue !== undefined && next?.text === bareText(record)) return this.#matched(dialogue, next, atMs)
    if (command.type === "pause_output") return this.#pause(dialogue ?? this.#open(name), command.turn_id, atMs)
    if (command.type === "mark_utterance" && command.mark === "end" && dialogue !== undefined) {
      // Ending the utterance sooner than it was ended: the recogniser has no more to say, unless it said it at the end.
      const end = dialogue.asks.findLastIndex((ask, at) => at >= dialogue.done && ask.text === bareText(record))
      const ask = dialogue.asks[end]
      if (ask?.answers.every(({ record }) => record.input.type === "invocation_ended") === true) {
        dialogue.done = end
        return this.#matched(dialogue, ask, atMs)
      }
    }
    if (command.type === "end_output") return
    const { what } = identityOf(record)
    const reason = next === undefined || next.what === what
      ? `what ${what} asks for is not asked for in the recording, so it has no answer`
      : `${what} comes where the recording has ${next.what}, so it has no answer`
    this.#end({ atMs, reason, counted: false })
  }

  /** A call begins: the recording may have it under another number. */
  #start(id: string, record: CommandRecord): void {
    const question = questionOf(record)
    const asked = question === undefined ? undefined : this.#unasked.get(question)?.shift()
    if (asked === undefined) return
    this.#recordedCalls.set(id, asked.name.slice("call:".length))
  }

  /** The same command with the number that the call has in the recording. */
  #asRecorded(record: CommandRecord): CommandRecord {
    const { command } = record
    const id = "provider_invocation_id" in command ? this.#recordedCalls.get(command.provider_invocation_id) : undefined
    return id === undefined ? record : numbered(record, id)
  }

  #matched(dialogue: Dialogue, ask: Ask, atMs: number): void {
    const { type } = ask
    const shiftMs = atMs - ask.atMs
    const isOutput = type === "enqueue_output" || type === "end_segment" || type === "end_output"
    if (isOutput && !dialogue.paused && dialogue.playing.size > 0 && shiftMs !== dialogue.shiftMs) {
      const reason = `${ask.what} comes at another time than what is played, which the recording does not have`
      return this.#end({ atMs, reason, counted: false })
    }
    // Something else of it is played than in the recording when it stops.
    if (type === "pause_output" && shiftMs !== dialogue.shiftMs) {
      return this.#pause(dialogue, ask.what.split(" ").at(-1) ?? "", atMs)
    }
    if (type === "pause_output") dialogue.paused = true
    if (type === "resume_output") dialogue.paused = false
    if (!isOutput || !dialogue.paused) dialogue.shiftMs = shiftMs
    dialogue.done++
    for (const { index, record } of ask.answers) {
      this.#schedule(dialogue, index, record, record.runtime_timestamp_ms + shiftMs)
    }
    this.#expect(dialogue)
  }

  #cancel(dialogue: Dialogue, id: string, atMs: number): void {
    this.agenda.drop(dialogue.name)
    const recorded = dialogue.asks.findIndex(({ type }, at) => at >= dialogue.done && type === "cancel_invocation")
    const ask = dialogue.asks[recorded]
    dialogue.done = ask === undefined ? dialogue.asks.length : recorded
    if (ask !== undefined) return this.#matched(dialogue, ask, atMs)
    this.#expected.delete(dialogue)
    this.#now(dialogue.name, atMs, {
      type: "invocation_ended",
      provider_invocation_id: id,
      outcome_class: "cancelled",
      retryable: false,
      attempts: 1,
      late_outputs: 0
    })
  }

  #fence(dialogue: Dialogue, turnId: string, atMs: number): void {
    this.agenda.drop(dialogue.name)
    dialogue.over = true
    this.#expected.delete(dialogue)
    const at = dialogue.asks.findIndex(({ type }, index) => index >= dialogue.done && type === "fence_output")
    const ask = dialogue.asks[at]
    const resumed = dialogue.asks.slice(dialogue.done, Math.max(at, dialogue.done))
      .some(({ type }) => type === "resume_output")
    const known = ask !== undefined && !dialogue.unsure &&
      (dialogue.paused ? !resumed : atMs - ask.atMs === dialogue.shiftMs)
    if (known) {
      for (const { index, record } of ask.answers) {
        this.#schedule(dialogue, index, record, record.runtime_timestamp_ms + atMs - ask.atMs)
      }
      return
    }
    if (dialogue.playing.size > 0) this.#unheard = turnId
    for (const segment_id of dialogue.playing) {
      this.#now(dialogue.name, atMs, { type: "playback_cancelled", turn_id: turnId, segment_id, samples: 0 })
    }
    this.#now(dialogue.name, atMs, { type: "egress_fenced", turn_id: turnId, dropped_samples: 0 })
  }

  /** Output stops in another place than in the recording. */
  #pause(dialogue: Dialogue, turnId: string, atMs: number): void {
    this.agenda.drop(dialogue.name)
    this.#expected.delete(dialogue)
    dialogue.paused = true
    dialogue.unsure = true
    this.#now(dialogue.name, atMs, { type: "egress_paused", turn_id: turnId, samples: 0 })
  }

  #now(name: string, atMs: number, input: SessionInput): void {
    const record: InputRecord = {
      record: "input",
      runtime_sequence: 0,
      runtime_timestamp_ms: atMs,
      lane: input.type === "invocation_ended" ? "DataLane" : "ControlLane",
      input
    }
    this.agenda.add({ atMs, index: afterAll, dialogue: name, record })
  }

  #schedule({ name }: Dialogue, index: number, record: InputRecord, atMs: number): void {
    this.agenda.add({ atMs, index, dialogue: name, record })
  }

  /** What came tells where the conversation is. */
  #follow(dialogue: Dialogue, input: SessionInput): void {
    if (input.type === "invocation_ended") dialogue.over = true
    if (input.type === "playback_started") dialogue.playing.add(input.segment_id)
    if (input.type === "playback_completed") dialogue.playing.delete(input.segment_id)
  }

  #expect(dialogue: Dialogue): void {
    const next = dialogue.asks[dialogue.done]
    this.#expected.delete(dialogue)
    if (dialogue.done === 0 || next === undefined || !endsWhatIsKnown.has(next.type)) return
    this.#expected.set(dialogue, { ask: next, atMs: next.atMs + dialogue.shiftMs })
  }

  #end(silence: Silence): void {
    if (this.#silence === undefined || silence.atMs < this.#silence.atMs) this.#silence = silence
  }

  #open(name: string): Dialogue {
    const dialogue: Dialogue = {
      name,
      asks: [],
      done: 0,
      shiftMs: 0,
      over: false,
      paused: false,
      unsure: false,
      playing: new Set()
    }
    this.#dialogues.set(name, dialogue)
    return dialogue
  }

  #file(record: CommandRecord, index: number): void {
    const name = dialogueOfAsk(record.command)
    if (name === undefined) return
    const dialogue = this.#dialogues.get(name) ?? this.#open(name)
    const { command, runtime_timestamp_ms } = record
    const { what } = identityOf(record)
    dialogue.asks.push({
      type: command.type,
      text: bareText(record),
      question: questionOf(record),
      what,
      atMs: runtime_timestamp_ms,
      index,
      answers: []
    })
  }

  #answer(record: InputRecord, index: number): void {
    const name = dialogueOfAnswer(record.input)
    const ask = name === undefined ? undefined : this.#dialogues.get(name)?.asks.at(-1)
    if (ask === undefined) return
    ask.answers.push({ index, record })
    this.#answers.add(index)
  }
}

const numbered = (record: CommandRecord, id: string): CommandRecord =>
  "provider_invocation_id" in record.command
    ? { ...record, command: { ...record.command, provider_invocation_id: id } }
    : record

/** What the start of a call asks for, whichever number the call has. */
const questionOf = (record: CommandRecord): string | undefined =>
  record.command.type === "start_invocation" ? bareText(numbered(record, "")) : undefined

const evidenceAppended = (turn_id: string): SessionInput => ({ type: "evidence_appended", turn_id, result: "appended" })
