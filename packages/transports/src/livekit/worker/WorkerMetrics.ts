import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { WorkerEvent } from "./WorkerEvent.ts"

// What an autoscaler and an alert want to know of a worker, at `GET /metrics`. Neither room nor job is in a label, so that
// there is a bound on how many series there are, and nothing to hide.

const running = Metric.gauge("rspp_worker_jobs_running", { description: "Jobs that run" })
const reserved = Metric.gauge("rspp_worker_jobs_reserved", {
  description: "Jobs that were accepted and are not assigned yet"
})
const load = Metric.gauge("rspp_worker_load", {
  description: "Running and reserved jobs, of those that may be: 0 to 1"
})
const registered = Metric.gauge("rspp_worker_registered", {
  description: "1: the LiveKit server has this worker, else 0"
})

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const counters = {
  accepted: counter("rspp_worker_jobs_accepted_total", "Jobs that were accepted"),
  refused: counter("rspp_worker_jobs_refused_total", "Jobs that were refused: full, or draining"),
  unassigned: counter("rspp_worker_jobs_unassigned_total", "Jobs that were accepted and never assigned"),
  succeeded: counter("rspp_worker_jobs_succeeded_total", "Jobs that ended well"),
  failed: counter("rspp_worker_jobs_failed_total", "Jobs that failed"),
  terminated: counter("rspp_worker_jobs_terminated_total", "Jobs that the server ended"),
  cut: counter("rspp_worker_jobs_cut_total", "Jobs that still ran when the worker stopped"),
  reconnects: counter("rspp_worker_reconnects_total", "Registrations after the first")
}

type Counted = keyof typeof counters
const isCounted = (name: string): name is Counted => name in counters

/** Counts an event of a worker. */
export const countEvent = (event: WorkerEvent): Effect.Effect<void> => {
  if (event.event === "registered") {
    return Effect.andThen(
      Metric.update(registered, 1),
      event.again ? Metric.update(counters.reconnects, 1) : Effect.void
    )
  }
  if (event.event === "disconnected") return Metric.update(registered, 0)
  return isCounted(event.event) ? Metric.update(counters[event.event], 1) : Effect.void
}

/** Shows how many places are taken. */
export const showPlaces = (
  places: { readonly running: number; readonly reserved: number; readonly load: number }
): Effect.Effect<void> =>
  Effect.all([
    Metric.update(running, places.running),
    Metric.update(reserved, places.reserved),
    Metric.update(load, places.load)
  ], { discard: true })

/** All series exist from the first scrape on. */
export const showWorker: Effect.Effect<void> = Effect.all([
  Effect.forEach(Object.values(counters), (metric) => Metric.update(metric, 0), { discard: true }),
  Metric.update(registered, 0),
  showPlaces({ running: 0, reserved: 0, load: 0 })
], { discard: true })
