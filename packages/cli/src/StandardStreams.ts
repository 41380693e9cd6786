import type { Writable } from "node:stream"

// Whoever reads our output may stop (`rspp … | head`), and the disk behind it may be full. Neither ends a call in the
// middle: what is said is lost from there on, what goes into files is not.

/** One of the standard streams, written to for as long as that can be done. */
export interface StandardStream {
  readonly write: (text: string) => void
  /** Why not everything was written; undefined also when the reader left, who wanted no more. */
  readonly failure: () => string | undefined
}

/** Takes over the stream's errors: none of them is thrown. */
export const standardStream = (stream: Writable): StandardStream => {
  let closed = false
  let failure: string | undefined
  stream.on("error", (error: NodeJS.ErrnoException) => {
    closed = true
    if (error.code !== "EPIPE") failure ??= error.message
  })
  return {
    write: (text) => {
      if (!closed) stream.write(text)
    },
    failure: () => failure
  }
}

/** The two streams of this process. */
export const standardOutput: StandardStream = standardStream(process.stdout)
export const standardError: StandardStream = standardStream(process.stderr)
