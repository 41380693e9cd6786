// One spoken turn for each hosted provider that is configured: the shipped question, asked for real. Costs a few cents.
//
//   node test/live/run.ts [--providers FILE]
//
// A vendor takes the part that is its own; the embedded providers take the others. What is not configured is said to be
// not run. Exit 0: every vendor that was asked answered, and its recording replays identical. Exit 1: one did not.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { optionsOf } from "../support/Options.ts"
import { program, recordingPath } from "../support/Program.ts"

const { given: options } = optionsOf({ providers: { type: "string" } })
const file = options.providers ?? process.env["RSPP_PROVIDERS"]

const rspp = (
  ...args: ReadonlyArray<string>
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve, reject) => {
    // With the environment as it is: the keys are there.
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })

interface Listed {
  readonly providers: ReadonlyArray<{
    readonly provider_id: string
    readonly modality: "vad" | "stt" | "llm" | "tts"
    readonly adapter: string
    readonly configured: boolean
    readonly remedy?: string
  }>
}

interface Summary {
  readonly conversation: ReadonlyArray<{ readonly at_ms: number; readonly who: string; readonly text: string }>
}

const directory = mkdtempSync(join(tmpdir(), "rspp-live-"))
const given = file === undefined ? [] : ["--providers", file]
let failed = 0
try {
  const listed = await rspp("providers", "list", "--json", ...given)
  if (listed.code !== 0) throw new Error(listed.stderr)
  const { providers } = JSON.parse(listed.stdout) as Listed
  const hosted = providers.filter(({ adapter }) => !adapter.startsWith("embedded/"))
  for (const { configured, modality, provider_id, remedy } of hosted) {
    const name = provider_id.padEnd(24)
    if (!configured) {
      console.log(`not run  ${name} ${remedy ?? ""}`)
      continue
    }
    const path = (kind: string) => join(directory, `${provider_id.replace("/", "-")}.${kind}`)
    writeFileSync(
      path("json"),
      JSON.stringify({
        schema_version: "v1.0",
        pipeline_id: "live",
        pipeline_version: "live/1",
        providers: { stt: "embedded/moonshine", llm: "embedded/rules", tts: "embedded/flite", [modality]: provider_id }
      })
    )
    const run = await rspp(
      ...["run", "--input", recordingPath("vm-savefolder"), "--pipeline", path("json"), "--timeline", path("timeline")],
      ...["--json", ...given]
    )
    const replay = run.code === 0 ? await rspp("replay", path("timeline")) : run
    if (replay.code === 0) {
      const { conversation } = JSON.parse(run.stdout) as Summary
      const [heard, answer] = ["you", "agent"].map((one) => conversation.find(({ who }) => who === one))
      console.log(`ok       ${name} heard "${heard?.text ?? ""}", answered "${answer?.text ?? ""}"; replays identical`)
    } else {
      failed++
      console.log(`FAILED   ${name} ${(replay.stderr || replay.stdout).trim().split("\n").join(" ").slice(0, 300)}`)
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
