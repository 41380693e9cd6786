import { assert, describe, it } from "@effect/vitest"
import { failuresOf } from "@rspp/providers/hosted/Failures"
import { AssemblyAiTranscript, failureOfCode } from "@rspp/providers/stt/AssemblyAiTranscript"
import { DeepgramTranscript } from "@rspp/providers/stt/DeepgramTranscript"

const failures = failuresOf("vendor/streaming", "the vendor")

describe("a transcript of Deepgram", () => {
  const results = (
    transcript: string,
    [start, end]: readonly [number, number],
    more: { readonly is_final?: boolean; readonly from_finalize?: boolean; readonly speech_final?: boolean } = {}
  ) =>
    JSON.stringify({
      type: "Results",
      start,
      duration: end - start,
      channel: { alternatives: [{ transcript, words: [] }] },
      ...more
    })
  const final = { is_final: true }

  it("adds finals up, and has what came after them as interim", () => {
    const heard = new DeepgramTranscript(failures)
    heard.take(results("go", [0, 1]))
    assert.deepStrictEqual([heard.finished(), heard.interim()], ["", "go"])
    heard.take(results("Go forward", [0, 2], final))
    heard.take(results("ten", [2, 2.5]))
    assert.deepStrictEqual([heard.finished(), heard.interim()], ["Go forward", "ten"])
    heard.take(results("ten meters.", [2, 3], { ...final, speech_final: true }))
    assert.deepStrictEqual([heard.finished(), heard.interim()], ["Go forward ten meters.", ""])
  })

  it("counts a final once that comes twice, also as an answer", () => {
    const heard = new DeepgramTranscript(failures)
    assert.isTrue(heard.ask(16_000))
    const answer = results("One.", [0, 0.8], { ...final, from_finalize: true })
    heard.take(answer)
    assert.isTrue(heard.isAnswered())
    assert.isTrue(heard.ask(32_000))
    heard.take(answer)
    assert.isFalse(heard.isAnswered())
    heard.take(results("Two.", [0.8, 1.6], { ...final, from_finalize: true }))
    assert.deepStrictEqual([heard.isAnswered(), heard.finished()], [true, "One. Two."])
  })

  it("is answered by finals that reach to the moment of the question, and need not be asked again", () => {
    const heard = new DeepgramTranscript(failures)
    assert.isTrue(heard.ask(32_000))
    heard.take(results("One", [0, 1], final))
    assert.isFalse(heard.isAnswered())
    heard.take(results("two.", [1, 1.95], final))
    assert.isTrue(heard.isAnswered())
    assert.isFalse(heard.ask(32_000))
    assert.isTrue(heard.ask(40_000))
  })

  it("passes over messages that it does not know, and fails for what is no message", () => {
    const heard = new DeepgramTranscript(failures)
    assert.strictEqual(heard.take(`{"type":"SpeechStarted","channel":[0,1],"timestamp":1}`), "heard")
    assert.strictEqual(heard.take(`{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2}`), "heard")
    assert.strictEqual(heard.take(`{"type":"Metadata","request_id":"x","duration":2,"channels":1}`), "ended")
    assert.strictEqual(heard.take(`{"type":"Res`), failures.malformed)
    assert.strictEqual(heard.take(`{}`), failures.malformed)
    assert.deepInclude({ ...Object(heard.take(`{"type":"Error","description":"x"}`)) }, { retryable: true })
  })
})

describe("a transcript of AssemblyAI", () => {
  const turn = (
    turn_order: number,
    transcript: string,
    more: {
      readonly end_of_turn?: boolean
      readonly turn_is_formatted?: boolean
      readonly words?: ReadonlyArray<string>
    } = {}
  ) =>
    JSON.stringify({
      type: "Turn",
      turn_order,
      transcript,
      ...more,
      words: more.words?.map((text) => ({ text })) ?? []
    })
  const ended = { end_of_turn: true }
  const formatted = { end_of_turn: true, turn_is_formatted: true }

  it("has all words as interim, those that may change, too", () => {
    const heard = new AssemblyAiTranscript(failures)
    heard.take(turn(0, "go", { words: ["go", "forw"] }))
    assert.deepStrictEqual([heard.finished(), heard.interim()], ["", "go forw"])
  })

  it("takes the formatted end in place of the unformatted one, and is answered by it", () => {
    const heard = new AssemblyAiTranscript(failures)
    heard.ask(16_000)
    heard.take(turn(0, "go forward", ended))
    assert.deepStrictEqual([heard.isAnswered(), heard.finished()], [false, "go forward"])
    heard.take(turn(0, "Go forward.", formatted))
    assert.deepStrictEqual([heard.isAnswered(), heard.finished()], [true, "Go forward."])
    heard.ask(16_000)
    heard.take(turn(0, "Go forward.", formatted))
    heard.take(turn(0, "go forward", ended))
    assert.isFalse(heard.isAnswered())
    heard.take(turn(1, "Ten meters.", formatted))
    assert.deepStrictEqual([heard.isAnswered(), heard.finished()], [true, "Go forward. Ten meters."])
  })

  it("is not answered by a turn that ended before the question", () => {
    const heard = new AssemblyAiTranscript(failures)
    heard.take(turn(0, "One.", formatted))
    heard.ask(16_000)
    assert.isFalse(heard.isAnswered())
  })

  it("is answered by a turn with words from after an earlier question that had no answer", () => {
    const late = (end: number) =>
      JSON.stringify({
        type: "Turn",
        turn_order: 0,
        end_of_turn: true,
        turn_is_formatted: true,
        transcript: "Yes.",
        words: [{ text: "Yes.", start: end - 300, end }]
      })
    for (const [end, answered] of [[2_500, true], [1_100, false]] as const) {
      const heard = new AssemblyAiTranscript(failures)
      heard.ask(16_000)
      heard.ask(48_000)
      heard.take(late(end))
      assert.strictEqual(heard.isAnswered(), answered)
    }
  })

  it("knows what each code means", () => {
    const outcomes = [1008, 4001, 4002, 3009, 4029, 3006, 3007, 3005, 3008, 4031].map((code) => {
      const { outcome_class, retryable } = failureOfCode(failures, code, "said")
      return `${code} ${outcome_class} ${retryable}`
    })
    assert.deepStrictEqual(outcomes, [
      "1008 blocked false",
      "4001 blocked false",
      "4002 blocked false",
      "3009 overload true",
      "4029 overload true",
      "3006 infrastructure_failure false",
      "3007 infrastructure_failure false",
      "3005 infrastructure_failure true",
      "3008 infrastructure_failure true",
      "4031 timeout true"
    ])
    assert.strictEqual(
      failureOfCode(failures, 1008, "Unauthorized Connection: Too many concurrent sessions").outcome_class,
      "overload"
    )
  })

  it("passes over messages that it does not know, and fails for what is no message", () => {
    const heard = new AssemblyAiTranscript(failures)
    for (const type of ["Begin", "SpeechStarted", "Warning", "Heartbeat"]) {
      assert.strictEqual(heard.take(JSON.stringify({ type })), "heard")
    }
    assert.strictEqual(heard.take(`{"type":"Termination","audio_duration_seconds":1}`), "ended")
    assert.strictEqual(heard.take("Turn"), failures.malformed)
  })
})
