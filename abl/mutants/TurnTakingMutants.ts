import type { Mutant } from "./Mutant.ts"

const bargeIn = "packages/runtime/src/cancellation/BargeIn.ts"
const endpointing = "packages/runtime/src/listening/Endpointing.ts"
const idleUser = "packages/runtime/src/listening/IdleUser.ts"
const listening = "packages/runtime/src/listening/Listening.ts"
const kernel = "packages/runtime/src/kernel/SessionKernel.ts"
const lifecycle = "packages/runtime/src/turn/TurnLifecycle.ts"

/** Defects in turn taking: words, keys, endpoints, idle callers, and what was heard. */
export const turnTakingMutants: ReadonlyArray<Mutant> = [
  {
    id: "cut-without-words",
    file: bargeIn,
    what: "a cut does not wait for the words that the session asks for",
    find: "const cut = () => longEnough && saidEnough ? target : undefined",
    replace: "const cut = () => longEnough ? target : undefined"
  },
  {
    id: "passed-over-everything",
    file: kernel,
    what: "words over the agent take no turn, however many they are",
    find: "    if (reason === undefined) return false\n    gateway.event({",
    replace: "    gateway.event({"
  },
  {
    id: "passed-over-silently",
    file: kernel,
    what: "words that take no turn are not told",
    find: `      provider_invocation_id: recognition,
      reason: \`passed_over: \${reason}\`
    })`,
    replace: `      provider_invocation_id: recognition
    })`
  },
  {
    id: "signs-counted-as-words",
    file: bargeIn,
    what: "a sign of attention is passed over where the session has no such words",
    find: "if (config.backchannel.length > 0 && handle.facts?.backchannel === true)",
    replace: "if (handle.length > 0 && handle.length < 9)"
  },
  {
    id: "pause-of-the-finished",
    file: lifecycle,
    what: "a pause of a turn that had nothing left to say is taken back while the next one speaks",
    find: "    if (!isSpeaking(turn)) bargeIn.forget(turn)\n",
    replace: ""
  },
  {
    id: "endpoint-past-its-bound",
    file: endpointing,
    what: "a learned endpoint may be later than max_ms",
    find: "({ ms: Math.min(ms, max_ms), reason })",
    replace: "({ ms: ms * 2, reason })"
  },
  {
    id: "fixed-endpointing-learns",
    file: endpointing,
    what: "an endpoint that is fixed learns",
    find: `if (this.#config.endpointing.mode !== "dynamic" || ms > this.#config.endpointing.max_ms) return`,
    replace: "if (ms > this.#config.endpointing.max_ms) return"
  },
  {
    id: "model-asked-unwanted",
    file: listening,
    what: "the end-of-turn model is asked although the session wants none",
    find: "const asks = config.end_of_turn.enabled && !byKey",
    replace: "const asks = !byKey"
  },
  {
    id: "voice-activity-beside-the-key",
    file: listening,
    what: "voice activity begins utterances although the caller has a key",
    find: "      if (byKey) return undefined\n",
    replace: ""
  },
  {
    id: "idle-while-spoken-to",
    file: kernel,
    what: "a caller who is listening to the agent is idle",
    find: "turns.active === undefined && turns.audible === undefined &&",
    replace: "turns.active === undefined &&"
  },
  {
    id: "idle-while-speaking",
    file: kernel,
    what: "a caller who speaks is idle",
    find: "          !listening.isBusy() && !listening.isSpeaking()\n",
    replace: "          turns.active === undefined\n"
  },
  {
    id: "idle-hang-up-at-once",
    file: idleUser,
    what: "the first time that a caller is idle ends the session",
    find: "return hang_up_after > 0 && count >= hang_up_after",
    replace: "return hang_up_after > 0"
  },
  {
    id: "heard-above-its-bound",
    file: "packages/runtime/src/session/Heard.ts",
    what: "more than its upper bound counts as heard",
    find: "chars: Math.floor(length * clamped(heardSamples / total(usualSamplesPerChar))),",
    replace: "chars: length,"
  }
]
