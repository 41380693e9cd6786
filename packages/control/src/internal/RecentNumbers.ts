import { setLatest } from "./Latest.ts"

/** A number for each of the keys that were set last; a key that is not there, or no longer, has 0. */
export interface RecentNumbers {
  readonly get: (key: string) => number
  /** Makes the key the latest, and forgets the one that was set longest ago when there are too many. */
  readonly set: (key: string, value: number) => void
}

/** Keeps at most `most` keys. */
export const makeRecentNumbers = (most: number): RecentNumbers => {
  const known = new Map<string, number>()
  return {
    get: (key) => known.get(key) ?? 0,
    set: (key, value) => setLatest(known, key, value, most)
  }
}
