import type { Mutant } from "./Mutant.ts"

const limit = "packages/runtime/src/limits/RecordingLimit.ts"
const lifecycle = "packages/runtime/src/turn/TurnLifecycle.ts"
const gauge = "packages/timeline/src/recorder/PressureGauge.ts"
const ledger = "packages/timeline/src/recorder/EvidenceLedger.ts"
const assembler = "packages/timeline/src/recorder/RecordAssembler.ts"

/** Defects in how a recording goes down a level under pressure, and up again. */
export const levelMutants: ReadonlyArray<Mutant> = [
  {
    id: "level-untold",
    file: limit,
    what: "a downgrade between two turns is not told",
    find: "if (this.level !== from) {",
    replace: "if (this.level !== from && turnId !== undefined) {"
  },
  {
    id: "level-not-limited",
    file: limit,
    what: "a downgrade is told and not carried out",
    find: `    this.#context.command({ type: "limit_recording", level: this.#limit })
  }

  /** A turn opens, or has closed`,
    replace: `  }

  /** A turn opens, or has closed`
  },
  {
    id: "level-rises-at-once",
    file: limit,
    what: "the level rises in the middle of a turn, as soon as the pressure has gone",
    find: "      this.#next = isLowerLevel(level, this.#limit) ? this.#limit : level\n",
    replace: "      this.#next = isLowerLevel(level, this.#limit) ? this.#limit : level\n      this.boundary()\n"
  },
  {
    id: "level-rises-under-pressure",
    file: limit,
    what: "pressure that comes back does not take back that the level may rise",
    find: `if (reason === "eased" || !isLowerLevel(level, this.#limit)) {`,
    replace: `if (!isLowerLevel(level, this.#limit) && reason !== "eased") return
    if (reason === "eased") {`
  },
  {
    id: "level-stays-down",
    file: lifecycle,
    what: "the level does not rise where a turn has closed",
    find: "    recording.boundary()\n    conversation",
    replace: "    conversation"
  },
  {
    id: "level-two-steps",
    file: gauge,
    what: "a long lag goes down two steps at once",
    find: `return this.#tell("L1", toL1)`,
    replace: `return this.#tell(toL0 === undefined ? "L1" : "L0", toL1)`
  },
  {
    id: "level-dip-ignored",
    file: gauge,
    what: "a fill that dips below its bound goes on counting",
    find: "full ? this.#fullSince ?? nowMs : undefined\n    this.#calm",
    replace: "full ? this.#fullSince ?? nowMs : this.#fullSince\n    this.#calm"
  },
  {
    id: "level-eases-too-soon",
    file: gauge,
    what: "pressure is said to be gone as soon as the buffer is empty, whatever the store does",
    find: "this.#calmSince = full || late ?",
    replace: "this.#calmSince = full ?"
  },
  {
    id: "level-not-kept",
    file: ledger,
    what: "the recorder goes on at the level of the plan",
    find: "return lowerLevel(this.#allowed, this.#limit)",
    replace: "return this.#allowed"
  },
  {
    id: "level-of-the-plan",
    file: ledger,
    what: "the evidence says the level of the plan, not the one that held",
    find: ": { recording_level: turn.level }",
    replace: ": { recording_level: this.#allowed }"
  },
  {
    id: "level-sound-after-signal",
    file: assembler,
    what: "sound that had come before a downgrade is written behind it",
    find: `      if (signal === "recording_level_downgraded") this.#flushCaller()\n`,
    replace: ""
  },
  {
    id: "level-turn-unnamed",
    file: assembler,
    what: "the manifest does not name the turns that were lowered",
    find: "this.#captured.turn(group.turnId, this.#ledger.loweredTo(group.turnId))",
    replace: "this.#captured.turn(group.turnId, undefined)"
  }
]
