/** What the server does with the next call (connection, or request), instead of serving it well. */
export type Fault =
  /** First useful output comes so late. */
  | { readonly kind: "slow_first"; readonly ms: number }
  /** Nothing more after so many outputs; the connection stays. */
  | { readonly kind: "stall"; readonly after: number }
  /** The TCP connection is destroyed after so many outputs. */
  | { readonly kind: "cut"; readonly after: number }
  /** Something that is not the protocol (broken JSON, wrong frame) after so many outputs. */
  | { readonly kind: "malformed"; readonly after: number }
  /** At the HTTP level, before any output; a WebSocket upgrade is refused with it. */
  | { readonly kind: "refuse"; readonly status: number; readonly retryAfterSeconds?: number }
  /** The vendor's own in-band error, as its documentation shows it. */
  | { readonly kind: "vendor_error" }
  /** One message of that size (valid otherwise). */
  | { readonly kind: "huge"; readonly bytes: number }
  /** The final message comes twice. */
  | { readonly kind: "duplicate_final" }
  /** Goes on sending after the client cancelled, as long as the socket takes it. */
  | { readonly kind: "late_chunk" }
  /** A regular answer without any content. */
  | { readonly kind: "empty" }
  /** A page instead of the protocol. */
  | { readonly kind: "wrong_content_type" }
  /** Accepts TCP, answers nothing. */
  | { readonly kind: "unanswered" }

/** A call that the server got. */
export interface SeenCall {
  /** With its query. */
  readonly path: string
  /** The decoded request: the body, or the messages of the client so far. */
  readonly request: unknown
  /** How it ended: served, aborted by the client, or faulted; undefined while it runs. */
  readonly ended: "served" | "aborted" | "faulted" | undefined
}

/** A local server that speaks a vendor's real protocol over real sockets; it ends with its scope. */
export interface ProtocolServer {
  /** What `base_url` is to be set to. */
  readonly baseUrl: string
  /** The only key that is accepted; others get the vendor's own 401. */
  readonly key: string
  /** For the next call, in the order in which they are given; without one a call is served well. */
  readonly next: (...faults: ReadonlyArray<Fault>) => void
  /** Calls so far. */
  readonly calls: ReadonlyArray<SeenCall>
  /** TCP connections that are open now. */
  readonly openSockets: () => number
}
