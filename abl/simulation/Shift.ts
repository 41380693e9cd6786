import type { Moment, ScriptedAct, ScriptedCall, ScriptedEvent } from "@rspp/simulation/Script"

/** A script with one event shifted by one place. */
export interface Variation {
  readonly name: string
  readonly script: ReadonlyArray<ScriptedEvent>
}

/** One place in time: a frame of the caller, in ms. */
const placeMs = 20

const nameOf = ({ act }: ScriptedEvent, index: number): string => `event ${index + 1} (${act.does})`

const at = (script: ReadonlyArray<ScriptedEvent>, moments: ReadonlyArray<readonly [index: number, atMs: number]>) =>
  script.map((event, index): ScriptedEvent => {
    const moved = moments.find(([which]) => which === index)
    if (moved === undefined) return event
    const when: Moment = { atMs: Math.max(0, moved[1]) }
    const { act } = event
    // What was the n-th call is now the first one from this moment on.
    if (act.does !== "call") return { when, act }
    const { nth: _, ...next } = act
    return { when, act: next }
  })

const moved = (call: ScriptedCall, ms: number): ReadonlyArray<ScriptedCall> => {
  const later = (value: number) => Math.max(0, value + ms)
  const { cancelMs, connectMs, duplicateMs, slowMs, stall } = call
  return [
    ...(slowMs === undefined ? [] : [{ ...call, slowMs: later(slowMs) }]),
    ...(stall === undefined ? [] : [{ ...call, stall: { ...stall, ms: later(stall.ms) } }]),
    ...(cancelMs === undefined ? [] : [{ ...call, cancelMs: later(cancelMs) }]),
    ...(connectMs === undefined ? [] : [{ ...call, connectMs: later(connectMs) }]),
    ...(duplicateMs === undefined ? [] : [{ ...call, duplicateMs: later(duplicateMs) }])
  ]
}

/** The places of a fault within what a provider gives, and the calls before and after the one that it strikes. */
const callPlaces = (
  act: Extract<ScriptedAct, { readonly does: "call" }>
): ReadonlyArray<readonly [string, ScriptedAct]> => {
  const { stall, truncated } = act.with
  const nth = act.nth ?? 1
  const withCall = (call: ScriptedCall): ScriptedAct => ({ ...act, with: call })
  return [
    ["one call later", { ...act, nth: nth + 1 }],
    ...(nth > 1 ? [["one call earlier", { ...act, nth: nth - 1 }] as const] : []),
    ...moved(act.with, placeMs).map((call) => [`lasts ${placeMs} ms longer`, withCall(call)] as const),
    ...moved(act.with, -placeMs).map((call) => [`lasts ${placeMs} ms less`, withCall(call)] as const),
    ...[stall?.after, truncated?.after].flatMap((after) =>
      after === undefined ? [] : [after - 1, after + 1].filter((place) => place >= 0).map((place) =>
        [
          `after ${place} results`,
          withCall({
            ...act.with,
            ...(stall === undefined ? {} : { stall: { ...stall, after: place } }),
            ...(truncated === undefined ? {} : { truncated: { ...truncated, after: place } })
          })
        ] as const
      )
    )
  ]
}

/**
 * Every way to shift one event of a script by one place, where `happened` says when each event took place: each two
 * neighbours in time exchange their moments; each event happens a frame earlier, a frame later and in the instant of each
 * of its neighbours; a fault of a provider strikes the call before and after its own, or one result earlier and later.
 */
export const variationsOf = (
  script: ReadonlyArray<ScriptedEvent>,
  happened: ReadonlyArray<number | undefined>
): ReadonlyArray<Variation> => {
  const order = script.map((_, index) => index)
    .filter((index) => happened[index] !== undefined)
    .toSorted((a, b) => (happened[a] ?? 0) - (happened[b] ?? 0) || a - b)
  const msOf = (index: number) => happened[index] ?? 0
  const variations: Array<Variation> = []
  const add = (name: string, moments: ReadonlyArray<readonly [number, number]>) =>
    variations.push({ name, script: at(script, moments) })
  order.forEach((index, place) => {
    const event = script[index] as ScriptedEvent
    const name = nameOf(event, index)
    add(`${name} ${placeMs} ms earlier`, [[index, msOf(index) - placeMs]])
    add(`${name} ${placeMs} ms later`, [[index, msOf(index) + placeMs]])
    if (event.act.does === "call") {
      for (const [what, act] of callPlaces(event.act)) {
        variations.push({ name: `${name} ${what}`, script: script.with(index, { ...event, act }) })
      }
    }
    const next = order[place + 1]
    if (next === undefined) return
    const nextName = nameOf(script[next] as ScriptedEvent, next)
    if (msOf(index) !== msOf(next)) {
      add(`${name} and ${nextName} exchanged`, [[index, msOf(next)], [next, msOf(index)]])
      add(`${name} in the instant of ${nextName}`, [[index, msOf(next)], [next, msOf(next)]])
    }
    add(`${nextName} in the instant of ${name}`, [[index, msOf(index)], [next, msOf(index)]])
  })
  return variations
}
