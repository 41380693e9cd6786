import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"

/**
 * What one message of a vendor means: it changed the text or nothing (`heard`), it is the last one of the connection
 * (`ended`), or the call fails.
 */
export type Meaning = "heard" | "ended" | ProviderFailure

/**
 * What a vendor has heard over one connection, from its messages. One vendor's protocol, without any I/O.
 *
 * The vendor's own idea of when a turn ends decides nothing: finished text only adds up.
 */
export interface Transcript {
  readonly take: (message: string) => Meaning
  /** Text that does not change any more. */
  readonly finished: () => string
  /** What was heard after that, so far. */
  readonly interim: () => string
  /**
   * The vendor is to finish everything up to here (samples of this connection). False: that has happened already, there
   * is nothing to ask.
   */
  readonly ask: (samples: number) => boolean
  /** Whether the text is finished up to the last {@link ask}. */
  readonly isAnswered: () => boolean
}

/** Pieces of text as one, with one blank between them. */
export const joined = (...pieces: ReadonlyArray<string>): string =>
  pieces.map((piece) => piece.trim()).filter((piece) => piece !== "").join(" ")
