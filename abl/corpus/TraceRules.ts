/**
 * What the trace-event format asks of a JSON document (the document "Trace Event Format" of the Chromium project), as far
 * as RSPP writes it. Each breach is a line; none is a valid trace.
 */
export const breachesOfTraceFormat = (text: string): ReadonlyArray<string> => {
  const document: unknown = JSON.parse(text)
  const events = get(document, "traceEvents")
  if (!Array.isArray(events)) return ["there is no list traceEvents"]
  const breaches: Array<string> = []
  const unit = get(document, "displayTimeUnit")
  if (unit !== "ms" && unit !== "ns") breaches.push("displayTimeUnit is ms or ns")
  const open = new Map<string, Array<{ readonly from: number; readonly to: number }>>()
  const lastCounter = new Map<string, number>()
  events.forEach((event: unknown, index) => {
    const phase = get(event, "ph")
    const breach = (what: string) =>
      breaches.push(`event ${index} (${String(phase)} ${String(get(event, "name"))}): ${what}`)
    if (typeof get(event, "name") !== "string" || get(event, "name") === "") breach("it has no name")
    for (const key of ["pid", "tid"]) if (!Number.isInteger(get(event, key))) breach(`${key} is a whole number`)
    const track = `${String(get(event, "pid"))}/${String(get(event, "tid"))}`
    const at = get(event, "ts")
    if (phase !== "M" && !isTime(at)) breach("ts is a time in µs")
    switch (phase) {
      case "M": {
        const what = get(event, "name")
        const args = get(event, "args")
        if (what === "thread_sort_index") {
          if (!Number.isInteger(get(args, "sort_index"))) breach("args.sort_index is a whole number")
        } else if (what === "process_name" || what === "thread_name") {
          if (typeof get(args, "name") !== "string") breach("args.name is a text")
        } else breach("there is no such metadata")
        break
      }
      case "X": {
        const duration = get(event, "dur")
        if (!isTime(duration) || !isTime(at)) {
          breach("dur is a time in µs")
          break
        }
        // Slices of a track lie in one another or side by side.
        const all = open.get(track) ?? []
        const slice = { from: at, to: at + duration }
        const crossing = all.find(({ from, to }) =>
          (from < slice.from && slice.from < to && to < slice.to) ||
          (slice.from < from && from < slice.to && slice.to < to)
        )
        if (crossing !== undefined) breach(`it crosses the slice from ${crossing.from} to ${crossing.to} of its track`)
        open.set(track, [...all, slice])
        break
      }
      case "C": {
        const args = get(event, "args")
        const values = typeof args === "object" && args !== null ? Object.values(args) : []
        if (values.length === 0 || !values.every((value) => typeof value === "number" && Number.isFinite(value))) {
          breach("args are numbers")
        }
        const name = String(get(event, "name"))
        if (isTime(at)) {
          if (at < (lastCounter.get(name) ?? 0)) breach("a counter goes forward in time")
          lastCounter.set(name, at)
        }
        break
      }
      case "i":
        if (!["g", "p", "t"].includes(String(get(event, "s")))) breach("s is g, p or t")
        break
      default:
        breach("there is no such phase here")
    }
  })
  return breaches
}

const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0

const get = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined
