import { gunzipSync } from "node:zlib"

/** Largest package that is looked into, unpacked, in bytes. */
const maxUnpackedBytes = 512 * 1024 * 1024

const blockBytes = 512

const field = (block: Uint8Array, from: number, length: number): string =>
  Buffer.from(block.subarray(from, from + length)).toString("utf8").replace(/\0[^]*$/u, "")

/**
 * The text of one file in a `.tgz`, as npm packs them (POSIX ustar, the path in the name and prefix fields); undefined when
 * the archive does not have it or is none.
 */
export const textInTarball = (tgz: Uint8Array, name: string): string | undefined => {
  let tar: Uint8Array
  try {
    tar = gunzipSync(tgz, { maxOutputLength: maxUnpackedBytes })
  } catch {
    return undefined
  }
  for (let at = 0; at + blockBytes <= tar.length;) {
    const header = tar.subarray(at, at + blockBytes)
    const size = Number.parseInt(field(header, 124, 12).trim(), 8)
    const prefix = field(header, 345, 155)
    const path = field(header, 0, 100)
    if (path === "" || Number.isNaN(size)) return undefined
    const start = at + blockBytes
    if ((prefix === "" ? path : `${prefix}/${path}`) === name) {
      return Buffer.from(tar.subarray(start, start + size)).toString("utf8")
    }
    at = start + Math.ceil(size / blockBytes) * blockBytes
  }
  return undefined
}
