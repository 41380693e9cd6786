import { schemaVersion } from "@rspp/contracts/Identity"
import { simpleGraph, simpleProviders } from "@rspp/control/SimpleGraph"
import { nodePorts } from "@rspp/control/NodeTypes"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Ended } from "./support/Program.ts"
import { recording, rspp, runAll } from "./support/Program.ts"
import { wave } from "./support/Wave.ts"

// Each run is the real program in a process of its own, in a directory of its own files.
const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-"))
const write = (name: string, content: string | Uint8Array) => writeFileSync(join(cwd, name), content)
const run = (...args: ReadonlyArray<string>) => () => rspp(args, { cwd })
const minute = 120_000

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const goforward = readFileSync(recording("goforward")).subarray(44)

const spec = { schema_version: schemaVersion, pipeline_id: "p", pipeline_version: "p/1" }
const boundNodes = simpleGraph.nodes.map((node) => {
  const modality = nodePorts[node.node_type].provider
  return modality === undefined ? node : { ...node, provider_id: simpleProviders[modality] }
})

describe("bad input", () => {
  const play = (input: string, ...more: ReadonlyArray<string>) =>
    run("run", "--speed", "max", "--input", input, ...more)
  const pipeline = (name: string) => play("silence.wav", "--pipeline", name)
  const runs = {
    missing: play("missing.wav"),
    directory: play("."),
    notWav: play("text.wav"),
    empty: play("empty.wav"),
    noSamples: play("header.wav"),
    codec: play("mp3.wav"),
    rate: play("slow.wav"),
    silence: play("silence.wav", "--output", "silence-reply.wav", "--timeline", "silence.timeline"),
    overItself: play("own.wav", "--output", "own.wav"),
    overNotes: play("own.wav", "--output", "notes.txt"),
    overTimeline: play("own.wav", "--timeline", "notes.txt"),
    noDirectory: play("own.wav", "--timeline", "nowhere/call.timeline"),
    noSpec: pipeline("missing.yaml"),
    specSyntax: pipeline("syntax.json"),
    unknownNode: pipeline("unknown-node.yaml"),
    cycle: pipeline("cycle.json"),
    noProvider: pipeline("no-provider.json"),
    unknownProvider: pipeline("unknown-provider.json"),
    bound: pipeline("bound.yaml"),
    noServer: pipeline("server.json"),
    script: run("run", "--speed", "max", "--script", "script.json"),
    scriptField: run("run", "--speed", "max", "--script", "field.json"),
    timelineDirectory: run("timeline", "show", "."),
    address: () =>
      rspp(["run", "--speed", "max", "--input", "silence.wav"], {
        cwd,
        env: { RSPP_LLM_BASE_URL: "localhost/v1", RSPP_LLM_MODEL: "m" }
      }),
    unreachable: () =>
      rspp(["run", "--speed", "max", "--input", "own.wav"], {
        cwd,
        env: { RSPP_LLM_BASE_URL: "http://127.0.0.1:9/v1", RSPP_LLM_MODEL: "m" }
      })
  }
  let ended: Record<keyof typeof runs, Ended>

  beforeAll(async () => {
    write("text.wav", "this is text, whatever its name says")
    write("empty.wav", "")
    write("header.wav", wave(new Uint8Array(0)))
    write("mp3.wav", wave(new Uint8Array(8000), { format: 0x55 }))
    write("slow.wav", wave(new Uint8Array(8000), { rate: 4000 }))
    write("silence.wav", wave(new Uint8Array(32_000)))
    write("own.wav", wave(goforward))
    write("notes.txt", "do not lose me")
    write("syntax.json", `{ "schema_version": "v1.0",\n  pipeline_id: 1 }`)
    write(
      "unknown-node.yaml",
      `schema_version: v1.0\npipeline_id: p\npipeline_version: p/1\nnodes:\n  - node_id: input\n    node_type: audio_inptu\nedges: []\n`
    )
    const back = { from_node_id: "tts", to_node_id: "turn", payload_kind: "transcript" }
    write("cycle.json", JSON.stringify({ ...spec, nodes: boundNodes, edges: [...simpleGraph.edges, back] }, null, 2))
    write("no-provider.json", JSON.stringify({ ...spec, nodes: simpleGraph.nodes, edges: simpleGraph.edges }))
    write("unknown-provider.json", JSON.stringify({ ...spec, providers: { tts: "embedded/flit" } }))
    write(
      "bound.yaml",
      `schema_version: v1.0\npipeline_id: p\npipeline_version: p/1\nsession_config:\n  voice_activity:\n    on_threshold: 1.5\n`
    )
    write("server.json", JSON.stringify({ ...spec, providers: { llm: "openai/compatible" } }))
    write("field.json", JSON.stringify({ steps: [{ sing: "own.wav" }] }))
    write("script.json", JSON.stringify({ steps: [{ say: "missing.wav" }] }))
    ended = await runAll(runs)
  }, minute)

  it.each(
    [
      ["missing", 3, "missing.wav cannot be played: there is no such file"],
      ["directory", 3, "it is a directory"],
      ["notWav", 3, "it is not a WAV"],
      ["empty", 3, "it is empty (0 bytes)"],
      ["noSamples", 3, "it has no samples"],
      ["codec", 3, "it holds MP3, which cannot be read"],
      ["rate", 3, "its sample rate is 4000 Hz; 8000 to 192000 Hz can be read"],
      ["silence", 3, "no speech was heard"],
      ["overItself", 3, "own.wav is an input"],
      ["overNotes", 3, "notes.txt exists and is not a WAV file"],
      ["overTimeline", 3, "notes.txt exists already, and a timeline is never overwritten"],
      ["noDirectory", 3, "there is no directory nowhere"],
      ["noSpec", 3, "missing.yaml: there is no such pipeline file"],
      ["specSyntax", 3, "syntax.json:2:3: expected a key in double quotes"],
      ["unknownNode", 3, `unknown-node.yaml:6:5: node "input" has the unknown type "audio_inptu"`],
      ["cycle", 3, "the graph has a cycle: turn → llm → sentences → tts → turn"],
      ["noProvider", 3, `node "tts" is a text_to_speech and has no provider`],
      ["unknownProvider", 3, `there is no provider "embedded/flit". Did you mean "embedded/flite"`],
      ["bound", 3, "bound.yaml:6:5: session_config.voice_activity.on_threshold must be a number from 0 to 1, not 1.5"],
      ["noServer", 69, "openai/compatible is not configured: base_url and model are not set"],
      ["script", 3, "missing.wav cannot be played: there is no such file"],
      ["scriptField", 3, `A script is, for example: { "steps": [{ "say": "question.wav" }`],
      ["timelineDirectory", 3, ".: is a directory"],
      ["address", 69, "RSPP_LLM_BASE_URL: an address that begins with http"],
      [
        "unreachable",
        69,
        "no turn was answered: openai/compatible failed: the language model server could not be reached"
      ]
    ] as const
  )("%s: exit %i, and says what is wrong", (name, code, message) => {
    const { code: actual, stderr, stdout } = ended[name]
    expect(stderr).toContain(message)
    expect(actual).toBe(code)
    expect(`${stdout}${stderr}`).not.toMatch(/\n\s+at .*\.ts:\d+/u)
  })

  it("loses nothing: what was there is left as it was", () => {
    expect(readFileSync(join(cwd, "own.wav")).equals(wave(goforward))).toBe(true)
    expect(readFileSync(join(cwd, "notes.txt"), "utf8")).toBe("do not lose me")
  })

  it("writes the files of a call in which nobody was heard", () => {
    expect(readFileSync(join(cwd, "silence-reply.wav")).length).toBeGreaterThan(44)
    expect(existsSync(join(cwd, "silence.timeline"))).toBe(true)
  })
})

