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
    id: "fence-misses-frame-on-its-way",
    file: egress,
    what: "a frame that was on its way into the transport's queue at the fence is played",
    find: "    if (clears === this.#clears) return\n",
    replace: "    if (clears <= this.#clears) return\n"
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
    what: "speech that comes after a cancel is taken until the turn is closed",
    find: `      invocation === undefined || invocation.cancelSentMs !== undefined || active === undefined ||
      reply === undefined ||
      invocation.turnId !== active.turnId || active.ending !== undefined`,
    replace: `      invocation === undefined || active === undefined ||
      reply === undefined ||
      invocation.turnId !== active.turnId`
  },
  {
    id: "late-counted-not-dropped",
    file: kernel,
    what: "a result that comes too late is counted, and taken all the same",
    find: "      this.#late(input, invocation)\n      return\n    }\n    if (input.type",
    replace: `      this.#late(input, invocation)
      if (invocation === undefined || reply === undefined) return
    }
    if (input.type`
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
    file: "packages/runtime/src/turn/TurnLifecycle.ts",
    what: "a turn that was cut is resumed when the caller turns out to have said nothing",
    find: `    if (!cancellation.accept(turn, scope, reason)) return
    bargeIn.forget(turn)
`,
    replace: `    if (!cancellation.accept(turn, scope, reason)) return
`
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
    id: "playback-twice",
    file: delivery,
    what: "a report of playback that comes again is told again",
    find: "if (segment === undefined || segment.playbackStarted || segment.playbackEnded) return",
    replace: "if (segment === undefined) return"
  },
  {
    id: "report-to-newest-turn",
    file: kernel,
    what: "a report of playback goes to the newest turn, not to the one that it names",
    find: "        const turn = turns.find(input.turn_id)\n",
    replace: "        const turn = turns.active ?? turns.find(input.turn_id)\n"
  },
  {
    id: "cut-reply-remembered-whole",
    file: delivery,
    what: "the conversation remembers the whole of a sentence that was cut",
    find: "segment.heardSamples = Math.min(segment.samples, report.samples)",
    replace: "segment.heardSamples = segment.samples"
  }
]
