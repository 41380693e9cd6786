// What LiveKit's native client keeps of a room that was joined and left, without the rest of RSPP.
//
//   node --expose-gc test/soak/nativeMemory.ts [--rooms N]
//
// Says what the last two thirds of the rooms kept outside of V8's heap, which grows and shrinks as it sees fit: what is needed
// once has been taken by then.
import { AudioFrame, AudioSource, dispose, LocalAudioTrack, TrackPublishOptions, TrackSource } from "@livekit/rtc-node"
import { NativeRoom } from "@rspp/transports/livekit/NativeRoom"
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { AccessToken } from "livekit-server-sdk"
import { optionsOf } from "../support/Options.ts"

const { whole } = optionsOf({ rooms: { type: "string", default: "300" } })
const server = await liveKitServer()
if ("missing" in server) {
  console.error(`not run: ${server.missing}`)
  process.exit(68)
}
const memory = () => {
  globalThis.gc?.()
  const { heapTotal, rss } = process.memoryUsage()
  return (rss - heapTotal) / 1e6
}
const joinAndLeave = async (name: string): Promise<void> => {
  const token = new AccessToken(server.apiKey, server.apiSecret, { identity: "somebody" })
  token.addGrant({ roomJoin: true, room: name })
  const room = new NativeRoom()
  await room.connect(server.url, await token.toJwt(), { autoSubscribe: true, dynacast: false })
  const source = new AudioSource(16_000, 1, 100)
  const track = LocalAudioTrack.createAudioTrack("microphone", source)
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
  await room.localParticipant?.publishTrack(track, options)
  for (let i = 0; i < 5; i++) await source.captureFrame(new AudioFrame(new Int16Array(320), 16_000, 1, 320))
  await track.close()
  await room.disconnect()
  room.close()
}
const third = Math.ceil(whole("rooms") / 3)
const seen = [memory()]
for (let i = 0; i < 3 * third; i++) {
  await joinAndLeave(`room-${i}`)
  if ((i + 1) % third === 0) seen.push(memory())
}
const [, from, , to] = seen
if (from !== undefined && to !== undefined) {
  const list = seen.map((mb) => mb.toFixed(0)).join(", ")
  console.log(`${third} rooms at a time, MB resident outside of V8's heap: ${list}`)
  console.log(`${((to - from) / (2 * third)).toFixed(2)} MB a room`)
}
await dispose()
await server.stop()
