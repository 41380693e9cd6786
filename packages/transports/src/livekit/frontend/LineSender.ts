import { TrackSource } from "@livekit/rtc-node"
import type { RemoteParticipant, TextStreamWriter } from "@livekit/rtc-node"
import type { RoomPlace } from "../RoomExtension.ts"
import type { Said } from "./CallerWords.ts"
import type { Line } from "./TranscriptOutbox.ts"

/** Topic of the text streams, and their attributes. */
export const transcriptionTopic = "lk.transcription"
export const segmentAttribute = "lk.segment_id"
export const finalAttribute = "lk.transcription_final"
export const trackAttribute = "lk.transcribed_track_id"

interface OpenReply {
  readonly replyId: string
  /** Absent after its stream broke. */
  readonly writer: TextStreamWriter | undefined
  /** All that was said of it. */
  readonly text: string
}

/**
 * Sends lines of transcript into a room, one after the other.
 *
 * A stream that breaks is begun again once: that of a reply with its whole text so far, which front ends put in the place
 * of what they have of the segment; one of the caller only when it is final. What fails then is counted.
 */
export class LineSender {
  readonly #place: RoomPlace
  readonly #speaker: () => RemoteParticipant | undefined
  #reply: OpenReply | undefined
  #failed = 0
  #why = ""

  /** `speaker`: who the caller's words are shown as. */
  constructor(place: RoomPlace, speaker: () => RemoteParticipant | undefined) {
    this.#place = place
    this.#speaker = speaker
  }

  /** Lines that could not be sent, and why the last of them could not. */
  get failed(): number {
    return this.#failed
  }

  get why(): string {
    return this.#why
  }

  /** Never rejects. */
  async send(line: Line): Promise<void> {
    try {
      if (line.who === "agent") await this.#agent(line)
      else await this.#caller(line.said)
    } catch (error) {
      this.#failed += 1
      this.#why = error instanceof Error ? error.message : "a stream broke"
    }
  }

  async #caller({ final, text, utteranceId }: Said): Promise<void> {
    const speaker = this.#speaker()
    if (speaker === undefined) throw new Error("nobody is linked whose words these could be")
    const microphone = [...speaker.trackPublications.values()].find(({ source }) =>
      source === TrackSource.SOURCE_MICROPHONE
    )
    const whole = async () => {
      const writer = await this.#open(speaker.identity, utteranceId, final, microphone?.sid)
      if (text !== "") await writer.write(text)
      await writer.close()
    }
    try {
      await whole()
    } catch (error) {
      if (!final) throw error
      await whole()
    }
  }

  async #agent({ end, replyId, text }: Extract<Line, { readonly who: "agent" }>): Promise<void> {
    if (this.#reply !== undefined && this.#reply.replyId !== replyId) await this.#close()
    const before = this.#reply
    const reply = { replyId, text: (before?.text ?? "") + text }
    this.#reply = { ...reply, writer: before?.writer }
    try {
      if (text !== "" || before?.writer === undefined) await this.#write(reply, before?.writer, text)
    } catch {
      this.#reply = { ...reply, writer: undefined }
      await this.#write(reply, undefined, reply.text)
    }
    if (end) await this.#close()
  }

  async #write(reply: Omit<OpenReply, "writer">, open: TextStreamWriter | undefined, text: string): Promise<void> {
    const agent = this.#place.room.localParticipant?.identity ?? ""
    const writer = open ?? await this.#open(agent, reply.replyId, false, this.#place.agentTrackSid())
    this.#reply = { ...reply, writer }
    // A new stream takes the place of what front ends have of the segment.
    const rest = open === undefined ? reply.text : text
    if (rest !== "") await writer.write(rest)
  }

  async #close(): Promise<void> {
    const writer = this.#reply?.writer
    this.#reply = undefined
    await writer?.close()
  }

  #open(senderIdentity: string, segment: string, final: boolean, track: string | undefined): Promise<TextStreamWriter> {
    const { localParticipant } = this.#place.room
    if (localParticipant === undefined) throw new Error("the room is not connected")
    return localParticipant.streamText({
      topic: transcriptionTopic,
      senderIdentity,
      attributes: {
        [segmentAttribute]: segment,
        [finalAttribute]: String(final),
        ...(track === undefined ? {} : { [trackAttribute]: track })
      }
    })
  }
}