describe("the command line", () => {
  const runs = {
    nothing: run(),
    help: run("--help"),
    version: run("--version"),
    runHelp: run("run", "--help"),
    flag: run("run", "--inputt", "x"),
    command: run("rnu"),
    value: run("run", "--input", "x", "--speed", "fast"),
    caller: run("run"),
    both: run("run", "--input", "x", "--script", "y"),
    raw: run("run", "--input", "x", "--raw-channels", "2"),
    noFile: run("replay"),
    schemas: run("contracts", "schema"),
    schema: run("contracts", "schema", "turn_transition"),
    noSchema: run("contracts", "schema", "nothing"),
    doctor: run("doctor", "--json")
  }
  let ended: Record<keyof typeof runs, Ended>
  beforeAll(async () => {
    ended = await runAll(runs)
  }, minute)

  it("shows every command in its help, and the exit codes", () => {
    for (const name of ["run", "demo", "replay", "timeline", "contracts", "doctor", "130 interrupted"]) {
      expect(ended.help.stdout).toContain(name)
    }
    expect(ended.help.code).toBe(0)
    expect(ended.nothing.stdout).toContain("USAGE")
    expect(ended.runHelp.stdout).toContain("--timeline")
  })

  it("writes no colours where there is no terminal", () => {
    expect(ended.help.stdout).not.toContain("\u001b[")
    expect(ended.flag.stderr).not.toContain("\u001b[")
  })

  it.each(
    [
      ["flag", "Unrecognized flag: --inputt"],
      ["command", `Unknown subcommand "rnu"`],
      ["value", `"fast"`],
      ["caller", "give --input FILE (or -) or --script FILE"],
      ["both", "--input and --script exclude each other"],
      ["raw", "--raw-channels needs --raw-rate"],
      ["noFile", "FILE"],
      ["noSchema", "there is no kind of artifact nothing"]
    ] as const
  )("%s: a usage error exits 2 and says what is wrong, on standard error only", (name, message) => {
    expect(ended[name].stderr).toContain(message)
    expect(ended[name].code).toBe(2)
    expect(ended[name].stdout).toBe("")
  })

  it("prints the schemas that are checked in", () => {
    const file = new URL("../../../contracts/schema/turn_transition.json", import.meta.url)
    expect(ended.schema.stdout).toBe(readFileSync(file, "utf8"))
    expect(ended.schemas.stdout.trim().split("\n")).toContain("resolved_turn_plan")
  })

  it("says in doctor what can run here", () => {
    const found = JSON.parse(ended.doctor.stdout) as {
      readonly can_run: boolean
      readonly providers: ReadonlyArray<
        { readonly provider_id: string; readonly ready: boolean; readonly remedy?: string }
      >
    }
    expect(ended.doctor.code).toBe(0)
    expect(found.can_run).toBe(true)
    expect(found.providers.filter(({ ready }) => ready).map(({ provider_id }) => provider_id)).toEqual([
      "embedded/silero",
      "embedded/moonshine",
      "embedded/rules",
      "embedded/flite"
    ])
    expect(found.providers.find(({ provider_id }) => provider_id === "openai/compatible")?.remedy).toContain(
      "RSPP_LLM_BASE_URL"
    )
  })
})

describe("contracts validate", () => {
  const fixture = (path: string) => new URL(`../../../contracts/fixtures/${path}`, import.meta.url)
  const valid = JSON.parse(readFileSync(fixture("valid/turn_transition/turn_open.json"), "utf8")) as object
  const runs = {
    valid: run("contracts", "validate", "valid.json", "spec.yaml"),
    invalid: run("contracts", "validate", "valid.json", "invalid.json", "missing.json"),
    kind: run("contracts", "validate", "--kind", "control_signal", "valid.json"),
    noKind: run("contracts", "validate", "--kind", "nothing", "valid.json"),
    unreadable: run("contracts", "validate", "broken.json"),
    lines: run("contracts", "validate", "--json", "mixed.jsonl")
  }
  let ended: Record<keyof typeof runs, Ended>
  beforeAll(async () => {
    write("valid.json", JSON.stringify(valid))
    write("invalid.json", JSON.stringify({ ...valid, from_state: "Idle" }))
    write("broken.json", "{")
    write("spec.yaml", "schema_version: v1.0\npipeline_id: p\npipeline_version: p/1\n")
    write("mixed.jsonl", `${JSON.stringify(valid)}\n${JSON.stringify({ ...valid, extra: 1 })}\n`)
    ended = await runAll(runs)
  }, minute)

  it("says a line per file and guesses the kind", () => {
    expect(ended.valid).toMatchObject({
      code: 0,
      stdout: "valid.json: valid turn_transition\nspec.yaml: valid pipeline_spec\n"
    })
  })

  it("names the field and the rule of what is invalid, and goes on", () => {
    expect(ended.invalid.code).toBe(1)
    expect(ended.invalid.stdout).toContain(
      "invalid.json: invalid turn_transition: from_state: turn_open is legal only from Opening [transition.turn_open.from-state]"
    )
    expect(ended.invalid.stdout).toContain("missing.json: unreadable file: there is no such file")
  })

  it("judges against the kind that it is told", () => {
    expect(ended.kind.code).toBe(1)
    expect(ended.kind.stdout).toContain("invalid control_signal")
    expect(ended.noKind.code).toBe(2)
  })

  it("exits 3 when a file cannot be read as JSON, and only then", () => {
    expect(ended.unreadable.code).toBe(3)
    expect(ended.lines.code).toBe(1)
    expect(JSON.parse(ended.lines.stdout)).toMatchObject({ artifacts: 2, valid: false, kind: "turn_transition" })
    expect(ended.lines.stdout).toContain("line 2: ")
  })
})

