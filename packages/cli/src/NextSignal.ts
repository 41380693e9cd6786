import { Effect } from "effect"

const signals = ["SIGTERM", "SIGINT"] as const

/** Until the next signal that asks this process to end: a drain that is under way is cut short by it. */
export const nextSignal: Effect.Effect<void> = Effect.callback((resume) => {
  const heard = () => resume(Effect.void)
  for (const name of signals) process.once(name, heard)
  return Effect.sync(() => {
    for (const name of signals) process.off(name, heard)
  })
})
