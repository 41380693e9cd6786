import type { Issue } from "@rspp/contracts/Artifact"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { Effect, FileSystem, Option, Schema } from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { Timeline } from "./TimelineDecoder.ts"
import { TimelineDecoder } from "./TimelineDecoder.ts"
import { readableVersions } from "./TimelineFormat.ts"

export type { Tear, Timeline } from "./TimelineDecoder.ts"

/** There is no file at `path`. */
export class TimelineMissing extends Schema.TaggedError<TimelineMissing>()("TimelineMissing", {
  path: Schema.String,
  message: Schema.String
}) {}

/** The file at `path` is there but cannot be read: a directory, no permission, a fault of the disk. */
export class TimelineUnreadable extends Schema.TaggedError<TimelineUnreadable>()("TimelineUnreadable", {
  path: Schema.String,
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** The file holds no bytes. */
export class TimelineEmpty extends Schema.TaggedError<TimelineEmpty>()("TimelineEmpty", {
  path: Schema.String,
  message: Schema.String
}) {}

/** The file does not begin like a timeline. */
export class NotATimeline extends Schema.TaggedError<NotATimeline>()("NotATimeline", {
  path: Schema.String,
  message: Schema.String
}) {}

/** The file is a timeline of a version that this program does not read. */
export class UnknownTimelineVersion extends Schema.TaggedError<UnknownTimelineVersion>()("UnknownTimelineVersion", {
  path: Schema.String,
  version: Schema.String,
  readable: Schema.Array(Schema.Number),
  message: Schema.String
}) {}

/** The file begins like a timeline, but its first frame, the header, cannot be read. */
export class TimelineWithoutHeader extends Schema.TaggedError<TimelineWithoutHeader>()("TimelineWithoutHeader", {
  path: Schema.String,
  offset: Schema.Number,
  message: Schema.String
}) {}

/** A record is whole but breaks the contract; only a validating read looks. */
export class InvalidTimelineRecord extends Schema.TaggedError<InvalidTimelineRecord>()("InvalidTimelineRecord", {
  path: Schema.String,
  /** Byte offset of the record's frame. */
  offset: Schema.Number,
  /** Number of the record, the header being 0. */
  ordinal: Schema.Number,
  message: Schema.String
}) {}

export type TimelineError =
  | TimelineMissing
  | TimelineUnreadable
  | TimelineEmpty
  | NotATimeline
  | UnknownTimelineVersion
  | TimelineWithoutHeader
  | InvalidTimelineRecord

export interface ReadOptions {
  /** Judge every record by the contract and fail with {@link InvalidTimelineRecord} at the first that breaks it. */
  readonly validate?: boolean
}

/** Bytes that are asked of the disk at once. */
const chunkBytes = 256 * 1024

interface InvalidRecord {
  readonly offset: number
  readonly ordinal: number
  readonly kind: string
  readonly issues: ReadonlyArray<Issue>
}

const inspectRecord = (record: unknown, offset: number, ordinal: number): InvalidRecord | undefined => {
  const verdict = validate(ordinal === 0 ? "timeline_header" : "timeline_record", record)
  const kind = (record as { readonly record: string }).record
  return verdict.ok ? undefined : { offset, ordinal, kind, issues: verdict.issues }
}

/**
 * Reads a timeline file: everything up to the first frame that is cut off or damaged, which is named in `tear`.
 *
 * Use it for `replay`, `timeline show`, exports and gates. It holds one frame (≤ 16 MB) besides the records. A file that
 * is still being written, or whose writer was killed, reads as a timeline with a tear. It never changes the file.
 *
 * @example
 * const { header, records, tear } = yield* read("call.timeline", { validate: true })
 */
export const read = Effect.fn("TimelineReader.read")(function*(
  path: string,
  options?: ReadOptions
): Effect.fn.Return<Timeline, TimelineError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const decoder = new TimelineDecoder(options?.validate === true ? inspectRecord : undefined)
  yield* Effect.scoped(
    Effect.gen(function*() {
      const file = yield* fs.open(path, { flag: "r" })
      for (;;) {
        const chunk = yield* file.readAlloc(chunkBytes)
        if (Option.isNone(chunk) || !decoder.push(chunk.value)) return
      }
    })
  ).pipe(Effect.mapError((error) => unreadable(path, error)))
  const result = decoder.finish()
  if (result.is === "timeline") return result.timeline
  return yield* result.is === "failed" ? invalid(path, result.failure) : rejected(path, result.rejection)
})

const unreadable = (path: string, cause: PlatformError): TimelineMissing | TimelineUnreadable =>
  cause.reason._tag === "NotFound"
    ? new TimelineMissing({ path, message: `${path}: there is no such file` })
    : new TimelineUnreadable({ path, message: `${path}: ${whyUnreadable(cause)}`, cause })

const whyUnreadable = ({ message, reason }: PlatformError): string => {
  if (reason._tag === "PermissionDenied") return "cannot be read: permission denied"
  const code = (reason.cause as { readonly code?: unknown } | undefined)?.code
  return code === "EISDIR" ? "is a directory; give the path of a timeline in it" : `cannot be read (${message})`
}

const invalid = (path: string, { offset, ordinal, kind, issues }: InvalidRecord): InvalidTimelineRecord =>
  new InvalidTimelineRecord({
    path,
    offset,
    ordinal,
    message: `${path}: record ${ordinal} (${kind}, byte ${offset}) breaks the contract: ${
      issues.map(formatIssue).join("; ")
    }`
  })

type Rejected = Extract<ReturnType<TimelineDecoder["finish"]>, { readonly is: "rejected" }>["rejection"]

const rejected = (path: string, rejection: Rejected): TimelineError => {
  switch (rejection.is) {
    case "empty":
      return new TimelineEmpty({ path, message: `${path}: the file is empty` })
    case "other":
      return new NotATimeline({ path, message: `${path}: not a timeline (it does not begin with "rspp-timeline")` })
    case "version":
      return new UnknownTimelineVersion({
        path,
        version: rejection.version,
        readable: readableVersions,
        message: `${path}: a timeline of version ${rejection.version}; this program reads version ${
          readableVersions.join(", ")
        }`
      })
    case "no_header": {
      const { offset, reason } = rejection.tear
      return new TimelineWithoutHeader({
        path,
        offset,
        message: `${path}: the header cannot be read: ${
          {
            truncated: "the file is cut off in it",
            checksum: "it was changed",
            garbage: "something else is there"
          }[reason]
        } (at byte ${offset})`
      })
    }
  }
}
