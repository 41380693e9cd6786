// Holds I-NO-SECRETS: known secrets are put wherever one can get in, and every output of the real program is searched.
import { plainText } from "@rspp/timeline/test/format/support/PlainText"
import { simpleGraph, simpleProviders } from "@rspp/control/SimpleGraph"
import { schemaVersion } from "@rspp/contracts/Identity"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Ended } from "./support/Program.ts"
import { recording, rspp, runAll } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-secrets-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000

/** In pieces, so that this file holds none of them itself. */
const secrets = {
  openAi: ["sk", "proj", "Zq7Rk2Lm9Xv4Bt8Nw1Yc6"].join("-"),
  jwt: ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhbm4ifQ", "c2lnbmF0dXJlLW9mLWFubg"].join("."),
  gitHub: `ghp_${"Ab3".repeat(12)}`,
  aws: `AKIA${"Q7".repeat(8)}`,
  leaseToken: "5f2a9c0d1e7b4c3a8f6e5d4c3b2a1908",
  bearer: "tok.4f1d77aa0b3c",
  password: "hunter2hunter2",
  // Has no shape: only its variable's name tells.
  ofEnvironment: "correct horse battery staple",
  ofNode: "plainlookingvalueofanode"
}
const sentence =
  `${secrets.openAi} ${secrets.jwt} ${secrets.gitHub} ${secrets.aws} lease_token=${secrets.leaseToken} ` +
  `Authorization: Bearer ${secrets.bearer} postgres://ann:${secrets.password}@db/x ${secrets.ofEnvironment} ${secrets.ofNode}`

const node = `
const secret = process.env.SENTENCE
// Said aloud is only the first: a voice takes its time for each.
let rest = ""
const tell = (message) => process.stdout.write(JSON.stringify(message) + "\\n")
process.stderr.write(secret + "\\n")
process.stdin.setEncoding("utf8").on("data", (text) => {
  rest += text
  const lines = rest.split("\\n")
  rest = lines.pop()
  for (const line of lines) {
    const message = JSON.parse(line)
    if (message.type === "hello") tell({ type: "hello", protocol: message.protocol })
    if (message.type === "item") {
      tell({ type: "log", message: "working with " + secret })
      if (process.env.MODE === "fail") {
        tell({ type: "failed", id: message.id, outcome_class: "blocked", message: secret })
      } else {
        tell({ type: "output", id: message.id, text: "Done. " + secret.split(" ")[0], label: secret })
        tell({ type: "done", id: message.id })
      }
    }
    if (message.type === "end") tell({ type: "done", id: message.id })
    if (message.type === "cancel") tell({ type: "cancelled", id: message.id })
    if (message.type === "bye") process.exit(0)
  }
})
`

const screened = simpleGraph.edges.filter(({ to_node_id }) => to_node_id !== "tts")
const levels = ["L0", "L1", "L2"] as const
const modes = ["speak", "fail"] as const
const environment = { SENTENCE: sentence, NODE_TOKEN: secrets.ofNode }

const textOf = (path: string): string =>
  path.endsWith(".timeline") ? plainText(readFileSync(path)) : readFileSync(path, "latin1")

const everything = (ended: Ended): ReadonlyMap<string, string> =>
  new Map([
    ["standard output", ended.stdout],
    ["standard error", ended.stderr],
    ...readdirSync(cwd).filter((name) => /\.(?:timeline|trace|jsonl|perfetto|log)$/u.test(name))
      .map((name) => [name, textOf(join(cwd, name))] as const)
  ])

