import type { Mutant } from "./Mutant.ts"

const ledger = "packages/timeline/src/recorder/EvidenceLedger.ts"
const assembler = "packages/timeline/src/recorder/RecordAssembler.ts"

/** Defects in the evidence of a turn and in what is recorded. */
export const evidenceMutants: ReadonlyArray<Mutant> = [
  {
    id: "evidence-field-dropped",
    file: ledger,
    what: "the evidence does not say when the first output came",
    find: "        ...(turn.firstOutputMs === undefined ? {} : { first_output_ms: turn.firstOutputMs }),\n",
    replace: ""
  },
  {
    id: "evidence-migrations-dropped",
    file: ledger,
    what: "the evidence does not say that the lease moved",
    find: "migration_markers: [...turn.migrations]",
    replace: "migration_markers: []"
  },
  {
    id: "evidence-after-terminal",
    file: assembler,
    what: "the evidence of a turn is written after its close",
    find: `[{ record: "evidence", evidence }, ...group.records]`,
    replace: `[...group.records, { record: "evidence", evidence }]`
  },
  {
    id: "evidence-missing",
    file: ledger,
    what: "a turn without speech has no evidence",
    find: "if (turn === undefined || turn.written !== undefined) return undefined",
    replace: "if (turn?.firstOutputMs === undefined || turn.written !== undefined) return undefined"
  },
  {
    id: "evidence-fence-unknown",
    file: ledger,
    what: "the evidence of a cut does not say when the fence was up",
    find: "turn.fencedMs ??= now",
    replace: "turn.fencedMs ??= undefined"
  },
  {
    id: "evidence-invented",
    file: ledger,
    what: "the evidence of a cut says that it was acknowledged before it was",
    find: "cancel.unacknowledged.size === 0 ? cancel.lastAckMs : undefined",
    replace: "cancel.lastAckMs ?? cancel.sentMs"
  },
  {
    id: "late-output-uncounted",
    file: "packages/runtime/src/invocation/InvocationLedger.ts",
    what: "what came too late is not counted",
    find: "late_outputs_dropped: invocation.lateOutputs + input.late_outputs",
    replace: "late_outputs_dropped: input.late_outputs"
  },
  {
    id: "frame-times-smoothed",
    file: assembler,
    what: "frames are recorded as if each had come on time, so that a replay hears them at other times",
    find: "run.jitter?.push(late)",
    replace: "run.jitter?.push(0)"
  },
  {
    id: "input-not-recorded",
    file: assembler,
    what: "an input that the kernel saw is not recorded",
    find: "    this.#put(withoutSecrets(record))",
    replace: `    if (record.input.type !== "egress_dequeued") this.#put(withoutSecrets(record))`
  }
]
