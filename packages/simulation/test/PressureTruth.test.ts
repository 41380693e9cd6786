// W03: what the world knows of a recorder's disk and store, held against what the recorder says of them.
import { assert, describe, it } from "@effect/vitest"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"
import { PressureTruth } from "@rspp/simulation/parts/PressureTruth"

type Seen = readonly [
  atMs: number,
  fill: number,
  lagMs: number,
  said?: readonly [RecordingPressure["level"], RecordingPressure["reason"]]
]

const broken = (seen: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const found: Array<string> = []
  const truth = new PressureTruth("L2", (what) => void found.push(what))
  for (const [atMs, fill, lagMs, said] of seen) {
    truth.seen({ atMs, fill, lagMs }, said === undefined ? undefined : { level: said[0], reason: said[1] })
  }
  return found
}

describe("a recorder under pressure", () => {
  it("that says so in time, and that it is over in time, breaks nothing", () => {
    assert.deepStrictEqual(
      broken([
        [0, 0.85, 0],
        [500, 0.85, 0, ["L1", "append_queue_fill"]],
        [600, 0.1, 0],
        [700, 0.1, 5000, ["L0", "export_lag"]],
        [800, 0.1, 0],
        [1300, 0.1, 0, ["L2", "eased"]]
      ]),
      []
    )
  })

  it("that goes down for a buffer which was not full for 500 ms is found, also where it dipped", () => {
    assert.deepStrictEqual(broken([[0, 0.85, 0], [499, 0.85, 0, ["L1", "append_queue_fill"]]]), [
      "L1 for a buffer that was 0.8 full for 499 ms"
    ])
    assert.lengthOf(
      broken([[0, 0.85, 0], [300, 0.7, 0], [301, 0.85, 0], [600, 0.85, 0, ["L1", "append_queue_fill"]]]),
      1
    )
    assert.lengthOf(broken([[0, 0.85, 0], [600, 0.1, 0, ["L1", "append_queue_fill"]]]), 1)
  })

  it("that goes down for a lag which is too short is found", () => {
    assert.deepStrictEqual(broken([[0, 0, 1999, ["L1", "export_lag"]]]), ["L1 for a lag of 1999 ms"])
    assert.lengthOf(broken([[0, 0, 2000, ["L1", "export_lag"]], [1, 0, 4999, ["L0", "export_lag"]]]), 1)
  })

  it("that says nothing is found", () => {
    const [silent] = broken([[0, 0.85, 0], [400, 0.85, 0], [751, 0.85, 0]])
    assert.strictEqual(silent, "the recorder is under pressure and stays at L2")
    assert.lengthOf(broken([[0, 0, 2300]]), 1)
  })

  it("that says it is over while it is not is found", () => {
    assert.lengthOf(broken([[0, 0, 2000, ["L1", "export_lag"]], [100, 0, 0], [599, 0, 0, ["L2", "eased"]]]), 1)
  })
})
