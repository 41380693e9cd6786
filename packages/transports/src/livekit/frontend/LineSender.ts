import type { Said } from "./CallerWords.ts"
import type { Line } from "./TranscriptOutbox.ts"

/** Topic of the text streams, and their attributes. */
export const transcriptionTopic = "lk.transcription"
export const segmentAttribute = "lk.segment_id"
export const finalAttribute = "lk.transcription_final"
export const trackAttribute = "lk.transcribed_track_id"

/** Somebody who speaks in a room. */
export interface Speaker {
  readonly identity: string
  /** The track of its microphone, if it has one. */
  readonly trackSid: string | undefined
}

/** A text stream that is being written. */
export interface LineStream {
  readonly write: (text: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Where lines go. */
export interface LinePlace {
  /** Whose words the caller's are; undefined: nobody is linked. */
  readonly caller: () => Speaker | undefined
  readonly agent: () => Speaker | undefined
  readonly open: (options: {
    readonly topic: string
    readonly senderIdentity: string
    readonly attributes: Record<string, string>
  }) => Promise<LineStream>
}

interface OpenReply {
  readonly replyId: string
  /** Absent after its stream broke. */
  readonly stream: LineStream | undefined
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
  readonly #place: LinePlace
  #reply: OpenReply | undefined
  #failed = 0
  #why = ""

  constructor(place: LinePlace) {
    this.#place = place
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
    const whole = async () => {
      const stream = await this.#open(this.#place.caller(), utteranceId, final)
      if (text !== "") await stream.write(text)
      await stream.close()
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
    const open = this.#reply?.stream
    const said = (this.#reply?.text ?? "") + text
    // Until the words are in a stream, that stream is not to be gone on with.
    this.#reply = { replyId, text: said, stream: undefined }
    const stream = await this.#more(open, replyId, said, text).catch(() => this.#more(undefined, replyId, said, text))
    this.#reply = { replyId, text: said, stream }
    if (end) await this.#close()
  }

  /** The stream that has all that was said now: the open one with `text` added, or a new one. */
  async #more(open: LineStream | undefined, replyId: string, said: string, text: string): Promise<LineStream> {
    const stream = open ?? await this.#open(this.#place.agent(), replyId, false)
    // A new stream takes the place of what front ends have of the segment.
    const rest = open === undefined ? said : text
    if (rest !== "") await stream.write(rest)
    return stream
  }

  async #close(): Promise<void> {
    const stream = this.#reply?.stream
    this.#reply = undefined
    await stream?.close()
  }

  async #open(speaker: Speaker | undefined, segment: string, final: boolean): Promise<LineStream> {
    if (speaker === undefined) throw new Error("nobody is there whose words these could be")
    return await this.#place.open({
      topic: transcriptionTopic,
      senderIdentity: speaker.identity,
      attributes: {
        [segmentAttribute]: segment,
        [finalAttribute]: String(final),
        ...(speaker.trackSid === undefined ? {} : { [trackAttribute]: speaker.trackSid })
      }
    })
  }
}
