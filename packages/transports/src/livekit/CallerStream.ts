import { AudioStream } from "@livekit/rtc-node"
import type { RemoteTrack } from "@livekit/rtc-node"
import { frameMs, sampleRateHz } from "@rspp/runtime/ports/AudioFrame"

/**
 * Reads a track as 16 kHz mono frames of 20 ms, as fast as they come: the native client's stream queues without bound when
 * its reader stalls. Ends when the track does, or when the returned function is called; then nothing more is told.
 */
export const readCallerStream = (
  track: RemoteTrack,
  on: { readonly frame: (samples: Int16Array) => void; readonly end: () => void }
): () => void => {
  const stream = new AudioStream(track, { sampleRate: sampleRateHz, numChannels: 1, frameSizeMs: frameMs })
  const reader = stream.getReader()
  let over = false
  const read = async () => {
    try {
      while (!over) {
        const { done, value } = await reader.read()
        if (over || done) break
        on.frame(value.data)
      }
    } catch {
      // A stream that breaks has ended.
    }
    if (over) return
    over = true
    on.end()
  }
  void read()
  return () => {
    over = true
    // It may be closed already, by the track's own end.
    reader.cancel().catch(() => {})
  }
}
