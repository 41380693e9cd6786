/**
 * One named stream of chance: the same seed and name give the same draws on every machine, and a draw from one stream
 * shifts no other (RK-19). Integer arithmetic and multiplication of doubles only. Not for secrets.
 */
export class NamedRandom {
  #state: number

  constructor(seed: number, name: string) {
    let h = (seed ^ 0x811c9dc5) | 0
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    this.#state = h ^ (h >>> 16)
  }

  /** A number in [0, 1) (mulberry32, T. Ettinger, public domain). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    const s = this.#state
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }
}
