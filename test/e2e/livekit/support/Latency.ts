import type { CallerProcess } from "./CallerProcess.ts"
import type { Recording } from "./Recording.ts"

const shown = (ms: number | undefined) => (ms === undefined ? "-" : ms.toFixed(0)).padStart(9)

/**
 * From the last sound of what the caller said to the first of the reply at the caller's ear, in ms, with its parts, a line
 * for each turn that was spoken:
 *
 * - `way in`: until the agent's voice activity had heard the end: WebRTC, jitter buffer, and the quiet that makes an end
 * - `endpoint`: until the turn was opened: recogniser, endpointing
 * - `reply`: until the first sound of the voice was there: model and voice
 * - `kernel`: until it was in the egress queue, which plays
 * - `way out`: until it was heard: egress queue, WebRTC, jitter buffer
 *
 * Each thing that was said must have become a turn. It is a statement, not a test.
 */
export const describeLatency = (recording: Recording, caller: CallerProcess): string => {
  const lines = caller.all("said").flatMap((said, i) => {
    const endedMs = said.wallMs - said.quietMs
    const opened = recording.signals("turn_open")[i]
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
          part(endedMs, ended?.atMs),
          part(ended?.atMs, opened.atMs),
          part(opened.atMs, voice),
          part(voice, playing),
          part(playing, heard),
          part(endedMs, heard)
        ].map(shown)
      ].join("")
    ]
  })
  const head = [
    "      ",
    ...["way in", "endpoint", "reply", "kernel", "way out", "all"].map((name) => name.padStart(9))
  ]
  return [head.join(""), ...lines].join("\n")
}
