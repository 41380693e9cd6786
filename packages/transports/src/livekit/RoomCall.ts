import { DisconnectReason, RoomEvent, TrackKind, TrackSource } from "@livekit/rtc-node"
import type {
  LocalTrackPublication,
  Participant,
  RemoteParticipant,
  RemoteTrack,
  RemoteTrackPublication,
  Room,
  TrackPublication
} from "@livekit/rtc-node"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { ConnectionState, TransportFailure, TransportIngress } from "@rspp/runtime/ports/Transport"
import { CallerAudio, preConnectWaitMs } from "./CallerAudio.ts"
import { readCallerStream } from "./CallerStream.ts"
import { CaptureWatch, stuckCaptureMs } from "./CaptureWatch.ts"
import { type CallerChange, LinkedCaller } from "./LinkedCaller.ts"
import { LineStatistics } from "./LineStatistics.ts"
import { LineWatch } from "./LineWatch.ts"
import type { RoomAudioOutput } from "./RoomAudioOutput.ts"
import type { RoomExtension } from "./RoomExtension.ts"
import { redactedText, roomFailure, roomLoss } from "./RoomFailure.ts"

/** How often time is looked at, ms. */
export const tickMs = 100

/** How often loss and jitter are read, ms; each second when the line is quiet. */
const statisticsMs = 2_000
const quietStatisticsMs = 1_000

/** Ticks without a frame after which silence is filled in: 0.3 s without a stream, 1 s with one. */
const fillTicks = { without: 3, within: 10 }

const maxNotices = 100

/** `AudioTrackFeature.TF_PRECONNECT_BUFFER` of LiveKit's protocol: audio from before the agent came will follow. */
const preConnectFeature = 6

/** How a call in a room ended: in good order, or by a loss. */
export type CallEnd = { readonly kind: "ended" } | { readonly kind: "lost"; readonly failure: TransportFailure }

export interface RoomCallOptions {
  readonly room: Room
  readonly output: RoomAudioOutput
  readonly publication: LocalTrackPublication
  readonly extensions: ReadonlyArray<RoomExtension>
  readonly nowMs: () => number
  /** How long the first frame waits for a listener who is in the room, ms. */
  readonly subscriptionMs: number
  readonly callerIdentity?: string | undefined
  readonly callerReturnMs?: number | undefined
  readonly callerLeaveMs?: number | undefined
  readonly callerWaitMs?: number | undefined
  readonly silenceMs?: number | undefined
  readonly stallMs?: number | undefined
}

const isMicrophone = ({ kind, source }: TrackPublication): boolean =>
  kind === TrackKind.KIND_AUDIO && (source === TrackSource.SOURCE_MICROPHONE || source === TrackSource.SOURCE_UNKNOWN)

/** Samples that are not all zero: somebody sent them. */
const sounds = (samples: Int16Array): boolean => {
  for (const sample of samples) if (sample !== 0) return true
  return false
}

/**
 * One call in a joined room: turns what happens there into what a session is told (F6).
 *
 * - C1. `connected` is told when the caller is there, and again whenever it is there again.
 * - C2. `reconnecting` while our own connection is made again; `disconnected` when the caller is cut off, or our own
 *   connection is lost for good; `silence` and `stall` as `LineWatch` says.
 * - C3. The end of the audio and `ended` come once, last, when the caller left for good or the room was closed.
 * - C4. After `stop`, and after the end, nothing is told any more.
 */
export class RoomCall {
  readonly audio: CallerAudio
  readonly statistics = new LineStatistics()
  readonly notices: Array<string> = []
  reconnects = 0
  returns = 0
  silences = 0
  stalls = 0
  readonly #options: RoomCallOptions
  readonly #room: Room
  readonly #output: RoomAudioOutput
  readonly #caller: LinkedCaller
  readonly #line: LineWatch
  readonly #captures = new CaptureWatch(2 * tickMs)
  readonly #off: Array<() => void> = []
  #ingress: TransportIngress | undefined
  #onEnd: ((end: CallEnd) => void) | undefined
  #told: ConnectionState | undefined
  #reconnecting = false
  #microphone: RemoteTrackPublication | undefined
  #stopReading: (() => void) | undefined
  #ticksWithoutFrame = 0
  #linkedMs: number | undefined
  #subscribed = false
  #readingStatistics = false
  #statisticsMs = 0
  /** What became of the caller before the call began. */
  readonly #early: Array<CallerChange> = []
  /** The reason of a disconnection, also of one before the call began. */
  #lost: DisconnectReason | undefined

