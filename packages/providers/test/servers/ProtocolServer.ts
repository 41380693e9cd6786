/** What the server does with the next call (connection, or request), instead of serving it well. */
export type Fault =
  | { readonly kind: "slow_first"; readonly ms: number } // first useful output comes so late
  | { readonly kind: "stall"; readonly after: number } // nothing more after so many outputs; the connection stays
  | { readonly kind: "cut"; readonly after: number } // the TCP connection is destroyed after so many outputs
  | { readonly kind: "malformed"; readonly after: number } // something that is not the protocol (broken JSON, wrong frame)
  | { readonly kind: "refuse"; readonly status: number; readonly retryAfterSeconds?: number } // at the HTTP level, before any output; a WebSocket upgrade is refused with it
  | { readonly kind: "vendor_error" } // the vendor's own in-band error, as its documentation shows it
  | { readonly kind: "huge"; readonly bytes: number } // one message of that size (valid otherwise)
  | { readonly kind: "duplicate_final" }
  | { readonly kind: "late_chunk" } // goes on sending after the client cancelled, as long as the socket takes it
  | { readonly kind: "empty" }
  | { readonly kind: "wrong_content_type" }
  | { readonly kind: "unanswered" } // accepts TCP, answers nothing

/** How a call ended: served to its end, left by the client, or broken by its {@link Fault}. */
export type CallEnd = "served" | "aborted" | "faulted"

/** One call that the server got. */
export interface SeenCall {
  /** With the query. */
  readonly path: string
  /** The decoded body of a request, or the client's messages of a WebSocket call so far. */
  readonly request: unknown
  /** Undefined while it runs. */
  readonly ended: CallEnd | undefined
}

/** A server that speaks a vendor's public protocol over real sockets on 127.0.0.1. */
export interface ProtocolServer {
  /** What `base_url` is to be set to. */
  readonly baseUrl: string
  /** The only key that is accepted; others get the vendor's own 401. */
  readonly key: string
  /** For the next call, in the order in which they are given; without one a call is served well. */
  readonly next: (...faults: ReadonlyArray<Fault>) => void
  /** Calls so far: path, the decoded request (body, or messages of the client), how it ended. */
  readonly calls: ReadonlyArray<SeenCall>
  /** TCP connections that are open now. */
  readonly openSockets: () => number
}
