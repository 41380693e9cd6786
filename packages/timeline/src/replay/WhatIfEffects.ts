/** A signal that tells how a session went. */
export interface Milestone {
  /** `signal turn_open` and the like. */
  readonly what: string
  readonly turnId: string | undefined
  readonly atMs: number
  readonly reason?: string
}

/** What another setting does, counted; all of it as far as the recording can tell. */
export interface WhatIfTotals {
  /** Turns that would open while the caller, who only paused, goes on to speak before the recorded opening. */
  readonly turns_cut_in_on: number
  readonly turns_added: number
  readonly turns_removed: number
  /** Turns that would open later, or earlier: so much more, or less, silence before the reply, ms. */
  readonly dead_air_added_ms: number
  readonly dead_air_removed_ms: number
  readonly cancels_added: number
  readonly cancels_removed: number
  /** Cancels that would come at another time. */
  readonly cancels_moved: number
  readonly drops_added: number
  readonly drops_removed: number
  /** Turns that would commit instead of abort, abort instead of commit, or abort for another reason. */
  readonly terminal_changes: number
}

export const noEffect: WhatIfTotals = {
  turns_cut_in_on: 0,
  turns_added: 0,
  turns_removed: 0,
  dead_air_added_ms: 0,
  dead_air_removed_ms: 0,
  cancels_added: 0,
  cancels_removed: 0,
  cancels_moved: 0,
  drops_added: 0,
  drops_removed: 0,
  terminal_changes: 0
}

/** The totals of one turn; `session` where a signal belongs to none. */
export interface TurnEffect extends WhatIfTotals {
  readonly turn: string
}

export interface WhatIfEffects {
  readonly totals: WhatIfTotals
  /** Turns that are affected, in the order of the session. */
  readonly turns: ReadonlyArray<TurnEffect>
}

/** The totals of several sessions together. */
export const sumOf = (all: ReadonlyArray<WhatIfTotals>): WhatIfTotals => {
  const sum = (name: keyof WhatIfTotals) => all.reduce((total, one) => total + one[name], 0)
  return {
    turns_cut_in_on: sum("turns_cut_in_on"),
    turns_added: sum("turns_added"),
    turns_removed: sum("turns_removed"),
    dead_air_added_ms: sum("dead_air_added_ms"),
    dead_air_removed_ms: sum("dead_air_removed_ms"),
    cancels_added: sum("cancels_added"),
    cancels_removed: sum("cancels_removed"),
    cancels_moved: sum("cancels_moved"),
    drops_added: sum("drops_added"),
    drops_removed: sum("drops_removed"),
    terminal_changes: sum("terminal_changes")
  }
}

export const hasEffect = (totals: WhatIfTotals): boolean => Object.values(totals).some((count) => count !== 0)

const terminalOf = (milestones: ReadonlyArray<Milestone>): string | undefined => {
  const end = milestones.find(({ what }) => what === "signal commit" || what === "signal abort")
  return end === undefined ? undefined : `${end.what} ${end.reason ?? ""}`
}

const timesOf = (milestones: ReadonlyArray<Milestone>, what: string): ReadonlyArray<number> =>
  milestones.filter((milestone) => milestone.what === what).map(({ atMs }) => atMs)

/** How often a signal comes more, less, and at another time; the recording is known beyond `endMs`, the replay is not. */
const compare = (recorded: ReadonlyArray<number>, replayed: ReadonlyArray<number>, endMs: number) => ({
  added: Math.max(0, replayed.length - recorded.length),
  removed: Math.max(0, recorded.filter((atMs) => atMs < endMs).length - replayed.length),
  moved: replayed.filter((atMs, at) => recorded[at] !== undefined && recorded[at] !== atMs).length
})

const openedAt = (milestones: ReadonlyArray<Milestone>): number | undefined =>
  milestones.find(({ what }) => what === "signal turn_open")?.atMs

/**
 * Counts what differs between the milestones of a recording and of its replay under another setting.
 *
 * `endMs`: behind it nothing is known of the replay, so that what it lacks there is no change. `speechMs`: when the session
 * was told that the caller began to speak.
 */
export const effectsOf = (options: {
  readonly recorded: ReadonlyArray<Milestone>
  readonly replayed: ReadonlyArray<Milestone>
  readonly speechMs: ReadonlyArray<number>
  readonly endMs: number
}): WhatIfEffects => {
  const { endMs, recorded, replayed, speechMs } = options
  const openings = recorded.filter(({ what }) => what === "signal turn_open").map(({ atMs }) => atMs)
  const names = [...new Set([...recorded, ...replayed].map(({ turnId }) => turnId))]
  const turns: Array<TurnEffect> = []
  for (const turnId of names) {
    const left = recorded.filter((milestone) => milestone.turnId === turnId)
    const right = replayed.filter((milestone) => milestone.turnId === turnId)
    const [was, is] = [openedAt(left), openedAt(right)]
    const shift = was === undefined || is === undefined ? 0 : is - was
    const until = is === undefined ? undefined : was ?? openings.find((atMs) => atMs > is)
    const cutIn = is !== undefined && until !== undefined && speechMs.some((atMs) => atMs > is && atMs <= until)
    const cancels = compare(timesOf(left, "signal cancel"), timesOf(right, "signal cancel"), endMs)
    const drops = compare(timesOf(left, "signal drop_notice"), timesOf(right, "signal drop_notice"), endMs)
    const [ended, ends] = [terminalOf(left), terminalOf(right)]
    const effect: WhatIfTotals = {
      turns_cut_in_on: cutIn ? 1 : 0,
      turns_added: was === undefined && is !== undefined ? 1 : 0,
      turns_removed: is === undefined && was !== undefined && was < endMs ? 1 : 0,
      dead_air_added_ms: Math.max(0, shift),
      dead_air_removed_ms: Math.max(0, -shift),
      cancels_added: cancels.added,
      cancels_removed: cancels.removed,
      cancels_moved: cancels.moved,
      drops_added: drops.added,
      drops_removed: drops.removed,
      terminal_changes: ended !== undefined && ends !== undefined && ended !== ends ? 1 : 0
    }
    if (hasEffect(effect)) turns.push({ turn: turnId ?? "session", ...effect })
  }
  return { totals: sumOf(turns), turns }
}
