// Writes the simulated part of the corpus anew: `node test/corpus/write.ts`. The same sources give the same bytes.
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { chosen, namedScenarios, recordCase } from "./Simulated.ts"

const directory = new URL("simulated/", import.meta.url)

const scenarios = await namedScenarios()
const recordings = chosen(
  new Map(scenarios.map(({ cases, id }) => [id, cases.flatMap((one) => recordCase(id, one))]))
)
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory)
for (const { bytes, name } of recordings) writeFileSync(new URL(name, directory), bytes)
const size = recordings.reduce((sum, { bytes }) => sum + bytes.length, 0)
process.stdout.write(`${recordings.length} recordings, ${Math.round(size / 1024)} KB\n`)
