// A caller made of plain rtc-node: it shares no code with the adapter, but for how a room's native handles are given back.
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import type { LocalTrackPublication, Room } from "@livekit/rtc-node"
import { NativeRoom } from "@rspp/transports/livekit/NativeRoom"
import { AccessToken } from "livekit-server-sdk"

const rateHz = 16_000
const frame = 320

export interface TokenOptions {
  readonly apiKey: string
  readonly apiSecret: string
  readonly room: string
  readonly identity: string
  readonly kind?: AccessToken["kind"]
}

export const mint = async (options: TokenOptions): Promise<string> => {
  const token = new AccessToken(options.apiKey, options.apiSecret, { identity: options.identity, ttl: 600 })
  token.addGrant({
    roomJoin: true,
    room: options.room,
    canPublish: true,
    canSubscribe: true,
    canPublishData: true,
    canUpdateOwnMetadata: true
  })
  if (options.kind !== undefined) token.kind = options.kind
  return await token.toJwt()
}

export interface PlainCaller {
  readonly room: Room
  /** Publishes the microphone; sound may be said from then on. */
  readonly publish: () => Promise<LocalTrackPublication>
  /** Says samples of 16 kHz in real time; done when all of them are in the queue of 100 ms. */
  readonly say: (samples: Int16Array) => Promise<void>
  /** What was heard of others so far, and when each of its 20 ms frames came (ms of `performance.now`). */
  readonly heard: () => Int16Array
  readonly heardAt: () => ReadonlyArray<number>
  /** Mutes or unmutes the microphone, as a caller's own button does. */
  readonly mute: (mute: boolean) => void
  /** Leaves, if the server has not ended it before; takes off the listeners that the client then leaves behind, and gives everything back. */
  readonly leave: () => Promise<void>
}

/** Somebody in the room who hears everybody. */
export const joinPlainCaller = async (url: string, token: string): Promise<PlainCaller> => {
  const room = new NativeRoom()
  const pieces: Array<Int16Array> = []
  const times: Array<number> = []
  const readers: Array<ReadableStreamDefaultReader<AudioFrame>> = []
  room.on(RoomEvent.TrackSubscribed, (track) => {
    if (track.kind !== TrackKind.KIND_AUDIO) return
    const reader = new AudioStream(track, { sampleRate: rateHz, numChannels: 1, frameSizeMs: 20 }).getReader()
    readers.push(reader)
    void (async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        pieces.push(next.value.data)
        times.push(performance.now())
      }
    })()
  })
  await room.connect(url, token, { autoSubscribe: true, dynacast: false })
  let source: AudioSource | undefined
  let track: LocalAudioTrack | undefined
  return {
    room,
    publish: async () => {
      source = new AudioSource(rateHz, 1, 100)
      track = LocalAudioTrack.createAudioTrack("microphone", source)
      const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
      const publication = await room.localParticipant!.publishTrack(track, options)
      await publication.waitForSubscription()
      return publication
    },
    say: async (samples) => {
      for (let at = 0; at < samples.length; at += frame) {
        const piece = new Int16Array(frame)
        piece.set(samples.subarray(at, at + frame))
        await source!.captureFrame(new AudioFrame(piece, rateHz, 1, frame))
      }
    },
    mute: (mute) => {
      // The client can do it, but has no method for it.
      const { ffi_handle } = track!
      globalThis._ffiClientInstance?.request({
        message: { case: "localTrackMute", value: { trackHandle: ffi_handle.handle, mute } }
      })
    },
    heard: () => {
      const all = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
      let at = 0
      for (const piece of pieces) {
        all.set(piece, at)
        at += piece.length
      }
      return all
    },
    heardAt: () => times.slice(),
    leave: async () => {
      await room.disconnect()
      // A stream whose track has gone together with the room is not ended by the client.
      for (const reader of readers) await reader.cancel()
      await track?.close()
      room.close()
    }
  }
}
