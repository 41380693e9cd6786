import type { Mutant } from "./Mutant.ts"

const egress = "packages/runtime/src/connection/EgressWriter.ts"
const bargeIn = "packages/runtime/src/cancellation/BargeIn.ts"
const cancellation = "packages/runtime/src/cancellation/Cancellation.ts"
const delivery = "packages/runtime/src/connection/Delivery.ts"
const kernel = "packages/runtime/src/kernel/SessionKernel.ts"

/** Defects between a turn's speech and the caller's ear: fences, cuts, pauses, reports. */
export const outputMutants: ReadonlyArray<Mutant> = [
  {
    id: "fence-removed",
    file: egress,
    what: "egress reports a fence that it has not put up: what waits of the turn goes on",
    find: `    this.#fenced.add(turnId)
    if (this.#fenced.size > rememberedFences)`,
    replace: `    if (turnId !== "") return this.#report({ type: "egress_fenced", turn_id: turnId, dropped_samples: 0 })
    if (this.#fenced.size > rememberedFences)`
  },
  {
    id: "fence-flush-skipped",
    file: egress,
    what: "the fence leaves in the transport's queue what it holds of the turn",
    find: "    if (speaks) {",
    replace: "    if (speaks && dropped > 0) {"
  },
  {
    id: "fence-not-commanded",
    file: cancellation,
    what: "a cancel is said, but the fence is commanded only for a turn that has spoken",
    find: `        if (turn.fenceRequested) return
`,
    replace: `        if (turn.fenceRequested || turn.firstOutputMs === undefined) return
`
  },
  {
    id: "cancel-not-sent",
    file: cancellation,
    what: "the provider calls of a cancelled turn go on",
    find: `if (invocation.modality !== "stt") invocations.cancel`,
    replace: `if (invocation.modality === "stt") invocations.cancel`
  },
  {
    id: "late-chunk-accepted",
    file: kernel,
    what: "speech that comes after a cancel is taken for the turn that is open now",
    find: "      this.#late(input, invocation)\n      return\n    }\n    turns.checkComplete()",
    replace: `      const { active } = turns
      const segment_id = active?.segments.at(-1)?.segmentId
      if (input.type !== "voice_chunk" || active === undefined || segment_id === undefined) {
        this.#late(input, invocation)
        return
      }
      const { turnId: turn_id, epoch: authority_epoch } = active
      this.#m.context.command({ type: "enqueue_output", turn_id, segment_id, handle_id: input.handle.id, authority_epoch })
      return
    }
    turns.checkComplete()`
  },
  {
    id: "late-counted-not-dropped",
    file: kernel,
    what: "speech that comes too late is counted, and taken all the same",
    find: "      this.#late(input, invocation)\n      return\n    }\n    turns.checkComplete()",
    replace: `      this.#late(input, invocation)
      const { active } = turns
      const segment_id = active?.segments.at(-1)?.segmentId
      if (input.type !== "voice_chunk" || active === undefined || segment_id === undefined) return
      const { turnId: turn_id, epoch: authority_epoch } = active
      this.#m.context.command({ type: "enqueue_output", turn_id, segment_id, handle_id: input.handle.id, authority_epoch })
      return
    }
    turns.checkComplete()`
  },
  {
    id: "false-alarm-never-resumes",
    file: bargeIn,
    what: "after a false alarm output stays paused",
    find: `          context.command({ type: "resume_output", turn_id: turn.turnId })\n`,
    replace: ""
  },
  {
    id: "resume-after-cut",
    file: bargeIn,
    what: "a turn that was cut is resumed when the caller turns out to have said nothing",
    find: "if (target === turn) forget()",
    replace: "if (target === turn && !turn.fenceRequested) forget()"
  },
  {
    id: "cut-too-early",
    file: bargeIn,
    what: "any sound cuts the agent, however short",
    find: "lastSpeechMs - speechOnsetMs >= config.min_ms",
    replace: "lastSpeechMs - speechOnsetMs >= 0"
  },
  {
    id: "pause-loses-speech",
    file: egress,
    what: "what a pause takes back is not played again",
    find: "    this.#items = [...again, ...this.#items]\n",
    replace: ""
  },
  {
    id: "pause-disorders-speech",
    file: egress,
    what: "what a pause takes back is played after what came later",
    find: "[...again, ...this.#items]",
    replace: "[...this.#items, ...again]"
  },
  {
    id: "playback-disordered",
    file: egress,
    what: "a chunk overtakes the speech that waits before it",
    find: `    this.#items.push({ kind: "chunk", chunk: { turnId, segmentId, epoch, samples, at: 0 } })`,
    replace: `    this.#items.unshift({ kind: "chunk", chunk: { turnId, segmentId, epoch, samples, at: 0 } })`
  },
  {
    id: "playback-never-ends",
    file: delivery,
    what: "a sentence that was played to its end still counts as playing",
    find: "              segment.playbackEnded = true\n              segment.heardSamples = segment.samples",
    replace: "              segment.heardSamples = segment.samples"
  },
  {
    id: "cut-of-wrong-turn",
    file: "packages/runtime/src/turn/TurnLifecycle.ts",
    what: "a cut is of the newest closed turn, not of the one that is heard",
    find: "return this.#followed.findLast((turn) => isSpeaking(turn))",
    replace: "return this.#followed.findLast((turn) => !turn.fenceRequested)"
  },
  {
    id: "cut-reply-remembered-whole",
    file: delivery,
    what: "the conversation remembers the whole of a sentence that was cut",
    find: "segment.heardSamples = Math.min(segment.samples, report.samples)",
    replace: "segment.heardSamples = segment.samples"
  }
]
