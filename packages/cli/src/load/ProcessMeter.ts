import { monitorEventLoopDelay } from "node:perf_hooks"

/** How a process did over a time. */
export interface ProcessUse {
  readonly measured_ms: number
  /** How late the event loop was, beyond the interval at which it is looked at, ms. */
  readonly loop_delay_ms: { readonly p50: number; readonly p99: number; readonly max: number }
  /** CPU of the whole process, all threads, in cores: 1 is one core that is busy all the time. */
  readonly cpu_cores: number
}

/** How often the loop is looked at, ms. */
const resolutionMs = 5

/**
 * Measures this process from its making, or from the last `restart`, on.
 *
 * The histogram counts whole intervals between two looks: the interval itself is taken off, so that an idle loop is at 0 or
 * little more.
 */
export class ProcessMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs })
  #beganMs = performance.now()
  #cpu = process.cpuUsage()

  constructor() {
    this.#delay.enable()
  }

  restart(): void {
    this.#delay.reset()
    this.#beganMs = performance.now()
    this.#cpu = process.cpuUsage()
  }

  read(): ProcessUse {
    const lasted = performance.now() - this.#beganMs
    const { system, user } = process.cpuUsage(this.#cpu)
    // Nothing looked at: nothing is known to have been late.
    const beyond = (ns: number) => this.#delay.count === 0 ? 0 : Math.max(0, ns / 1e6 - resolutionMs)
    return {
      measured_ms: lasted,
      loop_delay_ms: {
        p50: beyond(this.#delay.percentile(50)),
        p99: beyond(this.#delay.percentile(99)),
        max: beyond(this.#delay.max)
      },
      cpu_cores: lasted <= 0 ? 0 : (system + user) / 1000 / lasted
    }
  }

  stop(): void {
    this.#delay.disable()
  }
}
