import { readFile } from "node:fs/promises"

/** The SHA-256 of bytes, in lower-case hex; computed off the main thread. */
export const sha256OfBytes = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex")

/** The SHA-256 of a file, in lower-case hex. Reads the whole file (the largest model is 44 MB). */
export const sha256Of = async (path: string): Promise<string> => sha256OfBytes(new Uint8Array(await readFile(path)))
