// Writes the recording of a scripted session as lines of canonical JSON: `node recording.ts <turns> <seed>`.
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import type { Script } from "./Script.ts"
import { conversation } from "./Script.ts"
import { scriptedSession } from "./ScriptedSession.ts"
import type { ScriptedTimeline } from "./ScriptedSession.ts"

/** A conversation with everything that is drawn by seed: jitter, late timers, shuffled ties, a cut and a failing call. */
export const busyScript = (turns: number, seed: number): Script => ({
  ...conversation(turns, seed),
  speech: (conversation(turns, seed).speech ?? []).flatMap((speech, turn) =>
    turn % 3 === 1 ? [speech, { atMs: speech.atMs + speech.lastsMs + 1300, lastsMs: 900, words: 3 }] : [speech]
  ),
  jitterMs: 12,
  timerLatenessMs: 3,
  shuffleTies: true,
  faults: [{ modality: "llm", call: 3, outcome: "overload", retryable: true }]
})

export const recordingText = ({ header, records }: ScriptedTimeline): string =>
  [header, ...records].map((record) => `${canonicalJson(record)}\n`).join("")

if (import.meta.main) {
  const [turns = 3, seed = 1] = process.argv.slice(2).map(Number)
  const program = SessionKernel.use((kernels) =>
    Effect.sync(() => process.stdout.write(recordingText(scriptedSession(kernels, busyScript(turns, seed)))))
  )
  await Effect.runPromise(Effect.provide(program, SessionKernel.layer))
}
