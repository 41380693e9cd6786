import { DisconnectReason, ParticipantKind } from "@livekit/rtc-node"

/** How long a caller who was cut off may take to come back, ms: as long as LiveKit's own client tries. */
export const defaultCallerReturnMs = 20_000

/**
 * How long a caller who left may take to come back, ms. A client that makes its connection anew from nothing leaves first,
 * in the same words as one that hangs up, and joins again at once: browsers and native clients do (`sendLeave` in
 * client-sdk-js RTCEngine.restartConnection). On loopback it is back after 0.1 s.
 */
export const defaultCallerLeaveMs = 2_000

/** How long an agent waits for somebody to come at all, ms: a telephone may ring for minutes. */
export const defaultCallerWaitMs = 300_000

/** A participant, as far as it matters to who is linked. */
export interface Person {
  readonly identity: string
  readonly kind: ParticipantKind
}

/** What becomes of the caller: linked for the first time, cut off, back again, or gone for good. */
export type CallerChange =
  | { readonly type: "linked"; readonly identity: string }
  | { readonly type: "away"; readonly identity: string }
  | { readonly type: "back"; readonly identity: string }
  | { readonly type: "gone"; readonly message: string }

type State =
  | { readonly at: "waiting"; readonly sinceMs: number }
  | { readonly at: "present"; readonly identity: string }
  | { readonly at: "away"; readonly identity: string; readonly sinceMs: number; readonly left: boolean }
  | { readonly at: "gone"; readonly identity: string | undefined }

const callerKinds: ReadonlySet<ParticipantKind> = new Set([
  ParticipantKind.STANDARD,
  ParticipantKind.SIP,
  ParticipantKind.CONNECTOR
])

/** Who left for one of these reasons does not come back. */
const forGood: ReadonlySet<DisconnectReason> = new Set([
  DisconnectReason.ROOM_DELETED,
  DisconnectReason.USER_REJECTED
])

/**
 * Which participant a session is about: the first that is a person or a telephone, until it is gone for good.
 *
 * - P1. The caller never changes to another identity.
 * - P2. `gone` is the last change, and comes once.
 *
 * Pure: times are given. Nobody within `waitMs`, nobody back within `returnMs`, or within `leaveMs` after leaving, counts as
 * gone. While our own connection is being made nobody can be seen to come: {@link resumed} begins those times anew.
 */
export class LinkedCaller {
  readonly #returnMs: number
  readonly #leaveMs: number
  readonly #waitMs: number
  readonly #wanted: string | undefined
  #state: State

  constructor(
    nowMs: number,
    options?: {
      readonly returnMs?: number | undefined
      readonly leaveMs?: number | undefined
      readonly waitMs?: number | undefined
      /** Only this participant is the caller, of whatever kind. */
      readonly identity?: string | undefined
    }
  ) {
    this.#returnMs = options?.returnMs ?? defaultCallerReturnMs
    this.#leaveMs = options?.leaveMs ?? defaultCallerLeaveMs
    this.#waitMs = options?.waitMs ?? defaultCallerWaitMs
    this.#wanted = options?.identity
    this.#state = { at: "waiting", sinceMs: nowMs }
  }

  /** The identity of the caller, also while it is away or gone; undefined while nobody has come. */
  get identity(): string | undefined {
    return this.#state.at === "waiting" ? undefined : this.#state.identity
  }

  get present(): boolean {
    return this.#state.at === "present"
  }

  /** Somebody is in the room, or came into it. */
  came(person: Person): CallerChange | undefined {
    const state = this.#state
    const { identity, kind } = person
    if (state.at === "waiting") {
      if (this.#wanted === undefined ? !callerKinds.has(kind) : identity !== this.#wanted) return undefined
      this.#state = { at: "present", identity }
      return { type: "linked", identity }
    }
    if (state.at !== "away" || state.identity !== identity) return undefined
    this.#state = { at: "present", identity }
    return { type: "back", identity }
  }

  /** Somebody left. */
  left(identity: string, reason: DisconnectReason | undefined, nowMs: number): CallerChange | undefined {
    const state = this.#state
    if (state.at !== "present" || state.identity !== identity) return undefined
    if (reason !== undefined && forGood.has(reason)) return this.#gone("The caller left.")
    this.#state = { at: "away", identity, sinceMs: nowMs, left: reason === DisconnectReason.CLIENT_INITIATED }
    return { type: "away", identity }
  }

  /** Our own connection is there again: from now on people can be seen to come. */
  resumed(nowMs: number): void {
    const state = this.#state
    if (state.at === "waiting" || state.at === "away") this.#state = { ...state, sinceMs: nowMs }
  }

  /** Time has passed. */
  tick(nowMs: number): CallerChange | undefined {
    const state = this.#state
    if (state.at === "waiting" && nowMs - state.sinceMs >= this.#waitMs) {
      return this.#gone(`Nobody came within ${this.#waitMs} ms.`)
    }
    if (state.at !== "away") return undefined
    const awayMs = nowMs - state.sinceMs
    if (state.left && awayMs >= this.#leaveMs) return this.#gone("The caller left.")
    if (awayMs >= this.#returnMs) {
      return this.#gone(`The caller was cut off and did not come back within ${this.#returnMs} ms.`)
    }
    return undefined
  }

  #gone(message: string): CallerChange {
    this.#state = { at: "gone", identity: this.identity }
    return { type: "gone", message }
  }
}