describe("a call", () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.end(
      `data: ${
        JSON.stringify({ choices: [{ index: 0, delta: { content: "I come from a server." }, finish_reason: "stop" }] })
      }\n\ndata: [DONE]\n\n`
    )
  })
  const runs = {
    stereo: () =>
      rspp([
        "run",
        "--input",
        "stereo.wav",
        "--speed",
        "max",
        "--json",
        "--timeline",
        "calls/",
        "--output",
        "reply.wav"
      ], { cwd }),
    short: run("run", "--input", "short.wav", "--speed", "max", "--trace", "spans.json"),
    head: () =>
      rspp(["run", "--input", "own.wav", "--speed", "max", "--timeline", "head.timeline", "--output", "head.wav"], {
        cwd,
        watch: (_, child) => child.stdout?.destroy()
      }),
    raw: () =>
      rspp(["run", "--input", "-", "--raw-rate", "16000", "--speed", "max", "--json"], { cwd, stdin: goforward }),
    server: () => {
      const { port } = server.address() as AddressInfo
      const env = { RSPP_LLM_BASE_URL: `http://127.0.0.1:${port}/v1`, RSPP_LLM_MODEL: "m" }
      return rspp(["run", "--input", "own.wav", "--speed", "max", "--json"], { cwd, env })
    }
  }
  let ended: Record<keyof typeof runs, Ended>
  const said = ({ stdout }: Ended) =>
    (JSON.parse(stdout) as { readonly conversation: ReadonlyArray<{ readonly who: string; readonly text: string }> })
      .conversation

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    mkdirSync(join(cwd, "calls"))
    const samples = new Int16Array(
      goforward.buffer.slice(goforward.byteOffset, goforward.byteOffset + goforward.length)
    )
    const both = Int16Array.from({ length: samples.length * 2 }, (_, i) => samples[i >> 1] ?? 0)
    write("own.wav", wave(goforward))
    write("stereo.wav", wave(new Uint8Array(both.buffer), { channels: 2 }))
    write("short.wav", wave(goforward).subarray(0, 60_044))
    ended = await runAll(runs)
  }, minute)
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  it("mixes stereo down with a notice, and records into a directory", () => {
    expect(ended.stereo.code).toBe(0)
    const summary = JSON.parse(ended.stereo.stdout) as {
      readonly notices: ReadonlyArray<string>
      readonly files: { readonly timeline: string }
    }
    expect(summary.notices).toContain("stereo.wav is stereo; it was mixed down to mono.")
    expect(existsSync(join(cwd, summary.files.timeline))).toBe(true)
    expect(said(ended.stereo)[0]).toMatchObject({ who: "you", text: expect.stringMatching(/^go forward ten met/iu) })
  })

  it("goes on to its end when the reader of its output leaves: the files are complete", async () => {
    expect(ended.head).toMatchObject({ code: 0, stderr: "" })
    expect(readFileSync(join(cwd, "head.wav")).length).toBeGreaterThan(100_000)
    const verified = await rspp(["timeline", "verify", "head.timeline"], { cwd })
    expect(verified.stdout).toContain("1 of 1 accepted turns complete")
  })

  it("plays what there is of a WAV that is cut short, with a notice, and shows it line by line", () => {
    expect(ended.short.code).toBe(0)
    expect(ended.short.stderr).toContain("short.wav is cut short")
    expect(ended.short.stdout).toMatch(/ agent {2}"/u)
    expect(ended.short.stdout).toMatch(/turn_1 +\d+ +\d+ +\d+ +\d+ +\d+ +\d+ {2}committed/u)
  })

  it("writes the spans of the call where --trace says", () => {
    const spans = readFileSync(join(cwd, "spans.json"), "utf8")
    for (const name of ["session", "turn", "llm embedded/rules"]) expect(spans).toContain(`"name":"${name}"`)
  })

  it("reads raw PCM from standard input", () => {
    expect(ended.raw.code).toBe(0)
    expect(said(ended.raw)).toHaveLength(3)
  })

  it("lets the server that the environment names answer", () => {
    expect(ended.server.code).toBe(0)
    expect(said(ended.server)[1]).toMatchObject({ who: "agent", text: "I come from a server." })
  })
})
