import { runSeed } from "@rspp/simulation/Run"
import type { Measure } from "../Figure.ts"
import { PlainQueue } from "../PlainPipeline.ts"

const seeds = 300
const warmUp = 20

/** A discrete-event loop that moves as many frames through a plain queue, and nothing else. */
const plain = (simulatedMs: number): number => {
  const queue = new PlainQueue<Int16Array>()
  let heard = 0
  const began = performance.now()
  for (let now = 0; now < simulatedMs; now += 20) {
    queue.push(new Int16Array(320))
    heard += queue.shift()?.length ?? 0
  }
  if (heard === 0) throw new Error("unreachable")
  return simulatedMs / (performance.now() - began)
}

const measure: Measure = {
  about:
    `Seeds 1 to ${seeds} of the seeded world in one process, faults as the swarm draws them: the whole session over simulated parts, every checker, each recording replayed and compared. Simulated time ÷ real time, and ÷ CPU time of the process, after ${warmUp} seeds of warm-up.`,
  run: (tell) => {
    for (let seed = 1; seed <= warmUp; seed++) runSeed(10_000 + seed, { graph: false })
    let simulatedMs = 0
    let withoutChecks = 0
    let violations = 0
    const cpuBefore = process.cpuUsage()
    const began = performance.now()
    for (let seed = 1; seed <= seeds; seed++) {
      const result = runSeed(seed, { graph: false })
      violations += result.violations.length
      simulatedMs += result.simulatedMs
      if (seed % 100 === 0) tell(`seed ${seed} of ${seeds}`)
    }
    const realMs = performance.now() - began
    const { system, user } = process.cpuUsage(cpuBefore)
    const again = performance.now()
    for (let seed = 1; seed <= 100; seed++) {
      withoutChecks += runSeed(seed, { graph: false, replay: false, check: () => [] }).simulatedMs
    }
    const bareMs = performance.now() - again
    const bare = plain(simulatedMs)
    return Promise.resolve([
      {
        name: "simulated ÷ real time, all checkers and replay",
        value: simulatedMs / realMs,
        unit: "×",
        bare,
        bound: { atLeast: 1000 },
        note: `${(simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${violations} violations`
      },
      {
        name: "simulated ÷ CPU time, all checkers and replay",
        value: simulatedMs / ((system + user) / 1000),
        unit: "×",
        bare
      },
      { name: "simulated ÷ real time, without checkers and replay", value: withoutChecks / bareMs, unit: "×", bare }
    ])
  }
}
export default measure
