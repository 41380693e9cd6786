/**
 * One named stream of chance. The same seed and name give the same draws on every machine: only integer arithmetic and
 * multiplication of doubles are used, nothing whose last bit an engine may choose.
 */
export class RandomStream {
  #state: number

  constructor(state: number) {
    this.#state = state | 0
  }

  /** An integer from 0 to 2³²-1 (mulberry32, T. Ettinger, public domain). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    const s = this.#state
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.next() / 4_294_967_296
  }

  /** An integer in [0, count); 0 when there is no choice. */
  below(count: number): number {
    return count <= 1 ? 0 : Math.floor(this.unit() * count)
  }

  /** An integer in [least, most], both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True with probability `p`; draws even when `p` is 0 or 1, so that a change of a rate shifts nothing. */
  chance(p: number): boolean {
    return this.unit() < p
  }

  pick<A>(from: readonly [A, ...ReadonlyArray<A>]): A {
    return from[this.below(from.length)] as A
  }

  /** The list in a new order. */
  shuffle<A>(list: ReadonlyArray<A>): Array<A> {
    const out = [...list]
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const kept = out[i] as A
      out[i] = out[j] as A
      out[j] = kept
    }
    return out
  }

  /** `count` lower-case hex characters. */
  hex(count: number): string {
    let out = ""
    while (out.length < count) out += this.next().toString(16).padStart(8, "0")
    return out.slice(0, count)
  }
}

/** A word of 32 bits from a seed and a name (FNV-1a with a final avalanche). */
const mix = (seed: number, name: string): number => {
  let h = (seed ^ 0x811c9dc5) | 0
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/**
 * The random streams of one seed, by name: each part of the world draws from streams of its own, so that a new draw in
 * one place does not shift what another place gets.
 */
export class RandomStreams {
  readonly seed: number
  readonly #streams = new Map<string, RandomStream>()

  constructor(seed: number) {
    this.seed = seed
  }

  /** Streams of their own for a part that has many names, such as one session of several. */
  within(name: string): RandomStreams {
    return new RandomStreams(mix(mix(this.seed, "within"), name))
  }

  /** The stream of this name; the same object every time. */
  of(name: string): RandomStream {
    const known = this.#streams.get(name)
    if (known !== undefined) return known
    const stream = new RandomStream(mix(mix(this.seed, "seed"), name))
    this.#streams.set(name, stream)
    return stream
  }
}
