import type { CallerProcess } from "./CallerProcess.ts"
import type { Recording } from "./Recording.ts"

const shown = (ms: number | undefined) => (ms === undefined ? "-" : ms.toFixed(0)).padStart(8)

/**
 * From the caller's last sample to the first sound of the reply at the caller's ear, in ms, with its parts, a line for each
 * turn that was spoken:
 *
 * - `way in`: until the agent had the sample (its frames' clock: the caller's queue, WebRTC, jitter buffer)
 * - `endpoint`: until the turn was opened (voice activity, recogniser, endpointing)
 * - `reply`: until the first voice chunk was there (model and voice)
 * - `egress`: until the agent's side took it as playing (kernel, egress queue)
 * - `way out`: until it was heard (the native client's queue, WebRTC, jitter buffer)
 *
 * It is a statement, not a test.
 */
export const describeLatency = (recording: Recording, caller: CallerProcess): string => {
  const lines = caller.all("said").flatMap((said) => {
    const opened = recording.signals("turn_open").find(({ atMs }) => atMs > said.wallMs - 500)
    if (opened === undefined) return []
    const ofTurn = (type: string) => recording.inputs(type).find(({ turn_id }) => turn_id === opened.turn_id)?.atMs
    const ended = recording.inputs("voice_activity").findLast(({ atMs, edge }) =>
      edge === "speech_ended" && atMs <= opened.atMs
    )
    const voice = recording.inputs("voice_chunk").find(({ atMs }) => atMs >= opened.atMs)?.atMs
    const playing = ofTurn("playback_started")
    const heard = caller.all("hearing").find(({ wallMs }) => wallMs > opened.atMs)?.wallMs
    const part = (from: number | undefined, to: number | undefined) =>
      from === undefined || to === undefined ? undefined : to - from
    return [
      [
        opened.turn_id ?? "",
        ...[
          part(said.wallMs, ended?.atMs),
          part(ended?.atMs, opened.atMs),
          part(opened.atMs, voice),
          part(voice, playing),
          part(playing, heard),
          part(said.wallMs, heard)
        ].map(shown)
      ].join("")
    ]
  })
  const head = ["      ", ...["off", "endpoint", "reply", "egress", "way out", "all"].map((name) => name.padStart(8))]
  return [head.join(""), ...lines].join("\n")
}
