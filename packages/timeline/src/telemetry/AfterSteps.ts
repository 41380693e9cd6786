import type { InputRecord } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

/** How long records wait to be looked at, ms: longer than a turn is decided in, shorter than anybody asks for metrics. */
export const lookAfterMs = 10

/** Records that may wait; the session looks at them itself when there are more. */
export const maxUnlooked = 1024

/**
 * Lets observers look at a session's records a moment later, in a task of their own: what they cost (spans, histograms, log
 * records) is not in the time of the step that opens a turn or fences an output. They see everything, in order, and the
 * end of the session as it ends.
 *
 * Guarantees (I-TELEMETRY-SHED): in a step a reference is kept and nothing else is done; no more than {@link maxUnlooked}
 * wait. Frames of audio are passed on at once. An observer that throws is shown nothing more: nobody is there to catch it in
 * a task of its own, and no call may end for it.
 */
export const afterSteps = (given: ReadonlyArray<SessionObserver>): SessionObserver => {
  let observers = given
  let waiting: Array<InputRecord | ReadonlyArray<KernelOutput>> = []
  let timer: NodeJS.Timeout | undefined

  const show = (shown: (observer: SessionObserver) => void) => {
    for (const observer of observers) {
      try {
        shown(observer)
      } catch {
        observers = observers.filter((other) => other !== observer)
      }
    }
  }
  const look = () => {
    clearTimeout(timer)
    timer = undefined
    const records = waiting
    waiting = []
    for (const record of records) {
      if ("record" in record) show((observer) => observer.input?.(record))
      else show((observer) => observer.outputs?.(record))
    }
  }
  const keep = (record: InputRecord | ReadonlyArray<KernelOutput>) => {
    waiting.push(record)
    if (waiting.length >= maxUnlooked) look()
    else timer ??= setTimeout(look, lookAfterMs).unref()
  }

  return {
    opened: (header, text, queues) => {
      show((observer) => observer.opened?.(header, text, queues))
    },
    audio: (sampleIndex, samples, nowMs) => {
      for (const observer of observers) observer.audio?.(sampleIndex, samples, nowMs)
    },
    input: keep,
    outputs: (outputs) => {
      if (outputs.length > 0) keep(outputs)
    },
    closed: () => {
      look()
      show((observer) => observer.closed?.())
    }
  }
}
