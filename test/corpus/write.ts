// Writes the simulated part of the corpus anew: `node test/corpus/write.ts`. The same sources give the same bytes.
// Where the format's version has no golden recordings yet, it writes those too; what is there is never changed. The real
// calls of an earlier version are written in this one, with the same records.
import { timelineFormatVersion } from "@rspp/contracts/Timeline"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { decode } from "./Corpus.ts"
import { chosen, expectationFiles, goldenIds, namedScenarios, recordCase } from "./Simulated.ts"
import type { SimulatedRecording } from "./Simulated.ts"
import { turnTaking } from "./TurnTaking.ts"

const write = (directory: URL, recordings: ReadonlyArray<SimulatedRecording>): void => {
  mkdirSync(directory, { recursive: true })
  for (const { bytes, name } of recordings) writeFileSync(new URL(name, directory), bytes)
  const size = recordings.reduce((sum, { bytes }) => sum + bytes.length, 0)
  process.stdout.write(`${directory.pathname}: ${recordings.length} recordings, ${Math.round(size / 1024)} KB\n`)
}

const scenarios = await namedScenarios()
const all = new Map(scenarios.map(({ cases, id }) => [id, cases.flatMap((one) => recordCase(id, one))]))
const recordings = [...chosen(all), ...turnTaking.cases.flatMap((one) => recordCase(turnTaking.id, one))]
const simulated = new URL("simulated/", import.meta.url)
rmSync(simulated, { recursive: true, force: true })
write(simulated, [...recordings, ...expectationFiles(recordings)])

const golden = new URL(`golden/format-${timelineFormatVersion}/`, import.meta.url)
if (!existsSync(golden)) {
  // The smallest of each come first.
  write(
    golden,
    recordings.filter(({ name }, i) =>
      goldenIds.some((id) =>
        name.startsWith(`${id}-`) && recordings.findIndex((one) => one.name.startsWith(`${id}-`)) === i
      )
    )
  )
}

const real = new URL("real/", import.meta.url)
for (const name of readdirSync(real).filter((file) => file.endsWith(".timeline"))) {
  const { header, records } = decode(readFileSync(new URL(name, real)))
  if (header.format_version === timelineFormatVersion) continue
  const bytes = encodeTimeline({ ...header, format_version: timelineFormatVersion }, records.map((record) => [record]))
  write(real, [{ name, bytes }])
}