  constructor(options: RoomCallOptions) {
    const now = options.nowMs()
    this.#options = options
    this.#room = options.room
    this.#output = options.output
    this.#caller = new LinkedCaller(now, {
      identity: options.callerIdentity,
      returnMs: options.callerReturnMs,
      leaveMs: options.callerLeaveMs,
      waitMs: options.callerWaitMs
    })
    this.#line = new LineWatch(options)
    this.#statisticsMs = now
    this.audio = new CallerAudio((frame) => this.#ingress?.audio(frame) ?? false, (task) => setImmediate(task))
    this.#output.hold("nobody listens")
    const gone = (reason: DisconnectReason) => {
      this.#lost = reason
      this.#disconnected(reason)
    }
    this.#room.on(RoomEvent.Disconnected, gone)
    this.#off.push(() => this.#room.off(RoomEvent.Disconnected, gone))
    this.#listen()
    this.#lookAround()
  }

  /** The caller, while that participant is in the room. */
  readonly caller = (): RemoteParticipant | undefined => {
    const { identity, present } = this.#caller
    return present && identity !== undefined ? this.#room.remoteParticipants.get(identity) : undefined
  }

  get callerIdentity(): string | undefined {
    return this.#caller.identity
  }

  /** Delivers from now on; `onEnd` is called once, unless the call is stopped before. */
  start(ingress: TransportIngress, onEnd: (end: CallEnd) => void): void {
    this.#ingress = ingress
    this.#onEnd = onEnd
    const lost = this.#lost ?? (this.#room.isConnected ? undefined : DisconnectReason.UNKNOWN_REASON)
    if (lost !== undefined) return this.#disconnected(lost)
    for (const change of this.#early.splice(0)) this.#changed(change)
    if (this.#onEnd === undefined) return
    if (this.#reconnecting) this.#tell("reconnecting")
    void this.#awaitListener()
    this.#lookAround()
  }

  /** Nothing is told any more. */
  stop(): void {
    for (const off of this.#off.splice(0)) off()
    this.#stopReading?.()
    this.#stopReading = undefined
    this.audio.stop(false)
    this.#ingress = undefined
    this.#onEnd = undefined
  }

  notice(text: string): void {
    if (this.notices.length < maxNotices) this.notices.push(text)
  }

  /** Time has passed: deadlines, silence, statistics. */
  tick(): void {
    if (this.#onEnd === undefined) return
    const now = this.#options.nowMs()
    // Without a connection nobody can be seen to come; it is made in time, or lost.
    if (!this.#reconnecting) this.#changed(this.#caller.tick(now))
    if (this.#captures.isStuck(this.#output.waitedMs(), now)) {
      this.#lose(roomFailure(`The native client did not take the agent's audio within ${stuckCaptureMs} ms.`))
    }
    this.#ticksWithoutFrame += 1
    const patience = this.#stopReading === undefined ? fillTicks.without : fillTicks.within
    if (this.#ticksWithoutFrame >= patience) this.audio.fill(now)
    this.#lineIs(this.#line.tick(now))
    this.#listened()
    const quiet = this.#line.quietMs(now) >= quietStatisticsMs
    if (now - this.#statisticsMs >= (quiet ? quietStatisticsMs : statisticsMs)) void this.#readStatistics(now)
  }

  #listen(): void {
    const room = this.#room
    const came = (person: RemoteParticipant) => this.#changed(this.#caller.came(person))
    const left = ({ disconnectReason, identity }: RemoteParticipant) =>
      this.#changed(this.#caller.left(identity, disconnectReason, this.#options.nowMs()))
    const published = (_: RemoteTrackPublication, { identity }: RemoteParticipant) => this.#publications(identity)
    const subscribed = (track: RemoteTrack, publication: RemoteTrackPublication) => {
      if (publication.sid === this.#microphone?.sid) this.#read(track)
    }
    const unsubscribed = (_: RemoteTrack, publication: RemoteTrackPublication) => this.#microphoneGone(publication)
    const unpublished = (publication: RemoteTrackPublication) => this.#microphoneGone(publication)
    const muted = (publication: TrackPublication, { identity }: Participant) => {
      if (identity === this.#caller.identity && publication.sid === this.#microphone?.sid) this.#expectAudio()
    }
    const failed = (sid: string, _: RemoteParticipant, reason?: string) => {
      if (sid === this.#microphone?.sid) {
        this.notice(`The caller's microphone cannot be heard: ${redactedText(reason ?? "unknown")}.`)
      }
    }
    const reconnecting = () => {
      this.#reconnecting = true
      this.#output.hold("reconnecting")
      this.#expectAudio()
      this.#tell("reconnecting")
    }
    const reconnected = () => {
      this.#reconnecting = false
      this.reconnects += 1
      this.#caller.resumed(this.#options.nowMs())
      this.#output.release("reconnecting")
      // A subscription that is asked for while everything is connected anew may be lost with the session before.
      if (this.#stopReading === undefined) this.#microphone?.setSubscribed(true)
      this.#lookAround()
      if (this.#caller.present) this.#tell("connected")
    }
    // Its listeners are to subscribe anew, and what is said before they have is lost.
    const republished = () => {
      this.#subscribed = false
      if (this.#linkedMs !== undefined) this.#linkedMs = this.#options.nowMs()
      this.#output.hold("nobody listens")
    }
    const heard = () => {
      this.#subscribed = true
      this.#listened()
    }
    room.on(RoomEvent.LocalTrackRepublished, republished).on(RoomEvent.LocalTrackSubscribed, heard)
    this.#off.push(() => {
      room.off(RoomEvent.LocalTrackRepublished, republished).off(RoomEvent.LocalTrackSubscribed, heard)
    })
    room.on(RoomEvent.ParticipantConnected, came).on(RoomEvent.ParticipantDisconnected, left)
      .on(RoomEvent.TrackPublished, published).on(RoomEvent.TrackUnpublished, unpublished)
      .on(RoomEvent.TrackSubscribed, subscribed).on(RoomEvent.TrackUnsubscribed, unsubscribed)
      .on(RoomEvent.TrackMuted, muted).on(RoomEvent.TrackUnmuted, muted)
      .on(RoomEvent.TrackSubscriptionFailed, failed)
      .on(RoomEvent.Reconnecting, reconnecting).on(RoomEvent.Reconnected, reconnected)
    this.#off.push(() => {
      room.off(RoomEvent.ParticipantConnected, came).off(RoomEvent.ParticipantDisconnected, left)
        .off(RoomEvent.TrackPublished, published).off(RoomEvent.TrackUnpublished, unpublished)
        .off(RoomEvent.TrackSubscribed, subscribed).off(RoomEvent.TrackUnsubscribed, unsubscribed)
        .off(RoomEvent.TrackMuted, muted).off(RoomEvent.TrackUnmuted, muted)
        .off(RoomEvent.TrackSubscriptionFailed, failed)
        .off(RoomEvent.Reconnecting, reconnecting).off(RoomEvent.Reconnected, reconnected)
    })
  }

  /** Who is there, and who is not there any more, as far as no event has said so. */
  #lookAround(): void {
    const { identity, present } = this.#caller
    if (present && identity !== undefined && !this.#room.remoteParticipants.has(identity)) {
      this.#changed(this.#caller.left(identity, undefined, this.#options.nowMs()))
    }
    for (const person of this.#room.remoteParticipants.values()) this.#changed(this.#caller.came(person))
    if (this.#caller.identity !== undefined) this.#publications(this.#caller.identity)
  }

  #changed(change: CallerChange | undefined): void {
    if (change === undefined) return
    if (this.#onEnd === undefined) return void this.#early.push(change)
    switch (change.type) {
      case "linked":
      case "back": {
        if (change.type === "back") this.returns += 1
        this.#linkedMs ??= this.#options.nowMs()
        const person = this.caller()
        if (person !== undefined) { for (const { linked } of this.#options.extensions) linked?.(person) }
        this.#tell("connected")
        return this.#publications(change.identity)
      }
      case "away":
        this.#dropMicrophone()
        return this.#tell("disconnected")
      case "gone":
        return this.#finish(change.message)
    }
  }

  #publications(identity: string): void {
    if (this.#onEnd === undefined || this.#microphone !== undefined) return
    if (identity !== this.#caller.identity || !this.#caller.present) return
    const person = this.#room.remoteParticipants.get(identity)
    for (const publication of person?.trackPublications.values() ?? []) {
      if (!isMicrophone(publication)) continue
      this.#microphone = publication
      if (publication.track === undefined) publication.setSubscribed(true)
      else this.#read(publication.track)
      return this.#expectAudio()
    }
  }

  #read(track: RemoteTrack): void {
    this.#stopReading?.()
    this.audio.restarted()
    const early = this.#options.extensions.flatMap(({ preConnectAudio }) =>
      preConnectAudio === undefined ? [] : [preConnectAudio]
    )
    if (early.length > 0) {
      const features = this.#microphone?.info?.audioFeatures ?? []
      const announced = features.some((feature: number) => feature === preConnectFeature)
      const ready = () => early.map((audio) => audio()).find((samples) => samples !== undefined)
      this.audio.awaitEarlier(ready, this.#options.nowMs() + (announced ? preConnectWaitMs : 0))
    }
    this.#stopReading = readCallerStream(track, {
      frame: (samples) => {
        if (samples.length !== frameSamples) return
        const now = this.#options.nowMs()
        this.#ticksWithoutFrame = 0
        if (sounds(samples)) this.#lineIs(this.#line.alive(now))
        this.audio.arrived(samples, now)
      },
      end: () => {
        this.#stopReading = undefined
      }
    })
    this.#expectAudio()
  }

  #microphoneGone({ sid }: TrackPublication): void {
    if (this.#microphone === undefined || sid !== this.#microphone.sid) return
    this.#dropMicrophone()
    // Another may be there already.
    const identity = this.#caller.identity
    if (identity !== undefined) this.#publications(identity)
  }

  #dropMicrophone(): void {
    this.#stopReading?.()
    this.#stopReading = undefined
    this.#microphone = undefined
    this.#expectAudio()
  }

  /** Whether audio is to come: the caller is there, and its microphone is open. */
  #expectAudio(): void {
    const expected = this.#caller.present && !this.#reconnecting && this.#microphone !== undefined &&
      this.#microphone.muted !== true
    this.#lineIs(this.#line.expect(expected, this.#options.nowMs()))
  }

  #lineIs(state: ReturnType<LineWatch["tick"]>): void {
    switch (state) {
      case undefined:
        return
      case "silence":
        this.silences += 1
        return this.#tell("silence")
      case "stall":
        this.stalls += 1
        return this.#tell("stall")
      case "live":
        // A line of which nothing is expected any more has said why already.
        if (this.#told === "silence" || this.#told === "stall") this.#tell("connected")
    }
  }

  async #awaitListener(): Promise<void> {
    await this.#options.publication.waitForSubscription()
    this.#subscribed = true
    this.#listened()
  }

  /** Somebody hears the agent, or nobody will in time: its voice may begin. */
  #listened(): void {
    const waited = this.#linkedMs === undefined ? 0 : this.#options.nowMs() - this.#linkedMs
    const overdue = waited >= this.#options.subscriptionMs
    if (!this.#caller.present && this.#linkedMs === undefined) return
    if (!this.#subscribed && !overdue) return
    if (!this.#subscribed) this.notice(`Nobody subscribed to the agent's track within ${waited} ms.`)
    this.#subscribed = true
    this.#output.release("nobody listens")
  }

  async #readStatistics(now: number): Promise<void> {
    if (this.#readingStatistics || !this.#room.isConnected) return
    this.#readingStatistics = true
    this.#statisticsMs = now
    try {
      const reading = await this.#room.getRtcStats()
      if (this.statistics.take(reading)) this.#lineIs(this.#line.alive(this.#options.nowMs()))
    } catch {
      // The room is gone; that is told elsewhere.
    } finally {
      this.#readingStatistics = false
    }
  }

  #tell(state: ConnectionState): void {
    if (state === this.#told || this.#ingress === undefined) return
    this.#told = state
    this.#ingress.connection(state)
  }

  #disconnected(reason: DisconnectReason): void {
    const loss = roomLoss(reason)
    if (loss.kind === "ended") this.#finish(loss.message)
    else this.#lose(roomFailure(loss.message))
  }

  /** The caller is gone for good: everything that was heard is delivered, then the end. */
  #finish(message: string): void {
    const ingress = this.#ingress
    const onEnd = this.#onEnd
    if (ingress === undefined || onEnd === undefined) return
    this.notice(message)
    this.audio.stop(true)
    ingress.audioEnded()
    this.#tell("ended")
    // Told before: captures that wait fail now, which is no fault of a call that has ended.
    this.#output.close(roomFailure(`The call has ended. ${message}`))
    this.stop()
    onEnd({ kind: "ended" })
  }

  #lose(failure: TransportFailure): void {
    // From here on nothing leaves, whoever is told when.
    this.#output.close(failure)
    const onEnd = this.#onEnd
    if (onEnd === undefined) return
    this.notice(failure.message)
    this.audio.stop(true)
    this.#tell("disconnected")
    this.stop()
    onEnd({ kind: "lost", failure })
  }
}
