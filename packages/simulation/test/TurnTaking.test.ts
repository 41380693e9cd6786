import { assert, describe, it } from "@effect/vitest"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { turnTaking } from "@rspp/simulation/checkers/TurnTaking"
import { runSeed } from "@rspp/simulation/Run"
import type { Scenario } from "@rspp/simulation/Scenario"
import { marksOf } from "@rspp/simulation/Sometimes"
import type { Mark } from "@rspp/simulation/Sometimes"

type Settings = { readonly [K in keyof SessionConfig]?: unknown }

const dynamic = { min_ms: 300, unfinished_ms: 600, max_ms: 2000, mode: "dynamic" }
const signs = { enabled: true, min_ms: 200, min_words: 1, backchannel: ["mhm", "yeah", "okay", "right"] }
const model = { enabled: true, timeout_ms: 150, likely_percent: 51, unlikely_percent: 50 }

/** The first call without faults, under these settings, in which all of that happened. */
const callWith = (session_config: Settings, ...marks: ReadonlyArray<Mark>) => {
  const adapt = (drawn: Scenario): Scenario => ({ ...drawn, spec: { ...drawn.spec, session_config } })
  for (let seed = 1; seed < 60; seed++) {
    const { sessions: [session], violations } = runSeed(seed, { kinds: [], turns: 8, ending: "all_said", adapt })
    assert.deepStrictEqual(violations, [])
    if (session?.header === undefined) continue
    const seen = marksOf(session.records)
    if (marks.every((mark) => seen.has(mark))) return { header: session.header, records: session.records }
  }
  throw new Error(`no such call in sixty seeds: ${marks.join()}`)
}

const found = (header: TimelineHeader, settings: Settings, records: ReadonlyArray<TimelineRecord>) =>
  turnTaking.check({ ...header, session_config: { ...header.session_config, ...settings } as SessionConfig }, records)
    .map(({ message }) => message)
    .join("\n")

describe("C31 finds", () => {
  it("words that were passed over and are no signs of attention", () => {
    const { header, records } = callWith({ barge_in: signs }, "passed_over.backchannel")
    const barge_in = { ...header.session_config.barge_in, backchannel: [] }
    assert.match(found(header, { barge_in }, records), /was passed over and says enough/u)
  })

  it("a cut that did not wait for its words", () => {
    const { header, records } = callWith({ barge_in: signs }, "barge_in.cut")
    const barge_in = { ...header.session_config.barge_in, min_words: 99 }
    assert.match(found(header, { barge_in }, records), /a cut before there were words enough/u)
  })

  it("an endpoint that is out of its bounds, and fixed endpointing that learned", () => {
    const { header, records } = callWith({ endpointing: dynamic }, "endpoint.learned")
    assert.match(found(header, { endpointing: { ...dynamic, mode: "fixed" } }, records), /fixed endpointing learned/u)
    assert.match(found(header, { endpointing: { ...dynamic, max_ms: 200 } }, records), /endpoint_\w+ after \d+ ms/u)
    assert.match(found(header, { endpointing: { ...dynamic, min_ms: 1900 } }, records), /endpoint_\w+ after \d+ ms/u)
  })

  it("a model that was asked although the session has none", () => {
    const { header, records } = callWith({ end_of_turn: model }, "endpoint.likely", "endpoint.unlikely")
    const end_of_turn = { ...model, enabled: false }
    assert.match(found(header, { end_of_turn }, records), /a prediction that nobody wants/u)
  })

  it("an utterance and a cut without the key", () => {
    const { header, records } = callWith({ barge_in: { min_ms: 200 } }, "barge_in.cut")
    const messages = found(header, { turn_detection: "push_to_talk" }, records)
    assert.match(messages, /an utterance began without the key/u)
    assert.match(messages, /a cut without the key/u)
  })

  it("a caller who is called idle too early, and a session that ended too early", () => {
    const idle = { timeout_ms: 1500, hang_up_after: 2 }
    const { header, records } = callWith({ idle }, "idle.hang_up")
    assert.match(found(header, { idle: { ...idle, timeout_ms: 60_000 } }, records), /idle \d+ ms after/u)
    assert.match(found(header, { idle: { ...idle, hang_up_after: 9 } }, records), /ended as idle after 2 of 9 times/u)
  })

  it("what was heard outside of its own bounds", () => {
    const { header, records } = callWith({ barge_in: { min_ms: 200 } }, "heard.bounded")
    const planted = records.map((record) =>
      record.record === "command" && record.command.type === "start_invocation" &&
        record.command.conversation !== undefined
        ? {
          ...record,
          command: {
            ...record.command,
            conversation: record.command.conversation.map((line) => ({
              ...line,
              parts: line.parts.map((part) =>
                part.chars_max === undefined ? part : { ...part, chars: part.chars_max + 1 }
              )
            }))
          }
        }
        : record
    )
    assert.match(found(header, {}, planted), /not within its bounds/u)
  })
})

describe("with a key, a call", () => {
  it("is made of what was said while it was held, and a press cuts the agent", () => {
    const { records } = callWith(
      { turn_detection: "push_to_talk", endpointing: dynamic },
      "key.cut",
      "endpoint.released"
    )
    assert.isTrue(records.some((record) => record.record === "signal" && record.signal.signal === "commit"))
  })
})
