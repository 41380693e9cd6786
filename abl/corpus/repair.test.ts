// A file that was cut off anywhere, or that has something behind its end, is repaired into one that is whole and replays.
import { checkReplay } from "@rspp/simulation/Recordings"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"
import { repaired, repairedReason } from "@rspp/timeline/format/TimelineRepair"
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"

const decoded = (bytes: Uint8Array): Timeline | undefined => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const result = decoder.finish()
  return result.is === "timeline" ? result.timeline : undefined
}

const directory = new URL("simulated/", import.meta.url)
const files = readdirSync(directory).filter((name) => name.endsWith(".timeline")).filter((_, index) => index % 9 === 0)

/** Cuts of each file. */
const cuts = 24

describe("a repaired recording", () => {
  it.each(files)("%s is whole and replays identical, wherever it was cut off", (name) => {
    const bytes = readFileSync(new URL(name, directory))
    let made = 0
    for (let cut = 1; cut <= cuts; cut++) {
      const part = bytes.subarray(0, Math.floor((bytes.length * cut) / (cuts + 1)))
      const torn = decoded(part)
      // Before the end of the header there is nothing to repair.
      if (torn === undefined) continue
      const whole = decoded(repaired(part, torn))
      assert.isDefined(whole)
      if (whole === undefined) continue
      made++
      assert.isUndefined(whole.tear)
      assert.deepStrictEqual(whole.records.slice(0, -1), torn.records)
      const end = whole.records.at(-1)
      assert.strictEqual(end?.record === "end" ? end.reason : undefined, repairedReason)
      assert.deepStrictEqual(checkReplay(whole.header, whole.records), [], `cut at byte ${part.length}`)
    }
    assert.isAbove(made, cuts / 4)
  })

  it("keeps its own end when something was put behind it", () => {
    const [name = ""] = files
    const bytes = readFileSync(new URL(name, directory))
    const longer = Buffer.concat([bytes, Buffer.from("something else")])
    const torn = decoded(longer)
    assert.strictEqual(torn?.tear?.reason, "garbage")
    if (torn !== undefined) assert.isTrue(bytes.equals(repaired(longer, torn)))
  })
})
