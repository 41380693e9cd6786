// What LiveKit's native client keeps of a room that was joined and left, without any of RSPP's code.
//
//   node --expose-gc test/soak/nativeMemory.ts [--rooms N]
import {
  AudioFrame,
  AudioSource,
  dispose,
  LocalAudioTrack,
  Room,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { AccessToken } from "livekit-server-sdk"
import { optionsOf } from "../support/Options.ts"

const { whole } = optionsOf({ rooms: { type: "string", default: "100" } })
const server = await liveKitServer()
if ("missing" in server) {
  console.error(`not run: ${server.missing}`)
  process.exit(68)
}
const residentMb = (): number => {
  globalThis.gc?.()
  return Math.round(process.memoryUsage().rss / 1e6)
}
const joinAndLeave = async (name: string): Promise<void> => {
  const token = new AccessToken(server.apiKey, server.apiSecret, { identity: "somebody" })
  token.addGrant({ roomJoin: true, room: name })
  const room = new Room()
  await room.connect(server.url, await token.toJwt(), { autoSubscribe: true, dynacast: false })
  const source = new AudioSource(16_000, 1, 100)
  const track = LocalAudioTrack.createAudioTrack("microphone", source)
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
  await room.localParticipant?.publishTrack(track, options)
  for (let i = 0; i < 5; i++) await source.captureFrame(new AudioFrame(new Int16Array(320), 16_000, 1, 320))
  await track.close()
  await room.disconnect()
}
const rooms = whole("rooms")
// What the first ones need is needed once.
for (let i = 0; i < 30; i++) await joinAndLeave(`first-${i}`)
const before = residentMb()
for (let i = 0; i < rooms; i++) await joinAndLeave(`room-${i}`)
const after = residentMb()
console.log(`${rooms} rooms: ${before} to ${after} MB resident, ${((after - before) / rooms).toFixed(2)} MB a room`)
await dispose()
await server.stop()
