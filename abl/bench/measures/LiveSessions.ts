import type { Figure, Measure } from "../Figure.ts"
import { liveRunOf } from "../LiveRun.ts"
import type { LiveResult } from "../LiveProcess.ts"

/** Sessions that must live in one process, and how its event loop must do. */
const wanted = 1000
const bound = 20
const seconds = 20
/** Numbers of sessions that are tried when `wanted` live well, until one does not. */
const more = [1250, 1500, 1750, 2000, 2500, 3000, 4000, 5000]
/** … and when they do not, until one does. */
const fewer = [800, 600, 400, 300, 200, 100]

const keeps = (result: LiveResult | undefined): result is LiveResult =>
  result !== undefined && result.delayP99 < bound && result.framesLost === 0

const measure: Measure = {
  about:
    `Live sessions of one process in real time, on one thread: each is fed 50 frames a second, speaks a second, listens three, and is answered with 1.2 s of speech; recognition, model and voice are instant, the output is paced, every turn is recorded (the records are let go). Event-loop delay by perf_hooks over ${seconds} s after 8 s of warm-up, less what an idle loop shows; memory after that.`,
  run: async (tell) => {
    tell(`bare loop, ${wanted} callers`)
    const plain = await liveRunOf("plain", wanted, 10)
    tell(`${wanted} sessions`)
    const at = await liveRunOf("real", wanted, seconds)
    let most = keeps(at) ? at : undefined
    for (const count of keeps(at) ? more : fewer) {
      tell(`${count} sessions`)
      const result = await liveRunOf("real", count, 12)
      if (keeps(result)) most = result
      if (keeps(result) !== keeps(at)) break
    }
    const figures: Array<Figure> = []
    const shown = at ?? most
    if (shown !== undefined) {
      const about = `${shown.sessions} live sessions`
      figures.push(
        {
          name: `${about}: event-loop delay, p99`,
          value: shown.delayP99,
          unit: "ms",
          ...(plain === undefined ? {} : { bare: plain.delayP99 }),
          bound: { atMost: bound },
          note: `p50 ${shown.delayP50.toFixed(2)}, max ${
            shown.delayMax.toFixed(1)
          } ms; ${shown.framesIn} frames in, ${shown.framesLost} lost, ${shown.framesOut} out, ${shown.turns} turns`
        },
        {
          name: `${about}: CPU of the JavaScript thread`,
          value: shown.cpu * 100,
          unit: "%",
          ...(plain === undefined ? {} : { bare: plain.cpu * 100 })
        },
        {
          name: `${about}: resident memory a session`,
          value: shown.residentKb / 1024,
          unit: "MB",
          ...(plain === undefined ? {} : { bare: plain.residentKb / 1024 }),
          bound: { atMost: 0.5 }
        },
        {
          name: `${about}: live heap and buffers a session`,
          value: shown.heapKb / 1024,
          unit: "MB",
          ...(plain === undefined ? {} : { bare: plain.heapKb / 1024 }),
          bound: { atMost: 0.5 }
        }
      )
    }
    figures.push({
      name: `most sessions tried with p99 < ${bound} ms and no frame lost`,
      value: most?.sessions ?? 0,
      unit: "sessions",
      bound: { atLeast: wanted },
      ...(at === undefined ? { note: `${wanted} did not keep up` } : {})
    })
    return figures
  }
}
export default measure
