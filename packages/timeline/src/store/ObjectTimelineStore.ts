import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { Effect, Layer, Option, Schema } from "effect"
import { ObjectStore } from "./ObjectStore.ts"
import type { RecordingKey, TimelineSegment } from "./TimelineSegment.ts"
import { infoOf, inOrder, isIntact, isSame, isSameList, nameOf, SegmentInfo } from "./TimelineSegment.ts"
import { SegmentConflict, SegmentDamaged, SegmentMissing, TimelineStore } from "./TimelineStore.ts"

/*
 * One object per segment, `<tenant>/<session>/<index>.segment`, every part escaped:
 *
 *   rspp-segment 1\n
 *   {"closed":false,"first_sequence":0,…}\n     the segment's SegmentInfo, as canonical JSON
 *   the bytes
 *
 * While a recording is replaced, `<tenant>/<session>/replacement` holds all that is to take its place: its segments, each
 * with its two lines, one after the other. Whoever finds it finishes the replacement.
 */
const magic = "rspp-segment 1\n"
const suffix = ".segment"
const replacement = "replacement"

/** The first two lines are looked for in so many bytes first; ids may be longer. */
const headBytes = 2048

/** Objects whose first lines are read at once by `list`. */
const listConcurrency = 8

/** A TimelineStore over any {@link ObjectStore}: exactly one segment can take a key, so that a segment is stored once. */
export const layer: Layer.Layer<TimelineStore, never, ObjectStore> = Layer.effect(
  TimelineStore,
  Effect.gen(function*() {
    const objects = yield* ObjectStore
    const { name } = objects
    const damaged = (message: string) => new SegmentDamaged({ store: name, message: `${name}: ${message}` })

    /** The info of an object, from its first bytes when they suffice. */
    const infoAt = Effect.fnUntraced(function*(key: string) {
      let head = yield* objects.get(key, headBytes)
      if (Option.isSome(head) && parse(head.value) === undefined) head = yield* objects.get(key)
      if (Option.isNone(head)) return undefined
      return parse(head.value)?.info ?? (yield* damaged(`${key} is no segment`))
    })

    const put = Effect.fnUntraced(function*(segment: TimelineSegment) {
      if (!isIntact(segment, segment.bytes)) return yield* damaged(`${nameOf(segment)} does not fit its hash`)
      const key = keyOf(segment, segment.index)
      const result = yield* objects.put(key, objectOf(segment))
      if (result === "created") return "stored" as const
      const there = yield* infoAt(key)
      if (there !== undefined && isSame(there, segment)) return "present" as const
      return yield* new SegmentConflict({
        store: name,
        message: `${name}: ${nameOf(segment)} is stored already, with other bytes`
      })
    })

    const placeOf = ({ session_id, tenant_id }: RecordingKey) => `${escape(tenant_id)}/${escape(session_id)}/`

    /** Removes what is not among these segments, and puts those that are not there. Anybody may do it, also twice at once. */
    const bring = Effect.fnUntraced(function*(key: RecordingKey, segments: ReadonlyArray<TimelineSegment>) {
      const place = placeOf(key)
      const keys = (yield* objects.list(place)).filter((name) => name.endsWith(suffix))
      yield* Effect.forEach(keys, (name) =>
        Effect.gen(function*() {
          const there = yield* infoAt(name)
          const wanted = segments.some((segment) =>
            keyOf(key, segment.index) === name && there && isSame(there, segment)
          )
          if (!wanted) yield* objects.remove(name)
        }), { discard: true })
      yield* Effect.forEach(segments, (segment) => objects.put(keyOf(key, segment.index), objectOf(segment)), {
        discard: true
      })
      yield* objects.remove(`${place}${replacement}`)
    })

    const settle = Effect.fnUntraced(function*(key: RecordingKey) {
      const begun = yield* objects.get(`${placeOf(key)}${replacement}`)
      if (Option.isNone(begun)) return false
      const segments = segmentsIn(begun.value)
      if (segments === undefined) return yield* damaged(`${placeOf(key)}${replacement} is no replacement`)
      yield* bring(key, segments)
      return true
    })

    const listed = Effect.fnUntraced(function*(key: RecordingKey) {
      const keys = (yield* objects.list(placeOf(key))).filter((name) => name.endsWith(suffix))
      const infos = yield* Effect.forEach(keys, infoAt, { concurrency: listConcurrency })
      return infos.filter((info) => info !== undefined).sort(inOrder)
    })

    const changed = (key: RecordingKey) =>
      new SegmentConflict({
        store: name,
        message: `${name}: the recording of session ${key.session_id} was changed meanwhile`
      })

    return TimelineStore.of({
      name,
      put,
      settle: Effect.fnUntraced(function*(key) {
        if (key !== undefined) return yield* Effect.asVoid(settle(key))
        const begun = (yield* objects.list("")).flatMap((name) => {
          const [tenant = "", session = "", what] = name.split("/")
          return what === replacement
            ? [{ tenant_id: decodeURIComponent(tenant), session_id: decodeURIComponent(session) }]
            : []
        })
        return yield* Effect.forEach(begun, settle, { discard: true })
      }),
      replace: Effect.fnUntraced(function*(key, expected, segments) {
        for (const segment of segments) {
          if (!isIntact(segment, segment.bytes)) return yield* damaged(`${nameOf(segment)} does not fit its hash`)
        }
        const stage = `${placeOf(key)}${replacement}`
        const claimed = yield* objects.put(stage, Buffer.concat(segments.map(objectOf)))
        if (claimed === "exists") {
          yield* settle(key)
          return yield* changed(key)
        }
        const now = yield* listed(key)
        if (!isSameList(now, expected)) {
          yield* objects.remove(stage)
          return yield* changed(key)
        }
        return yield* bring(key, segments)
      }),
      list: Effect.fnUntraced(function*(of = {}) {
        const prefix = of.tenant_id === undefined ?
          "" :
          `${escape(of.tenant_id)}/${of.session_id === undefined ? "" : `${escape(of.session_id)}/`}`
        const session = of.session_id === undefined ? undefined : escape(of.session_id)
        const keys = (yield* objects.list(prefix)).filter((key) =>
          key.endsWith(suffix) && (session === undefined || key.split("/")[1] === session)
        )
        const infos = yield* Effect.forEach(keys, infoAt, { concurrency: listConcurrency })
        return infos.filter((info) => info !== undefined).sort(inOrder)
      }),
      get: Effect.fnUntraced(function*(recording, index) {
        const key = keyOf(recording, index)
        const object = yield* objects.get(key)
        if (Option.isNone(object)) {
          const what = nameOf({ ...recording, index })
          return yield* new SegmentMissing({ store: name, message: `${name}: ${what} is not there` })
        }
        const parsed = parse(object.value)
        if (parsed === undefined) return yield* damaged(`${key} is no segment`)
        const bytes = object.value.subarray(parsed.start)
        if (!isIntact(parsed.info, bytes)) return yield* damaged(`${key} was changed (its hash does not fit)`)
        return { ...parsed.info, bytes }
      })
    })
  })
)

