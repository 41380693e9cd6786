// A caller in a LiveKit room, as a process of its own, on nothing but @livekit/rtc-node: it shares no code with the
// transport that it is there to test. Run by CallerProcess.ts:
//
//   node caller.ts     commands on standard input, news on standard output, a JSON object on a line each (CallerProtocol.ts)
//
// It ends with exit code 0 after `leave`, and at once when its standard input ends, so that it never outlives a test.
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  DisconnectReason,
  dispose,
  LocalAudioTrack,
  ParticipantKind,
  Room,
  RoomEvent,
  SimulateScenarioKind,
  TrackKind,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import type {
  ByteStreamReader,
  Participant,
  RemoteParticipant,
  RemoteTrack,
  TextStreamReader,
  TrackPublication
} from "@livekit/rtc-node"
import { createInterface } from "node:readline"
import type { CallerCommand, CallerNews } from "./CallerProtocol.ts"
import { Ear } from "./Ear.ts"
import { readWave, writeWave } from "./Waves.ts"

const rate = 16_000
const frameSamples = rate / 50
/** The microphone's queue, ms. Long enough that this process may be held up so long without a gap in what it says. */
const micQueueMs = 200
/** Longest call that is kept for the files. */
const keptSamples = 30 * 60 * rate
const audibleFrom = 256
const gapMs = 300

const tell = (news: CallerNews, monoMs = performance.now()) => {
  const wallMs = performance.timeOrigin + monoMs
  process.stdout.write(`${JSON.stringify({ ...news, monoMs: round(monoMs), wallMs: round(wallMs) })}\n`)
}
const round = (ms: number) => Math.round(ms * 10) / 10
const wordsOf = (error: unknown) => error instanceof Error ? error.message : String(error)

/** One side of the call as it went, from the moment of joining. */
class Side {
  private samples = new Int16Array(rate * 60)
  private end = 0

  /** Puts samples where their end was at `endMs`, ms after joining. */
  put(piece: Int16Array, endMs: number) {
    const at = Math.max(Math.round((endMs * rate) / 1000) - piece.length, 0)
    const to = at + piece.length
    if (to > keptSamples) return
    if (to > this.samples.length) {
      const larger = new Int16Array(Math.min(Math.max(this.samples.length * 2, to), keptSamples))
      larger.set(this.samples)
      this.samples = larger
    }
    this.samples.set(piece, at)
    this.end = Math.max(this.end, to)
  }

  get all(): Int16Array {
    return this.samples.subarray(0, this.end)
  }
}

/** Everything that was heard, one after the other, as it was received. */
class Tape {
  private readonly pieces: Array<Int16Array> = []
  private length = 0

  put(piece: Int16Array) {
    if (this.length + piece.length > keptSamples) return
    this.pieces.push(piece)
    this.length += piece.length
  }

  get all(): Int16Array {
    const all = new Int16Array(this.length)
    let at = 0
    for (const piece of this.pieces) {
      all.set(piece, at)
      at += piece.length
    }
    return all
  }
}

const room = new Room()
const tape = new Tape()
const said = new Side()
const others = new Side()
let joinedMs = 0

// The microphone

interface Utterance {
  readonly id: string
  readonly samples: Int16Array
  at: number
}

const source = new AudioSource(rate, 1, micQueueMs)
const utterances: Array<Utterance> = []
let held = false
/** When the last sample that was captured leaves the native queue, by the best that can be known here. */
let leavesMs = 0

const nextFrame = (): { readonly frame: Int16Array; readonly first?: Utterance; readonly last?: Utterance } => {
  const frame = new Int16Array(frameSamples)
  const utterance = utterances[0]
  if (utterance === undefined) return { frame }
  const piece = utterance.samples.subarray(utterance.at, utterance.at + frameSamples)
  frame.set(piece)
  const first = utterance.at === 0 ? { first: utterance } : {}
  utterance.at += frameSamples
  if (utterance.at < utterance.samples.length) return { frame, ...first }
  utterances.shift()
  return { frame, ...first, last: utterance }
}

/** The only writer of the source; the native client paces it. */
const speak = async () => {
  for (;;) {
    if (held) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      continue
    }
    const { first, frame, last } = nextFrame()
    const beginsMs = Math.max(leavesMs, performance.now())
    await source.captureFrame(new AudioFrame(frame, rate, 1, frameSamples))
    // It waits in the queue, but never for longer than the queue is.
    leavesMs = Math.min(beginsMs + 20, performance.now() + micQueueMs)
    said.put(frame, leavesMs - joinedMs)
    if (first !== undefined) tell({ event: "saying", id: first.id }, leavesMs - 20)
    if (last !== undefined) {
      const padding = (frameSamples - (last.samples.length % frameSamples)) % frameSamples
      const quiet = last.samples.length - 1 - last.samples.findLastIndex((sample) => Math.abs(sample) >= audibleFrom)
      tell({ event: "said", id: last.id, quietMs: round(((quiet + padding) * 1000) / rate) }, leavesMs)
    }
  }
}

const toneOf = (hz: number, ms: number) =>
  Int16Array.from(
    { length: Math.round((ms * rate) / 1000) },
    (_, i) => Math.round(8_000 * Math.sin((2 * Math.PI * hz * i) / rate))
  )

const recorded = (file: string) => {
  const wave = readWave(file)
  if (wave.rate !== rate || wave.channels !== 1) throw new Error(`${file} is not of ${rate} Hz and one channel`)
  return wave.samples
}

// The ears

const listen = async (track: RemoteTrack, sid: string, identity: string) => {
  const ear = new Ear({
    rate,
    threshold: audibleFrom,
    gapMs,
    onBegan: (heard) => tell({ event: "hearing", track: sid, identity, ...rounded(heard) }, heard.beganMs),
    onEnded: (heard) => tell({ event: "heard", track: sid, identity, ...rounded(heard) })
  })
  const reader = new AudioStream(track, { sampleRate: rate, numChannels: 1, frameSizeMs: 10 }).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const endMs = ear.push(value.data, performance.now())
    tape.put(value.data)
    others.put(value.data, endMs - joinedMs)
  }
  ear.close()
}

const rounded = <A extends { readonly [K in keyof A]: number }>(times: A): A =>
  Object.fromEntries(Object.entries<number>(times).map(([name, ms]) => [name, round(ms)])) as A

// The room

/**
 * What the client made for the room, to the end of this process: what of it is collected after dispose() would end it before.
 */
const made: Array<Participant | TrackPublication | RemoteTrack> = []

const meet = (participant: Participant) => {
  made.push(participant)
  tell({
    event: "participant",
    identity: participant.identity,
    sid: participant.sid ?? "",
    kind: ParticipantKind[participant.kind] ?? String(participant.kind),
    attributes: participant.attributes
  })
}

const trackNews = (publication: TrackPublication, { identity }: Participant) => ({
  sid: publication.sid ?? "",
  identity,
  kind: TrackKind[publication.kind ?? TrackKind.KIND_UNKNOWN],
  source: TrackSource[publication.source ?? TrackSource.SOURCE_UNKNOWN]
})

const reasonOf = (reason: DisconnectReason | undefined) =>
  reason === undefined ? "UNKNOWN_REASON" : DisconnectReason[reason]

const readText = async (reader: TextStreamReader, from: string) => {
  const { attributes = {}, streamId: stream, topic } = reader.info
  tell({ event: "textOpened", topic, stream, from, attributes })
  const pieces: Array<string> = []
  let broken: { readonly broken?: string } = {}
  try {
    for await (const text of reader) {
      pieces.push(text)
      tell({ event: "textPiece", stream, text })
    }
  } catch (error) {
    broken = { broken: wordsOf(error) }
  }
  // The end of the stream may have added attributes.
  const all = reader.info.attributes ?? {}
  tell({ event: "text", topic, stream, from, attributes: all, text: pieces.join(""), pieces: pieces.length, ...broken })
}

const readBytes = async (reader: ByteStreamReader, from: string) => {
  const { attributes = {}, mimeType, topic } = reader.info
  const size = (await reader.readAll()).reduce((sum, piece) => sum + piece.length, 0)
  tell({ event: "bytes", topic, from, mime: mimeType, attributes, size })
}

room
  .on(RoomEvent.ParticipantConnected, meet)
  .on(RoomEvent.ParticipantDisconnected, (participant: RemoteParticipant) =>
    tell({
      event: "participantLeft",
      identity: participant.identity,
      sid: participant.sid ?? "",
      reason: reasonOf(participant.disconnectReason)
    }))
  .on(
    RoomEvent.ParticipantAttributesChanged,
    (changed, participant) =>
      tell({ event: "attributes", identity: participant.identity, changed, all: participant.attributes })
  )
  .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
    made.push(track, publication)
    tell({ event: "track", ...trackNews(publication, participant) })
    if (track.kind === TrackKind.KIND_AUDIO) void listen(track, publication.sid ?? "", participant.identity)
  })
  .on(
    RoomEvent.TrackUnsubscribed,
    (_, publication, participant) => tell({ event: "trackGone", ...trackNews(publication, participant) })
  )
  .on(
    RoomEvent.TrackMuted,
    (publication, { identity }) => tell({ event: "trackMuted", sid: publication.sid ?? "", identity })
  )
  .on(
    RoomEvent.TrackUnmuted,
    (publication, { identity }) => tell({ event: "trackUnmuted", sid: publication.sid ?? "", identity })
  )
  .on(RoomEvent.LocalTrackSubscribed, () => tell({ event: "micSubscribed" }))
  .on(RoomEvent.LocalTrackRepublished, ({ sid }) => tell({ event: "republished", sid: sid ?? "" }))
  .on(RoomEvent.DataReceived, (payload, participant, _, topic) =>
    tell({
      event: "data",
      topic: topic ?? "",
      from: participant?.identity ?? "",
      text: new TextDecoder().decode(payload)
    }))
  .on(RoomEvent.Reconnecting, () => tell({ event: "connection", state: "reconnecting" }))
  .on(RoomEvent.Reconnected, () => tell({ event: "connection", state: "reconnected" }))
  .on(RoomEvent.Disconnected, (reason) => tell({ event: "disconnected", reason: reasonOf(reason) }))
for (const topic of ["lk.transcription", "lk.chat"]) {
  room.registerTextStreamHandler(topic, (reader, { identity }) => void readText(reader, identity))
}
room.registerByteStreamHandler(
  "lk.agent.pre-connect-audio-buffer",
  (reader, { identity }) => void readBytes(reader, identity)
)

let mic: LocalAudioTrack | undefined

const local = () => {
  if (room.localParticipant === undefined) throw new Error("not in a room")
  return room.localParticipant
}

/** What a browser's mute button does. The package has no method for it; its native library does. */
const setMuted = (mute: boolean) => {
  if (mic === undefined) throw new Error("there is no microphone")
  globalThis._ffiClientInstance?.request({
    message: { case: "localTrackMute", value: { trackHandle: mic.ffi_handle.handle, mute } }
  })
}

type CommandOf<Name extends CallerCommand["do"]> = Extract<CallerCommand, { readonly do: Name }>

const join = async ({ mic: withMic = true, preConnect: recording, token, url }: CommandOf<"join">) => {
  const startedMs = performance.now()
  await room.connect(url, token, { autoSubscribe: true, dynacast: false })
  joinedMs = performance.now()
  tell({ event: "joined", room: room.name ?? "", identity: local().identity, tookMs: round(joinedMs - startedMs) })
  for (const participant of room.remoteParticipants.values()) meet(participant)
  if (!withMic) return
  mic = LocalAudioTrack.createAudioTrack("microphone", source)
  const published = await local().publishTrack(
    mic,
    new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE, preconnectBuffer: recording !== undefined })
  )
  tell({ event: "published", sid: published.sid ?? "" })
  if (recording !== undefined) sendToFirstAgent(recording)
  void speak().catch((error: unknown) => tell({ event: "failed", command: "speak", message: wordsOf(error) }))
}

const preConnect = async (file: string, to: string | undefined) => {
  const samples = recorded(file)
  const writer = await local().streamBytes({
    name: "preconnect-buffer",
    mimeType: `audio/pcm;rate=${rate};channels=1`,
    topic: "lk.agent.pre-connect-audio-buffer",
    attributes: {
      sampleRate: String(rate),
      channels: "1",
      trackId: [...local().trackPublications.keys()][0] ?? ""
    },
    ...(to === undefined ? {} : { destinationIdentities: [to] })
  })
  await writer.write(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength))
  await writer.close()
}

/** As LiveKit's clients do: to the first agent, as soon as it is there. */
const sendToFirstAgent = (file: string) => {
  const send = (participant: Participant) => {
    if (participant.kind !== ParticipantKind.AGENT) return false
    room.off(RoomEvent.ParticipantConnected, send)
    preConnect(file, participant.identity).then(
      () => tell({ event: "done", command: "preConnect" }),
      (error: unknown) => tell({ event: "failed", command: "preConnect", message: wordsOf(error) })
    )
    return true
  }
  if (![...room.remoteParticipants.values()].some(send)) room.on(RoomEvent.ParticipantConnected, send)
}

const write = (heard: string | undefined, stereo: string | undefined) => {
  if (heard !== undefined) writeWave(heard, { rate, channels: 1, samples: tape.all })
  if (stereo === undefined) return
  const [left, right] = [said.all, others.all]
  const samples = new Int16Array(Math.max(left.length, right.length) * 2)
  for (const [i, sample] of left.entries()) samples[i * 2] = sample
  for (const [i, sample] of right.entries()) samples[i * 2 + 1] = sample
  writeWave(stereo, { rate, channels: 2, samples })
}

const utter = (samples: Int16Array, id: string) => {
  if (samples.length === 0) throw new Error("there is nothing to say")
  utterances.push({ id, samples, at: 0 })
}

const run = async (command: CallerCommand): Promise<void> => {
  switch (command.do) {
    case "join":
      return await join(command)
    case "say":
      return utter(recorded(command.file), command.id ?? command.file)
    case "tone":
      return utter(toneOf(command.hz, command.ms), command.id ?? "tone")
    case "silence":
      return utter(new Int16Array(Math.round((command.ms * rate) / 1000)), command.id ?? "silence")
    case "hush":
      utterances.length = 0
      return
    case "mute":
      return setMuted(true)
    case "unmute":
      return setMuted(false)
    case "hold":
      held = true
      return
    case "release":
      held = false
      return
    case "text": {
      const { attributes, text, to, topic } = command
      await local().sendText(text, {
        topic,
        ...(attributes === undefined ? {} : { attributes }),
        ...(to === undefined ? {} : { destinationIdentities: [to] })
      })
      return
    }
    case "preConnect":
      return await preConnect(command.file, command.to)
    case "data":
      return await local().publishData(new TextEncoder().encode(command.text), { reliable: true, topic: command.topic })
    case "dtmf":
      return await local().publishDtmf(command.code, command.digit)
    case "attributes":
      return await local().setAttributes(command.set)
    case "simulate":
      return await room.simulateScenario(
        command.what === "full"
          ? SimulateScenarioKind.SIMULATE_FULL_RECONNECT
          : SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT
      )
    case "write":
      return write(command.heard, command.stereo)
    case "leave":
      await room.disconnect()
      await dispose()
  }
}

const lines = createInterface({ input: process.stdin })
tell({ event: "ready" })
for await (const line of lines) {
  const command = JSON.parse(line) as CallerCommand
  try {
    await run(command)
    tell({ event: "done", command: command.do })
  } catch (error) {
    const message = wordsOf(error).replace(/eyJ[\w.-]+/gu, "a token")
    tell(command.do === "join" ? { event: "joinFailed", message } : { event: "failed", command: command.do, message })
  }
  if (command.do === "leave") break
}
process.exit(0)
