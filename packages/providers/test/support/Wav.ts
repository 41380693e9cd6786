import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The folder of the recordings of real speech. */
export const recordings = fileURLToPath(new URL("../../../../test/recordings/", import.meta.url))

/** The samples of a 16 kHz mono 16-bit WAV file of the recordings. */
export const readRecording = (name: string): Int16Array => {
  const file = readFileSync(`${recordings}${name}`)
  const data = file.indexOf("data") + 8
  return new Int16Array(
    file.buffer.slice(file.byteOffset + data, file.byteOffset + file.length - (file.length - data) % 2)
  )
}

/** What is said in each recording, from the README beside them. */
export const transcripts: Readonly<Record<string, string>> = Object.fromEntries(
  readFileSync(`${recordings}README.md`, "utf8").split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter((cells) => cells[1]?.endsWith(".wav"))
    .map((cells) => [cells[1]!, cells[2]!])
)

/** Samples of several stretches, one after the other. */
export const concat = (...parts: ReadonlyArray<Int16Array>): Int16Array => {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Digital silence of some milliseconds. */
export const silence = (ms: number): Int16Array => new Int16Array(ms * 16)

/** White noise of some milliseconds, the same each time; `level` is its peak (of 32 768). */
export const noise = (ms: number, level: number): Int16Array => {
  let state = 1
  return Int16Array.from({ length: ms * 16 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state / 0x4000_0000 - 1) * level
  })
}

/** A sine tone. */
export const tone = (ms: number, hz: number, level: number): Int16Array =>
  Int16Array.from({ length: ms * 16 }, (_, index) => Math.sin(2 * Math.PI * hz * index / 16_000) * level)
