/** Opus packets of a WebM file, oldest first. */
export interface OpusPackets {
  readonly channels: number
  /** Samples at 48 kHz at the beginning that are not part of the recording. */
  readonly preSkip: number
  readonly packets: ReadonlyArray<Uint8Array>
}

/** The elements of a WebM file (EBML) that matter here. Those with children are entered; others are passed over. */
const entered = new Set([
  0x18538067, // Segment
  0x1f43b675, // Cluster
  0x1654ae6b, // Tracks
  0xae, // TrackEntry
  0xa0 // BlockGroup
])
const ebmlHeader = 0x1a45dfa3
const codecId = 0x86
const codecPrivate = 0x63a2
const simpleBlock = 0xa3
const block = 0xa1

/** `OpusHead`: the channels are its tenth byte, two bytes of pre-skip follow. */
const opusHead = { magic: "OpusHead", channels: 9, preSkip: 10, length: 19 } as const

/** Bits of a block's flags that say that it holds several frames. */
const lacing = 0x06

/** Length of a number of variable length by its first byte: as many bytes as there are zeros before the first one, and one. */
const lengthOf = (first: number): number => Math.clz32(first) - 23

/**
 * The packets of a recording as browsers make it (`audio/webm;codecs=opus`): one Opus track, each packet in a block of its
 * own, the lengths of segment and clusters unknown. A file that ends in the middle of a block has those before it.
 *
 * Gives a sentence that says why, when it is none.
 */
export const opusPackets = (bytes: Uint8Array): OpusPackets | string => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const packets: Array<Uint8Array> = []
  let head: Omit<OpusPackets, "packets"> | undefined
  let at = 0

  const number = (keepMarker: boolean): number | undefined => {
    const first = bytes[at]
    if (first === undefined || first === 0) return undefined
    const length = lengthOf(first)
    if (at + length > bytes.length) return undefined
    let value = keepMarker ? first : first & (0xff >> length)
    for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0)
    at += length
    return value
  }

  while (at < bytes.length) {
    const id = number(true)
    const size = number(false)
    if (id === undefined || size === undefined) break
    if (packets.length === 0 && head === undefined && at < 16 && id !== ebmlHeader) return "it is not a WebM file"
    if (entered.has(id)) continue
    const end = at + size
    if (end > bytes.length) break
    const body = bytes.subarray(at, end)
    switch (id) {
      case codecId: {
        const codec = new TextDecoder().decode(body)
        if (codec !== "A_OPUS") return `its codec is ${codec}, not A_OPUS`
        break
      }
      case codecPrivate: {
        if (size < opusHead.length || new TextDecoder().decode(body.subarray(0, 8)) !== opusHead.magic) break
        head = {
          channels: view.getUint8(at + opusHead.channels),
          preSkip: view.getUint16(at + opusHead.preSkip, true)
        }
        break
      }
      case simpleBlock:
      case block: {
        // The number of the track, two bytes of time, and the flags come before the packet.
        const header = lengthOf(body[0] ?? 0xff) + 3
        if (size <= header) break
        if (((body[header - 1] ?? 0) & lacing) !== 0) return "its blocks hold several packets"
        packets.push(body.subarray(header))
        break
      }
    }
    at = end
  }
  if (head === undefined) return "it has no Opus track"
  return { ...head, packets }
}
