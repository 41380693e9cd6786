/**
 * When what was written is forced onto the disk (fsync), so that it outlives a power failure. Whatever is chosen, what was
 * written outlives the death of the process, and a file that is closed is synced.
 *
 * - `terminal` (the default): with each turn's evidence, terminal and close, before the next batch is written.
 * - `{ intervalMs }`: with the first batch that is written so long after the last time. What came after that may be lost.
 * - `none`: never before the end; the operating system decides.
 */
export type Durability = "terminal" | "none" | { readonly intervalMs: number }

/** Whether a batch is to be synced: `ending` when it ends a turn, `sinceMs` the time since the last sync. */
export const mustSync = (durability: Durability, ending: boolean, sinceMs: number): boolean => {
  if (durability === "terminal") return ending
  return durability !== "none" && sinceMs >= durability.intervalMs
}
