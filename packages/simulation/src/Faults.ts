import type { RandomStream, RandomStreams } from "./RandomStreams.ts"

/** How a kind of fault comes: with each opportunity by `chance`, or for a while at drawn times as an `episode`. */
interface Kind {
  readonly comes: "chance" | "episode"
  /** Least and most probable rate: per opportunity for `chance`, episodes per minute of call for `episode`. */
  readonly rate: readonly [number, number]
  /** Least and longest duration of an episode, in ms. */
  readonly ms?: readonly [number, number]
  readonly does: string
}

const chance = (least: number, most: number, does: string): Kind => ({ comes: "chance", rate: [least, most], does })
const episode = (least: number, most: number, ms: readonly [number, number], does: string): Kind => ({
  comes: "episode",
  rate: [least, most],
  ms,
  does
})

/**
 * Every kind of fault that the world can do, where it happens and how often. Kinds are part of the seed's meaning: add
 * new ones, do not rename.
 */
export const faultKinds = {
  "media.loss": chance(0.002, 0.1, "a packet of the caller is lost"),
  "media.burst_loss": chance(0.0005, 0.004, "a burst of 3 to 60 packets is lost"),
  "media.jitter": chance(0.02, 0.5, "a packet comes up to 250 ms late, and those behind it wait"),
  "media.reorder": chance(0.005, 0.1, "a packet is overtaken by those behind it"),
  "media.duplicate": chance(0.005, 0.1, "a packet comes twice"),
  "media.drift": chance(1, 1, "the caller's clock and the loudspeaker's run up to 200 ppm off"),
  "media.double_talk": chance(0.2, 0.9, "the caller talks over the agent"),
  "media.echo": chance(0.2, 0.9, "the microphone hears the agent"),
  "media.mute": episode(1, 4, [300, 8000], "the microphone is muted"),
  "media.noise": chance(0.0005, 0.01, "a noise of 40 to 600 ms that is no speech"),
  "caller.types_at_commit": chance(0.2, 1, "the caller types in the instant in which a reply is complete"),
  "start.refused": chance(0.1, 0.5, "a part of the session cannot be opened when it starts"),
  "transport.stall": episode(0.5, 3, [200, 12_000], "nothing is played and nothing comes in"),
  "transport.reconnect": episode(0.5, 3, [100, 6000], "the connection is gone and comes back"),
  "transport.late_join": chance(1, 1, "the caller comes seconds after the session"),
  "transport.half_open": episode(0.5, 2, [500, 20_000], "the peer is silent and nobody says so"),
  "transport.disconnect": episode(0.3, 1, [1000, 5000], "the connection is reported lost and comes back"),
  "transport.break": chance(0.5, 1, "the transport fails and the call is over"),
  "provider.slow_first": chance(0.05, 0.6, "the first result takes 1 to 8 s"),
  "provider.stall": chance(0.05, 0.5, "the stream pauses for 1 to 30 s in the middle"),
  "provider.truncated": chance(0.05, 0.4, "the stream ends, or fails, in the middle"),
  "provider.overload": chance(0.05, 0.6, "429: too many requests"),
  "provider.rate_limited": chance(0.05, 0.6, "429: too many requests, with the time to wait before the next"),
  "provider.unavailable": chance(0.05, 0.6, "5xx, a lost connection, or a request that is refused for good"),
  "provider.defect": chance(0.02, 0.3, "the adapter throws"),
  "provider.slow_cancel": chance(0.1, 0.9, "a cancelled call gives one more result and takes up to 3 s to end"),
  "provider.duplicate_final": chance(0.1, 0.6, "a final transcript comes twice"),
  "provider.revised_partial": chance(0.2, 0.9, "partial transcripts are taken back"),
  "provider.empty": chance(0.05, 0.5, "a result without content"),
  "provider.burst": chance(0.1, 0.8, "everything comes in one instant"),
  "runtime.preempt": chance(0.05, 1, "fibers are pre-empted after a few operations"),
  "runtime.late_timers": chance(0.05, 1, "timers fire up to 15 ms late"),
  "runtime.stopped": episode(0.5, 4, [50, 4000], "the process stands still and goes on"),
  "runtime.full_edge": chance(1, 1, "edges have room for one or two items"),
  "runtime.slow_consumer": chance(0.02, 0.3, "the recogniser takes its audio late"),
  "authority.rotated": episode(0.3, 2, [0, 0], "another placement takes the session over"),
  "authority.revoked": episode(0.2, 1, [0, 0], "the lease is revoked"),
  "authority.partition": episode(0.3, 2, [1000, 30_000], "the control plane is out of reach; the lease is not renewed"),
  "authority.lost_at_commit": chance(
    0.2,
    1,
    "the lease is lost in the instant of a commit, or while the last of the reply is heard"
  ),
  "authority.late_news": chance(0.05, 0.6, "a renewal of the lease is told a second time, up to 2 s late"),
  "control.stale_snapshots": episode(0.3, 2, [5000, 30_000], "snapshots are not issued again"),
  "control.incompatible": episode(0.3, 2, [1000, 10_000], "the snapshots speak of another contract version"),
  "control.quota": chance(1, 1, "the quota of turns is small"),
  "control.unhealthy": episode(0.3, 2, [1000, 15_000], "a provider's circuit is open"),
  "recorder.refused": chance(0.2, 1, "evidence is refused"),
  "recorder.slow": chance(0.2, 0.9, "the answer about evidence takes up to 2 s"),
  "recorder.full": episode(0.3, 2, [1000, 20_000], "the disk is full"),
  "recorder.stalled": episode(0.5, 3, [1000, 40_000], "the disk takes nothing for a while, and what is recorded waits"),
  "store.behind": episode(1, 8, [500, 20_000], "the store takes nothing of what is on the disk"),
  "recorder.torn": chance(1, 1, "the process dies while it writes: the file ends in the middle of a record"),
  "node.slow": chance(0.05, 0.5, "a custom node takes 0.3 to 6 s for an item"),
  "node.crash": chance(0.05, 0.5, "a custom node throws, dies, fails or refuses an item"),
  "node.swallows": chance(0.05, 0.5, "a filter gives nothing for an item"),
  "node.ignores_cancel": chance(0.1, 0.9, "a custom node goes on for up to 3 s after it was told to stop")
} as const satisfies Record<string, Kind>

export type FaultKind = keyof typeof faultKinds
export const allFaultKinds = Object.keys(faultKinds) as ReadonlyArray<FaultKind>

/** A stretch of time in which a fault of a kind is on, in ms of the world. */
export interface Episode {
  readonly kind: FaultKind
  readonly atMs: number
  readonly forMs: number
}

/** Which faults one run has: drawn from the seed, and plain data, so that a failing run can be made smaller. */
export interface FaultPlan {
  readonly kinds: ReadonlyArray<FaultKind>
  /** Rate of each kind, see {@link faultKinds}. */
  readonly rates: Readonly<Partial<Record<FaultKind, number>>>
  readonly episodes: ReadonlyArray<Episode>
}

/**
 * Draws the faults of a run: first which kinds (a swarm: one in eight runs has none, most have a few, some have many),
 * then how often each. What is drawn for one kind does not depend on the others.
 */
export const drawFaults = (streams: RandomStreams, options: {
  /** Faults happen before this moment, in ms. */
  readonly untilMs: number
  /** Instead of the swarm's choice. */
  readonly kinds?: ReadonlyArray<FaultKind>
}): FaultPlan => {
  const kinds = options.kinds ?? withCompanions(swarm(streams.of("faults/swarm")), streams.of("faults/companions"))
  const rates: Partial<Record<FaultKind, number>> = {}
  const episodes: Array<Episode> = []
  for (const kind of kinds) {
    const stream = streams.of(`faults/rate/${kind}`)
    const { comes, rate: [least, most], ms }: Kind = faultKinds[kind]
    const rate = least + (most - least) * stream.unit() * stream.unit()
    rates[kind] = rate
    if (comes === "chance") continue
    const count = Math.max(1, Math.round((rate * options.untilMs) / 60_000))
    const [shortest, longest] = ms ?? [0, 0]
    for (let i = 0; i < count; i++) {
      const forMs = Math.round(shortest + (longest - shortest) * stream.unit() * stream.unit())
      episodes.push({ kind, atMs: stream.between(200, Math.max(201, options.untilMs - 200)), forMs })
    }
  }
  return { kinds, rates, episodes: episodes.sort((a, b) => a.atMs - b.atMs) }
}

/** Kinds that show more when another one comes with them. */
const companions: ReadonlyArray<readonly [kind: FaultKind, companion: FaultKind]> = [
  // An edge is full where much comes at once.
  ["runtime.full_edge", "provider.burst"],
  // Late news of a lease, and work of an old epoch, need a takeover and something slow.
  ["authority.rotated", "provider.slow_first"],
  ["authority.partition", "authority.rotated"],
  // Old news is only old where something has happened since.
  ["authority.late_news", "authority.revoked"]
]

const withCompanions = (kinds: ReadonlyArray<FaultKind>, stream: RandomStream): ReadonlyArray<FaultKind> => {
  const chosen = new Set(kinds)
  for (const [kind, companion] of companions) if (stream.chance(0.4) && chosen.has(kind)) chosen.add(companion)
  return allFaultKinds.filter((kind) => chosen.has(kind))
}

