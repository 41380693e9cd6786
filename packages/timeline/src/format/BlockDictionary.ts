import { readFileSync } from "node:fs"

/**
 * What bodies of blocks often contain: deflate may point into it, so that the first records of a recording, in which
 * everything is new, take a fraction of their size. It belongs to version 2 of the format and never changes.
 */
export const blockDictionary: Uint8Array = readFileSync(new URL("dictionary-2.bin", import.meta.url))
