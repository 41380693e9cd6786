import type { RandomStream } from "./RandomStreams.ts"
import type { CallerAction } from "./Scenario.ts"

/** Words of the simulated caller that mean no more than "I am listening". */
export const signsOfAttention = ["mhm", "yeah", "okay", "right"] as const

type Section = Readonly<Record<string, unknown>>

/** Settings of turn taking that an author might write, by section; most calls have none or a few. */
export const drawTurnTaking = (stream: RandomStream): Readonly<Record<string, Section | string>> => {
  // Everything is drawn in any case, so that one setting does not shift the others.
  const [key, dynamic, words, signs, model, idle] = [
    stream.chance(0.12),
    stream.chance(0.3),
    stream.chance(0.25),
    stream.chance(0.35),
    stream.chance(0.25),
    stream.chance(0.3)
  ]
  const min_words = stream.between(1, 3)
  const likely_percent = stream.pick([50, 70, 90])
  const end_of_turn = {
    enabled: true,
    timeout_ms: stream.pick([50, 150, 600]),
    likely_percent,
    unlikely_percent: stream.pick([10, 30, likely_percent - 1])
  }
  const timeout_ms = stream.pick([1500, 4000, 8000])
  const hang_up_after = stream.pick([0, 0, 0, 2, 5])
  return {
    ...(key ? { turn_detection: "push_to_talk" } : {}),
    ...(dynamic ? { endpointing: { mode: "dynamic" } } : {}),
    ...(words || signs
      ? { barge_in: { ...(words ? { min_words } : {}), ...(signs ? { backchannel: [...signsOfAttention] } : {}) } }
      : {}),
    ...(model ? { end_of_turn } : {}),
    ...(idle ? { idle: { timeout_ms, hang_up_after } } : {})
  }
}

/** One config laid over the other, section by section. */
export const laidOver = (config: Section, more: Section): Section => ({
  ...config,
  ...Object.fromEntries(
    Object.entries(more).map(([section, value]) => {
      const known = config[section]
      const both = typeof known === "object" && typeof value === "object"
      return [section, both ? { ...known, ...value } : value]
    })
  )
})

/** What is said in one word while the agent speaks is mostly a sign of attention. */
export const withSigns = (
  actions: ReadonlyArray<CallerAction>,
  stream: RandomStream
): ReadonlyArray<CallerAction> =>
  actions.map((action) => {
    const sign = stream.chance(0.7)
    const short = action.does === "say" && action.words.length === 1 && action.when.after === "reply_start"
    return short && sign ? { ...action, sign: true } : action
  })