const encoder = new TextEncoder()
const decodeInfo = Schema.decodeUnknownOption(Schema.fromJsonString(SegmentInfo))

/** A part of a key: percent-encoded, also where it would mean a directory. */
const escape = (part: string): string => {
  const encoded = encodeURIComponent(part)
  return encoded.startsWith(".") ? `%2E${encoded.slice(1)}` : encoded
}

const keyOf = ({ session_id, tenant_id }: RecordingKey, index: number): string =>
  `${escape(tenant_id)}/${escape(session_id)}/${String(index).padStart(8, "0")}${suffix}`

const objectOf = (segment: TimelineSegment): Uint8Array =>
  Buffer.concat([encoder.encode(`${magic}${canonicalJson(infoOf(segment))}\n`), segment.bytes])

/** The segments that a replacement holds; undefined when it is none. */
const segmentsIn = (bytes: Uint8Array): ReadonlyArray<TimelineSegment> | undefined => {
  const segments: Array<TimelineSegment> = []
  for (let at = 0; at < bytes.length;) {
    const parsed = parse(bytes.subarray(at))
    if (parsed === undefined) return undefined
    const start = at + parsed.start
    at = start + parsed.info.length
    const segment = { ...parsed.info, bytes: bytes.subarray(start, at) }
    if (!isIntact(parsed.info, segment.bytes)) return undefined
    segments.push(segment)
  }
  return segments
}

/** The info and where the bytes start; undefined when the bytes at hand do not hold it. */
const parse = (bytes: Uint8Array): { readonly info: SegmentInfo; readonly start: number } | undefined => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (text.subarray(0, magic.length).toString("latin1") !== magic) return undefined
  const end = text.indexOf("\n", magic.length)
  if (end < 0) return undefined
  const info = Option.getOrUndefined(decodeInfo(text.subarray(magic.length, end).toString("utf8")))
  return info === undefined ? undefined : { info, start: end + 1 }
}
