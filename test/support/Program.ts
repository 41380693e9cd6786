import { spawn } from "node:child_process"
import { dirname, join } from "node:path"

const root = dirname(dirname(import.meta.dirname))
/** The program, as its users start it. */
export const program = join(root, "packages/cli/bin/rspp.js")

/** The recordings that come with the repository, and the words in each. */
export const recordings = {
  "goforward": "go forward ten meters",
  "something": "go somewhere and do something",
  "vm-savefolder": "which folder should i save the message to",
  "librivox-0880": "he was not an ill disposed young man",
  "conf-getpin": "please enter the conference pin number",
  "demo-thanks": "goodbye thank you for trying out the asterisk open source pbx",
  "librivox-0870":
    "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them",
  "librivox-0890": "unless to be rather cold hearted and rather selfish is to be ill disposed",
  "librivox-0920": "had he married a more amiable woman he might have been made still more respectable than he was",
  "librivox-0930": "he might even have been made amiable himself"
} as const

export const recordingPath = (name: keyof typeof recordings): string => join(root, `test/recordings/${name}.wav`)

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the real program as a user would, without the settings of the machine that the tests run on. */
export const rspp = (cwd: string, ...args: ReadonlyArray<string>): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const { HOME, PATH, TMPDIR } = process.env
    const child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { HOME, PATH, TMPDIR },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })
