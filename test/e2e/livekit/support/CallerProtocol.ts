import type { Heard } from "./Ear.ts"

/** What the caller is told to do: a JSON object on a line of its standard input. Done in order, one after the other. */
export type CallerCommand =
  /**
   * Joins, and publishes a microphone unless `mic` is false. First. `preConnect` is a WAV that was recorded before: the
   * microphone announces it, and the first agent who comes is sent it.
   */
  | {
    readonly do: "join"
    readonly url: string
    readonly token: string
    readonly mic?: boolean
    readonly preConnect?: string
  }
  /** Says a WAV of 16 kHz mono, after what is being said. `said` tells when its last sample has left. */
  | { readonly do: "say"; readonly file: string; readonly id?: string }
  | { readonly do: "tone"; readonly hz: number; readonly ms: number; readonly id?: string }
  | { readonly do: "silence"; readonly ms: number; readonly id?: string }
  /** Gives up what is being said and what is still to be said. */
  | { readonly do: "hush" }
  | { readonly do: "mute" }
  | { readonly do: "unmute" }
  /** The microphone delivers nothing any more, not even silence; and again. */
  | { readonly do: "hold" }
  | { readonly do: "release" }
  | {
    readonly do: "text"
    readonly topic: string
    readonly text: string
    readonly attributes?: Readonly<Record<string, string>>
    readonly to?: string
  }
  /** Sends a WAV as audio that was recorded before the agent came. */
  | { readonly do: "preConnect"; readonly file: string; readonly to?: string }
  | { readonly do: "data"; readonly topic: string; readonly text: string }
  | { readonly do: "dtmf"; readonly code: number; readonly digit: string }
  | { readonly do: "attributes"; readonly set: Readonly<Record<string, string>> }
  /** `signal`: the signalling connection is closed, and resumed. `full`: everything is connected anew. */
  | { readonly do: "simulate"; readonly what: "signal" | "full" }
  /** Writes what was heard (mono) and both sides (caller left, the others right) so far. */
  | { readonly do: "write"; readonly heard?: string; readonly stereo?: string }
  /** Leaves the room, and ends with exit code 0. */
  | { readonly do: "leave" }

interface Attributes {
  readonly [name: string]: string
}

/** What the caller tells: a JSON object on a line of its standard output. */
export type CallerNews =
  | { readonly event: "ready" }
  | { readonly event: "joined"; readonly room: string; readonly identity: string; readonly tookMs: number }
  | { readonly event: "joinFailed"; readonly message: string }
  | {
    readonly event: "participant"
    readonly identity: string
    readonly sid: string
    readonly kind: string
    readonly attributes: Attributes
  }
  | { readonly event: "participantLeft"; readonly identity: string; readonly sid: string; readonly reason: string }
  | {
    readonly event: "attributes"
    readonly identity: string
    readonly changed: Attributes
    readonly all: Attributes
  }
  | {
    readonly event: "track" | "trackGone"
    readonly sid: string
    readonly identity: string
    readonly kind: string
    readonly source: string
  }
  | { readonly event: "trackMuted" | "trackUnmuted"; readonly sid: string; readonly identity: string }
  | { readonly event: "published"; readonly sid: string }
  /** The agent (or another) has subscribed to the caller's microphone. */
  | { readonly event: "micSubscribed" }
  /** The microphone was published again after everything was connected anew. */
  | { readonly event: "republished"; readonly sid: string }
  /** The first sample of what was to be said leaves this process. */
  | { readonly event: "saying"; readonly id: string }
  /** The last one does. So long before was the last of them that can be heard. */
  | { readonly event: "said"; readonly id: string; readonly quietMs: number }
  /** A text stream: its attributes, each piece of it, and the whole. `stream` names it. */
  | {
    readonly event: "textOpened"
    readonly topic: string
    readonly stream: string
    readonly from: string
    readonly attributes: Attributes
  }
  | { readonly event: "textPiece"; readonly stream: string; readonly text: string }
  | {
    readonly event: "text"
    readonly topic: string
    readonly stream: string
    readonly from: string
    readonly attributes: Attributes
    readonly text: string
    readonly pieces: number
    /** Why it ended before its end. */
    readonly broken?: string
  }
  | {
    readonly event: "bytes"
    readonly topic: string
    readonly from: string
    readonly mime: string
    readonly attributes: Attributes
    readonly size: number
  }
  | { readonly event: "data"; readonly topic: string; readonly from: string; readonly text: string }
  | ({ readonly event: "hearing" | "heard"; readonly track: string; readonly identity: string } & Heard)
  | { readonly event: "connection"; readonly state: "reconnecting" | "reconnected" }
  | { readonly event: "disconnected"; readonly reason: string }
  | { readonly event: "done"; readonly command: string }
  | { readonly event: "failed"; readonly command: string; readonly message: string }

/** News with its time: by the monotonic clock of the caller's process, and by the machine's. */
export type CallerEvent = CallerNews & { readonly monoMs: number; readonly wallMs: number }
