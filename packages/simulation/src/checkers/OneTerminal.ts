import type { Checker, Violation } from "./Checker.ts"

/** What a turn has shown so far. */
interface Seen {
  opened: boolean
  terminals: number
  closes: number
}

export const oneTerminal: Checker = {
  id: "C01",
  holds: ["I-TURN-TERMINAL", "I-TURN-CLOSE"],
  sentence: "Each accepted turn has exactly one terminal and then one close; a turn that never opened has neither.",
  check: (_header, records) => {
    const turns = new Map<string, Seen>()
    const violations: Array<Violation> = []
    let lastOpen: string | undefined
    const seenOf = (turn_id: string): Seen => {
      const known = turns.get(turn_id)
      if (known !== undefined) return known
      const seen = { opened: false, terminals: 0, closes: 0 }
      turns.set(turn_id, seen)
      return seen
    }
    records.forEach((record, index) => {
      if (record.record !== "signal") return
      const { runtime_sequence, signal, turn_id } = record.signal
      if (turn_id === undefined) return
      const broken = (message: string) =>
        violations.push({ rule: "C01", message, record: index, runtime_sequence, turn_id })
      const seen = seenOf(turn_id)
      switch (signal) {
        case "turn_open":
          if (seen.opened) broken(`${turn_id} opens twice`)
          if (lastOpen !== undefined) broken(`${turn_id} opens while ${lastOpen} is open`)
          seen.opened = true
          lastOpen = turn_id
          return
        case "commit":
        case "abort":
          if (!seen.opened) broken(`${signal} of ${turn_id}, which never opened`)
          if (++seen.terminals > 1) broken(`a second terminal of ${turn_id}: ${signal}`)
          return
        case "close":
          if (seen.terminals !== 1) broken(`close of ${turn_id} after ${seen.terminals} terminals`)
          if (++seen.closes > 1) broken(`${turn_id} closes twice`)
          if (lastOpen === turn_id) lastOpen = undefined
          return
        default:
          return
      }
    })
    const ended = records.at(-1)?.record === "end"
    for (const [turn_id, seen] of turns) {
      if (ended && seen.opened && (seen.terminals !== 1 || seen.closes !== 1)) {
        violations.push({
          rule: "C01",
          message: `${turn_id} was opened and has ${seen.terminals} terminals and ${seen.closes} closes at the end`,
          turn_id
        })
      }
    }
    return violations
  }
}