const swarm = (stream: RandomStream): ReadonlyArray<FaultKind> => {
  const size = stream.below(8)
  const wanted = size === 0
    ? 0
    : size < 5
    ? stream.between(1, 3)
    : size < 7
    ? stream.between(4, 9)
    : stream.between(10, 20)
  const chosen = new Set(stream.shuffle(allFaultKinds).slice(0, wanted))
  return allFaultKinds.filter((kind) => chosen.has(kind))
}

/**
 * The faults of one run at work. Each part of the world asks here at the place where its fault would happen; every kind
 * draws from a stream of its own, so that taking one kind away leaves what the others do unchanged.
 */
export class Faults {
  readonly plan: FaultPlan
  /** How often each kind has struck. */
  readonly struck = new Map<FaultKind, number>()
  readonly #streams: RandomStreams
  readonly #nowMs: () => number
  readonly #whenOff: Array<() => void> = []
  /** Episodes that a script began. */
  readonly #begun: Array<Episode> = []
  /** Opportunities that a script takes, by kind. */
  readonly #taken = new Map<FaultKind, number>()
  #on = true

  constructor(plan: FaultPlan, streams: RandomStreams, nowMs: () => number) {
    this.plan = plan
    this.#streams = streams
    this.#nowMs = nowMs
    // These are part of how the call and its world are made.
    for (const kind of ["runtime.preempt", "runtime.full_edge", "control.quota"] as const) {
      if (this.has(kind)) this.count(kind)
    }
  }

  /** The second phase begins: nothing goes wrong any more. */
  off(): void {
    if (!this.#on) return
    this.#on = false
    for (const then of this.#whenOff.splice(0)) then()
  }

  /** Counts each episode when it begins; `after` is the world's timer. */
  begin(after: (ns: number, then: () => void) => unknown): void {
    for (const { atMs, kind } of this.plan.episodes) {
      after((atMs - this.#nowMs()) * 1e6, () => {
        if (this.#on) this.count(kind)
      })
    }
  }

  /** What is to be put right when the second phase begins. */
  whenOff(then: () => void): void {
    this.#whenOff.push(then)
  }

  get isOn(): boolean {
    return this.#on
  }

  /** Whether the run has this kind at all. Parts that it does not concern need not ask again. */
  has(kind: FaultKind): boolean {
    return this.plan.rates[kind] !== undefined
  }

  /** Whether the kind strikes now. Counts when it does. */
  strikes(kind: FaultKind): boolean {
    const rate = this.plan.rates[kind]
    if (this.#taken.size > 0 && this.#takes(kind)) return true
    if (rate === undefined || !this.#on) return false
    if (!this.stream(kind).chance(rate)) return false
    this.count(kind)
    return true
  }

  /** The same for what happens after the second phase: a process that died while it wrote. */
  strikesLast(kind: FaultKind): boolean {
    if (!this.has(kind)) return false
    this.count(kind)
    return true
  }

  /** The stream of a kind: what the fault looks like is drawn from it too. */
  stream(kind: FaultKind): RandomStream {
    return this.#streams.of(`faults/${kind}`)
  }

  rate(kind: FaultKind): number {
    return this.#on ? this.plan.rates[kind] ?? 0 : 0
  }

  count(kind: FaultKind): void {
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1)
  }

  /** The episode of the kind that is on at this moment. */
  during(kind: FaultKind): Episode | undefined {
    if (!this.#on) return undefined
    const now = this.#nowMs()
    const isOn = (one: Episode) => one.kind === kind && one.atMs <= now && now < one.atMs + one.forMs
    return (this.has(kind) ? this.plan.episodes.find(isOn) : undefined) ?? this.#begun.find(isOn)
  }

  /** A script begins an episode at this moment. */
  beginNow(kind: FaultKind, forMs: number): void {
    if (!this.#on) return
    this.#begun.push({ kind, atMs: this.#nowMs(), forMs })
    this.count(kind)
  }

  /** A script makes a fault strike at its next opportunity. */
  takeNext(kind: FaultKind): void {
    this.#taken.set(kind, (this.#taken.get(kind) ?? 0) + 1)
  }

  #takes(kind: FaultKind): boolean {
    const left = this.#taken.get(kind) ?? 0
    if (left === 0 || !this.#on) return false
    this.#taken.set(kind, left - 1)
    this.count(kind)
    return true
  }

  episodesOf(kind: FaultKind): ReadonlyArray<Episode> {
    return this.plan.episodes.filter((one) => one.kind === kind)
  }
}
