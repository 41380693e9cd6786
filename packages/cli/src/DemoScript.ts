import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"

/** The recordings that come with RSPP. */
const recordings = new URL("../../../test/recordings/", import.meta.url)

/** The fifth turn of the conversation is one too many: a quota refuses it before it opens. */
export const demoQuota = 4

/** When the caller cuts in, ms after the agent began: in its second sentence. */
const cutAfterMs = 2500

/** The refusal has no sound; so long after the last words the caller hangs up, ms. */
const hangUpAfterMs = 3000

/** The shipped conversation. */
export const demoScript = Effect.fnUntraced(function*() {
  const say = (name: string) =>
    Effect.map(readAudioFile(fileURLToPath(new URL(name, recordings))), ({ samples }) => samples)
  return makeCallScript([
    { say: yield* say("goforward.wav") },
    { say: yield* say("something.wav") },
    { say: yield* say("vm-savefolder.wav") },
    { say: yield* say("librivox-0880.wav"), at: { after: "agent_started", delay_ms: cutAfterMs } },
    { say: yield* say("conf-getpin.wav") }
  ], { hang_up: { after: "previous", delay_ms: hangUpAfterMs } })
})
