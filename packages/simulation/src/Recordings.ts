import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { TimelineEncoder } from "@rspp/timeline/format/TimelineEncoder"
import { preambleOf } from "@rspp/timeline/format/TimelineFormat"
import type { Emission } from "@rspp/timeline/recorder/RecordAssembler"
import { StrictReplay } from "@rspp/timeline/replay/StrictReplay"
import * as Effect from "effect/Effect"
import type { Violation } from "./checkers/Checker.ts"
import type { RandomStream } from "./RandomStreams.ts"

/** The kernel that recordings are replayed with: stateless but for its sessions, so one for the process. */
let kernels: SessionKernel["Service"] | undefined
const kernel = (): SessionKernel["Service"] => {
  kernels ??= Effect.runSync(Effect.provide(SessionKernel, SessionKernel.layer))
  return kernels
}

/** R01: the recorded inputs suffice to execute the session again, and everything that comes out is the same. */
export const checkReplay = (
  header: TimelineHeader,
  records: ReadonlyArray<TimelineRecord>
): ReadonlyArray<Violation> => {
  const replay = new StrictReplay(kernel(), header, records)
  replay.run(Number.POSITIVE_INFINITY)
  const { divergence } = replay
  if (divergence === undefined) return []
  const message = `the replay diverges: ${divergence.divergence_class} ${divergence.message}`
  return [{ rule: "R01", message }]
}

/** A recording whose file ends somewhere, because the process died while it was written. */
export interface TornFile {
  readonly header: TimelineHeader
  readonly bytes: Uint8Array
  /** The records that it has whole. */
  readonly whole: ReadonlyArray<TimelineRecord>
}

/** What is left of a recording. The seed says where it ends: behind its header, in the middle of a record or not. */
export const torn = (header: TimelineHeader, disk: ReadonlyArray<Emission>, stream: RandomStream): TornFile => {
  const encoder = new TimelineEncoder(header.format_version)
  const preamble = preambleOf(header.format_version)
  const frames = [preamble, encoder.encode([[header]]), ...disk.map(({ records }) => encoder.encode([records]))]
  const bytes = Buffer.concat(frames)
  const least = preamble.length + (frames[1]?.length ?? 0)
  const at = stream.between(least, bytes.length - 1)
  const whole: Array<TimelineRecord> = []
  let end = least
  for (const [index, emission] of disk.entries()) {
    end += frames[index + 2]?.length ?? 0
    if (end > at) break
    whole.push(...emission.records)
  }
  return { header, bytes: bytes.subarray(0, at), whole }
}

const decode = (bytes: Uint8Array) => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  return decoder.finish()
}

/**
 * R02: a recording that ends in the middle of a record is read up to there, whole and unchanged, and says that it is
 * torn; what is left of a complete one still replays.
 */
export const checkTorn = (
  { bytes, header, whole }: TornFile,
  complete: boolean,
  reader = decode
): ReadonlyArray<Violation> => {
  const at = bytes.length
  const read = reader(bytes)
  if (read.is !== "timeline") return [{ rule: "R02", message: `cut at byte ${at} it is no timeline any more` }]
  const { records, tear } = read.timeline
  if (canonicalJson(records) !== canonicalJson(whole)) {
    return [{ rule: "R02", message: `cut at byte ${at} it has ${records.length} records, ${whole.length} were whole` }]
  }
  if (tear === undefined && records.at(-1)?.record !== "end") {
    return [{ rule: "R02", message: `cut at byte ${at} it does not say that it is torn` }]
  }
  if (!complete) return []
  return checkReplay(header, records).map(({ message }) => ({ rule: "R02", message: `torn at byte ${at}: ${message}` }))
}
