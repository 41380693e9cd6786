import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { FileSystem } from "effect"
import { Effect } from "effect"
import { partsOf } from "../../format/support/Frames.ts"
import { makeHeader } from "../../recorder/support/Fixture.ts"
import { recording, usualSession } from "../../recorder/support/Recording.ts"
import type { Script } from "../../recorder/support/Script.ts"

export const header = makeHeader()

/** The key that the fixture's recordings are stored under. */
export const recordedKey = { tenant_id: header.tenant_id, session_id: header.session_id }

const play = (turns: number) => (script: Script) => {
  for (let turn = 0; turn < turns; turn++) usualSession(script)
}

/** The bytes of a whole recording, and where each of its frames ends; the first end is that of the header. */
export const recordedBytes = (turns: number): { readonly bytes: Uint8Array; readonly ends: ReadonlyArray<number> } => {
  const frames: ReadonlyArray<ReadonlyArray<TimelineRecord>> = recording(play(turns)).frames
  const parts = partsOf(frames)
  const ends: Array<number> = []
  let at = 0
  for (const part of parts) {
    at += part.length
    ends.push(at)
  }
  return { bytes: Buffer.concat([...parts]), ends: ends.slice(1) }
}

/** Writes the first `length` bytes, and zeros behind them as a recorder that is still writing does. */
export const writeGrown = (fs: FileSystem.FileSystem, path: string, bytes: Uint8Array, length: number) =>
  Effect.suspend(() => fs.writeFile(path, Buffer.concat([bytes.subarray(0, length), new Uint8Array(4096)])))
