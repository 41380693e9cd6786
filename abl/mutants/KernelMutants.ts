import type { Mutant } from "./Mutant.ts"

const context = "packages/runtime/src/kernel/KernelContext.ts"
const timers = "packages/runtime/src/session/SessionTimers.ts"
const router = "packages/runtime/src/events/LaneRouter.ts"
const identity = "packages/runtime/src/events/Identity.ts"

/** Defects in order, time and repeatability. */
export const kernelMutants: ReadonlyArray<Mutant> = [
  {
    id: "sequence-skipped",
    file: context,
    what: "a replaced timer takes a sequence number that no record has",
    find: "    const generation = ++this.#generation\n",
    replace: "    const generation = ++this.#generation\n    if (generation % 50 === 0) this.takeSequence()\n"
  },
  {
    id: "sequence-repeated",
    file: context,
    what: "a command has the sequence number of the record after it",
    find: "      runtime_sequence: this.takeSequence(),",
    replace: "      runtime_sequence: this.nextSequence,"
  },
  {
    id: "stamp-of-older-input",
    file: "packages/runtime/src/kernel/SessionKernel.ts",
    what: "what a timer brings about carries the time of the input before it",
    find: "    context.now = nowMs\n    const sequence = context.takeSequence()",
    replace: "    if (input.type !== \"timer\") context.now = nowMs\n    const sequence = context.takeSequence()"
  },
  {
    id: "timer-generation-ignored",
    file: context,
    what: "a timer that was replaced fires for the one that took its place",
    find: "if (this.#timers.get(timer)?.generation !== generation) return false",
    replace: "if (!this.#timers.has(timer) && generation > 0) return false",
    also: [
      {
        file: timers,
        find: "    this.#armed.set(timer, { timer, generation, dueMs })\n",
        replace: "    this.#armed.set(`${timer} ${generation}`, { timer, generation, dueMs })\n"
      },
      { file: timers, find: "    if (this.#armed.get(armed.timer) !== armed) return\n", replace: "" }
    ]
  },
  {
    id: "timer-overslept",
    file: timers,
    what: "a timer that is due before the one that is slept for fires with it",
    find: "    if (this.#earliestMs >= this.#wakesMs) return\n",
    replace: "    if (this.#earliestMs >= this.#wakesMs || this.#wakesMs < 1e9) return\n"
  },
  {
    id: "timer-lost-in-a-tie",
    file: timers,
    what: "of timers that are due together only the first fires",
    find: "    for (const armed of due.sort((a, b) => a.dueMs - b.dueMs)) {",
    replace: "    for (const armed of due.sort((a, b) => a.dueMs - b.dueMs).slice(0, 1)) {"
  },
  {
    id: "timer-not-disarmed",
    file: context,
    what: "a timer that is not needed any more fires",
    find: "    if (armed === undefined) return\n    this.#timers.delete(timer)",
    replace: `    if (armed !== undefined || timer === "") return
    this.#timers.delete(timer)`
  },
  {
    id: "lanes-swapped",
    file: router,
    what: "control waits behind data",
    find: `          const urgent = control.take()
          if (urgent !== undefined) return { kind: "input", lane: "ControlLane", input: urgent }
          const result = takeData()
          if (result !== undefined) return { kind: "input", lane: "DataLane", input: result }
`,
    replace: `          const result = takeData()
          if (result !== undefined) return { kind: "input", lane: "DataLane", input: result }
          const urgent = control.take()
          if (urgent !== undefined) return { kind: "input", lane: "ControlLane", input: urgent }
`
  },
  {
    id: "control-behind-audio",
    file: router,
    what: "control waits behind the caller's audio",
    find: "          const urgent = control.take()\n",
    replace: "          const urgent = frames.size > 0 ? undefined : control.take()\n"
  },
  {
    id: "chance-in-kernel",
    file: identity,
    what: "an id is made from chance",
    find: "`${sessionId}/${work}`",
    replace: "`${sessionId}/${work}/${Math.random()}`"
  },
  {
    id: "clock-in-kernel",
    file: context,
    what: "a timer is armed by the machine's clock",
    find: "due_ms: Math.max(0, Math.ceil(due))",
    replace: "due_ms: Math.max(0, Math.ceil(due) + (Date.now() % 2))"
  },
  {
    id: "state-of-the-process",
    file: identity,
    what: "invocations are counted across the sessions of a process",
    find: "    invocationId: (ordinal) => `inv_${ordinal}`,",
    replace: `    invocationId: (ordinal) => {
      const process = globalThis as { invocations?: number }
      process.invocations = (process.invocations ?? 0) + Math.sign(ordinal)
      return \`inv_\${process.invocations}\`
    },`
  }
]
