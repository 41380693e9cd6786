import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import type { Scope } from "effect"
import type { Failures } from "./Failures.ts"
import { detailOf } from "./Failures.ts"

/** The vendor closed the connection by itself. What that means is for the adapter to say. */
export class VendorClosed extends Data.TaggedError("VendorClosed")<{
  readonly code: number
  /** One line, without what looks like a secret. */
  readonly reason: string
}> {}

/** A WebSocket to a vendor, open for as long as its scope. */
export interface VendorSocket {
  /** Sends one frame; waits while the transport is full. Fails when the connection is gone. */
  readonly send: (frame: string | Uint8Array) => Effect.Effect<void, ProviderFailure>
  /** The frames that have come since, at least one, in order; waits for it. Reading stops while nobody asks: nothing piles up. */
  readonly receive: Effect.Effect<ReadonlyArray<string | Uint8Array>, ProviderFailure | VendorClosed>
}

export interface VendorSocketOptions {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: ReadonlyArray<string>
  readonly connectMs: number
  readonly failures: Failures
}

/** How long a vendor may take to close after it was told to, ms; then the connection is cut. */
export const closeWithinMs = 500

interface Cuttable {
  readonly terminate: () => void
}

const isCuttable = (socket: object): socket is Cuttable =>
  "terminate" in socket && typeof socket.terminate === "function"

/** Tells the vendor goodbye, without waiting for it; a connection that stays open all the same is cut. */
const leave = (socket: Socket.WebSocketLike): void => {
  if (socket.readyState === 3) return
  socket.close(1000)
  if (!isCuttable(socket)) return
  const cut = setTimeout(() => socket.terminate(), closeWithinMs)
  cut.unref()
  socket.addEventListener("close", () => clearTimeout(cut), { once: true })
}

const textOf = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null) return ""
  const { error, message } = cause as { readonly error?: unknown; readonly message?: unknown }
  if (typeof message === "string" && message !== "") return message
  return error === undefined ? "" : textOf(error)
}

const failureOfOpening = (
  { cause, kind }: Extract<Socket.SocketErrorReason, { readonly _tag: "SocketOpenError" }>,
  failures: Failures,
  connectMs: number
): ProviderFailure => {
  if (kind === "Timeout") return failures.connectLate(connectMs)
  const [, status, after] = /unexpected server response: (\d{3})(?:, retry after (\d+))?/iu.exec(textOf(cause)) ?? []
  if (status === undefined) return failures.unreachable
  return failures.status(Number(status), after === undefined ? undefined : Number(after) * 1000)
}

/**
 * Connects to a vendor within `connectMs` (I-SOCKET-BOUND: connecting, closing and what waits to be read are bounded).
 *
 * Interrupting it, or the end of the scope, closes the connection at once; after {@link closeWithinMs} it is cut. A
 * refused upgrade fails with what its status means.
 */
export const openVendorSocket = (
  { connectMs, failures, headers, protocols, url }: VendorSocketOptions
): Effect.Effect<VendorSocket, ProviderFailure, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function*() {
    const construct = yield* Socket.WebSocketConstructor
    const acquire = Effect.acquireRelease(
      Effect.sync(() =>
        construct(url, {
          ...(headers === undefined ? {} : { headers }),
          ...(protocols === undefined ? {} : { protocols: [...protocols] })
        })
      ),
      (socket) => Effect.sync(() => leave(socket))
    )
    const socket = yield* Socket.fromWebSocket(acquire, { openTimeout: connectMs })
    const { pull } = yield* Effect.mapError(
      socket.reader,
      ({ reason }) =>
        reason._tag === "SocketOpenError" ? failureOfOpening(reason, failures, connectMs) : failures.unreachable
    )
    const { write } = yield* socket.writer
    let gone = false
    yield* Effect.addFinalizer(() => Effect.sync(() => void (gone = true)))
    const ended = ({ reason }: Socket.SocketError): ProviderFailure | VendorClosed => {
      gone = true
      // 1006: the connection went without a goodbye; 1009: the message was too long to be taken.
      return reason._tag === "SocketCloseError" && reason.code !== 1006
        ? new VendorClosed({ code: reason.code, reason: detailOf(reason.closeReason ?? "") })
        : failures.broken
    }
    return {
      // A writer of Effect waits for the next connection when this one is gone; there is none.
      send: (frame) =>
        Effect.suspend(() =>
          gone ? Effect.fail(failures.broken) : Effect.mapError(write(frame), () => failures.broken)
        ),
      receive: Effect.mapError(pull, ended)
    }
  })
