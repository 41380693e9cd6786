// Ten rooms of a real livekit-server in one process, call after call, for ten minutes. `make soak`
//
//   node test/soak/run.ts [--seconds N] [--rooms N] [--keep DIR] [--json]
//
// Exit codes: 0; 1 when something is not as it should be: the recordings are kept and named; 2 for a wrong option; 68 when
// there is no LiveKit server.
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { judge } from "./Judge.ts"
import { soak } from "./Soak.ts"
import { optionsOf } from "../support/Options.ts"

const { given, whole } = optionsOf({
  seconds: { type: "string", default: "600" },
  rooms: { type: "string", default: "10" },
  keep: { type: "string" },
  json: { type: "boolean", default: false }
})
const [seconds, rooms] = [whole("seconds"), whole("rooms")]
const server = await liveKitServer()
if ("missing" in server) {
  console.error(`not run: ${server.missing}`)
  process.exit(68)
}
if (given.keep !== undefined) mkdirSync(given.keep, { recursive: true })
const directory = given.keep ?? mkdtempSync(join(tmpdir(), "rspp-soak-"))
const held = async () => {
  try {
    return await soak({
      server,
      rooms,
      seconds,
      directory,
      tell: (line) => void (given.json || console.log(line))
    })
  } finally {
    await server.stop()
  }
}
const record = await held()
const wrong = judge(record)
if (given.json) console.log(JSON.stringify({ ...record, wrong }))
else {
  console.log(`${record.called.length} calls in ${rooms} rooms at once, ${record.ended.length} sessions ended`)
  for (const line of wrong) console.log(`WRONG  ${line}`)
  console.log(wrong.length === 0 ? "everything is as it should be" : `the recordings are in ${directory}`)
}
if (wrong.length === 0 && given.keep === undefined) rmSync(directory, { recursive: true, force: true })
process.exitCode = wrong.length === 0 ? 0 : 1
