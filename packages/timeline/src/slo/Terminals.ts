import type { TimelineRecord } from "@rspp/contracts/Timeline"

interface Seen {
  opens: number
  terminals: number
  closes: number
  readonly problems: Array<string>
}

/**
 * What is wrong with the ending of each turn that has a `turn_open`, a terminal or a `close`; nothing where there is exactly
 * one terminal and then one close. From the signals alone: no evidence is believed. A turn that never opened has no terminal and no close.
 */
export const endings = (records: ReadonlyArray<TimelineRecord>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const turns = new Map<string, Seen>()
  for (const record of records) {
    if (record.record !== "signal") continue
    const { signal, turn_id } = record.signal
    if (turn_id === undefined) continue
    if (signal !== "turn_open" && signal !== "commit" && signal !== "abort" && signal !== "close") continue
    const seen = turns.get(turn_id) ?? { opens: 0, terminals: 0, closes: 0, problems: [] }
    turns.set(turn_id, seen)
    if (signal === "turn_open") {
      if (++seen.opens > 1) seen.problems.push("it opens twice")
      if (seen.terminals + seen.closes > 0) seen.problems.push("it opens after its end")
    } else if (signal === "close") {
      if (seen.opens === 0) seen.problems.push("it closes and never opened")
      if (seen.terminals === 0) seen.problems.push("it closes before its terminal")
      if (++seen.closes > 1) seen.problems.push("it closes twice")
    } else {
      if (seen.opens === 0) seen.problems.push(`it has a terminal (${signal}) and never opened`)
      if (++seen.terminals > 1) seen.problems.push(`it has terminal number ${seen.terminals} (${signal})`)
    }
  }
  return new Map([...turns].map(([turn_id, { closes, problems, terminals }]) => [
    turn_id,
    [
      ...problems,
      ...(terminals === 0 ? ["it has no terminal"] : []),
      ...(closes === 0 ? ["it has no close"] : [])
    ]
  ]))
}
