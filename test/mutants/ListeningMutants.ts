import type { Mutant } from "./Mutant.ts"

const listening = "packages/runtime/src/listening/Listening.ts"
const kernel = "packages/runtime/src/kernel/SessionKernel.ts"
const session = "packages/runtime/src/session/Session.ts"

/** Defects in how a session listens: frames, utterances, recognisers. */
export const listeningMutants: ReadonlyArray<Mutant> = [
  {
    id: "media-loss-not-told",
    file: session,
    what: "frames that the session has no room for are lost without a word",
    find: "      cameLess.lost(arrived.sampleIndex)\n",
    replace: ""
  },
  {
    id: "media-loss-without-notice",
    file: kernel,
    what: "a loss of caller audio is recorded, but no drop notice is given",
    find: `    gateway.signal("drop_notice", "RK-12", {
      edge_id: input.edge_id,`,
    replace: `    if (input.count === 0) gateway.signal("drop_notice", "RK-12", {
      edge_id: input.edge_id,`
  },
  {
    id: "frames-overwritten",
    file: "packages/runtime/src/events/Ring.ts",
    what: "a full lane says that it has taken what it has no room for",
    find: "if (this.#size === this.#capacity) return false",
    replace: "if (this.#size === this.#capacity) return true"
  },
  {
    id: "speaker-goes-on-unnoticed",
    file: listening,
    what: "the endpoint passes although the speaker has gone on",
    find: `    current.speaking = true
    current.awaiting = false
    current.final = undefined
    current.cutSample = undefined
    context.disarm(endpointTimer)
`,
    replace: "    current.cutSample = undefined\n"
  },
  {
    id: "final-of-older-pause",
    file: listening,
    what: "a final text of an earlier pause stands for the whole utterance",
    find: "if (current.speaking || pauseId !== current.pauseId) return undefined",
    replace: "if (current.speaking && pauseId > current.pauseId) return undefined"
  },
  {
    id: "utterance-lost-silently",
    file: kernel,
    what: "the recogniser fails, and nobody is told that the utterance is lost",
    find:
      `      gateway.signal("provider_error", "RK-11", { reason: failure.outcome, provider_invocation_id: invocation.id })\n`,
    replace: ""
  },
  {
    id: "utterance-stuck",
    file: listening,
    what: "an utterance whose recogniser failed stays open, and what is said next joins it",
    find: "      if (utterance?.recognition !== recognition) return false\n",
    replace: "      if (recognition !== \"\") return false\n"
  },
  {
    id: "utterance-without-limit",
    file: listening,
    what: "an utterance may be as long as it likes",
    find: "    context.arm(utteranceTimer, context.now + config.recognition.max_utterance_ms)\n",
    replace: ""
  },
  {
    id: "duplicate-final-taken",
    file: kernel,
    what: "a final text that comes again after its utterance is over is a new intent whatever the policy says",
    find: `const remap = policy === "remap" && words`,
    replace: "const remap = words"
  }
]