describe("secrets", () => {
  const ended: Record<string, Ended> = {}

  beforeAll(async () => {
    writeFileSync(join(cwd, "node.cjs"), node)
    for (const mode of modes) {
      const leak = {
        id: "test/leak",
        command: [process.execPath, "node.cjs"],
        inputs: ["segment"],
        outputs: ["segment"],
        environment: { ...environment, MODE: mode }
      }
      writeFileSync(join(cwd, `${mode}.nodes.json`), JSON.stringify({ nodes: [leak] }))
    }
    for (const level of levels) {
      const graph = {
        nodes: [...simpleGraph.nodes, { node_id: "leak", node_type: "custom", provider_id: "test/leak" }],
        edges: [
          ...screened,
          { from_node_id: "sentences", to_node_id: "leak", payload_kind: "segment" },
          { from_node_id: "leak", to_node_id: "tts", payload_kind: "segment" }
        ]
      }
      const about = { schema_version: schemaVersion, pipeline_id: "p", pipeline_version: "p/1" }
      const recorded = { recording_policy: { recording_level: level } }
      writeFileSync(
        join(cwd, `${level}.json`),
        JSON.stringify({ ...about, ...recorded, ...graph, providers: simpleProviders })
      )
      const model = { providers: { llm: "openai/compatible" } }
      writeFileSync(join(cwd, `${level}.model.json`), JSON.stringify({ ...about, ...recorded, ...model }))
    }
    const env = { RSPP_TEST_PASSWORD: secrets.ofEnvironment, RSPP_LLM_API_KEY: secrets.bearer, RSPP_DEBUG: "1" }
    const call = (name: string, ...more: ReadonlyArray<string>) => [
      ...["run", "--speed", "max", "--input", recording("goforward"), "--log-level", "debug"],
      ...["--timeline", `${name}.timeline`, "--trace", `${name}.trace`, ...more]
    ]
    const calls = levels.flatMap((level) =>
      modes.map((mode) => {
        const name = `${level}-${mode}`
        const args = call(name, "--pipeline", `${level}.json`, "--nodes", `${mode}.nodes.json`)
        return [name, () => rspp(level === "L1" ? [...args, "--json"] : args, { cwd, env })] as const
      })
    )
    // A server that tells back what it was sent, and a key of its own.
    const server = createServer((request, response) => {
      response.writeHead(401, { "x-api-key": secrets.openAi })
      response.end(JSON.stringify({ error: { message: `${request.headers.authorization} ${sentence}` } }))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    const model = () =>
      rspp(call("model", "--pipeline", "L2.model.json"), {
        cwd,
        env: { ...env, RSPP_LLM_BASE_URL: `http://127.0.0.1:${port}/v1`, RSPP_LLM_MODEL: "m" }
      })
    Object.assign(ended, await runAll(Object.fromEntries([...calls, ["model", model]])))
    server.close()
    Object.assign(
      ended,
      await runAll({
        show: () => rspp(["timeline", "show", "L2-speak.timeline"], { cwd }),
        export: () =>
          rspp(["timeline", "export", "L2-speak.timeline", "--format", "jsonl", "--output", "x.jsonl"], { cwd }),
        perfetto: () =>
          rspp(["timeline", "export", "L2-fail.timeline", "--format", "perfetto", "--output", "x.perfetto"], { cwd }),
        replay: () => rspp(["replay", ...levels.map((level) => `${level}-speak.timeline`), "L0-fail.timeline"], { cwd })
      })
    )
  }, 3 * minute)

  it("got in: the node's words were recorded, its failure and its log line were told", () => {
    expect(ended["show"]?.stdout).toMatch(/Done\. \[secret\]/u)
    for (const level of levels) {
      expect(textOf(join(cwd, `${level}-fail.timeline`))).toContain("[secret]")
    }
    expect(ended["L0-speak"]?.stderr).toContain("working with [secret]")
  })

  it.each(Object.entries(secrets))("%s is in no output", (_, secret) => {
    const found = Object.entries(ended).flatMap(([run, of]) =>
      [...everything(of)].filter(([, text]) => text.includes(secret)).map(([where]) => `${run}: ${where}`)
    )
    expect(found).toEqual([])
  })

  it("are taken out where they come in, so that the recordings replay", () => {
    expect(ended["replay"]?.stdout.match(/: identical,/gu)?.length).toBe(4)
    expect(ended["replay"]?.code).toBe(0)
  })

  it("are not accepted in a pipeline", async () => {
    const settings = { words: secrets.openAi }
    const graph = simpleGraph.nodes.map((node) => node.node_id === "llm" ? { ...node, settings } : node)
    const spec = { schema_version: schemaVersion, pipeline_id: "p", pipeline_version: "p/1", nodes: graph }
    writeFileSync(join(cwd, "secret.json"), JSON.stringify({ ...spec, edges: simpleGraph.edges }))
    const { code, stderr } = await rspp(
      ["run", "--input", recording("goforward"), "--pipeline", "secret.json", "--timeline", "secret.timeline"],
      { cwd }
    )
    expect(code).toBe(3)
    expect(stderr).toContain("looks like a secret")
    expect(stderr).not.toContain(secrets.openAi)
  }, minute)
})
