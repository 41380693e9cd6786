import { assert, describe, it } from "@effect/vitest"
import { processNode } from "@rspp/providers/nodes/ProcessNode"
import type { ProcessNodeOptions } from "@rspp/providers/nodes/ProcessNode"
import { bargeIn, cancel, runTurn, runTurns, text, voice } from "@rspp/runtime/nodes/NodeTestKit"
import type { NodeEvent } from "@rspp/runtime/nodes/NodeTestKit"
import { Effect, Exit } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

const naughty = join(import.meta.dirname, "../support/naughtyNode.mjs")
const node = (mode = "good", more: Partial<ProcessNodeOptions> = {}) =>
  processNode({
    id: "test/process",
    command: [process.execPath, naughty, mode],
    inputs: ["segment"],
    outputs: ["segment"],
    timeouts: { startMs: 5000, itemMs: 1000 },
    ...more
  })

const say = (...texts: ReadonlyArray<string>): ReadonlyArray<NodeEvent> => texts.map((one) => text(0, "segment", one))
const options = { clock: "real", graceMs: 300 } as const

/** A zombie is gone as well as it can be: it has only not been waited for. */
const isRunning = (pid: string | undefined) => {
  const path = `/proc/${pid}/stat`
  return existsSync(path) && !/\) Z /u.test(readFileSync(path, "utf8"))
}

describe("a node in a process", () => {
  it.live("works on items, and says what it finds, counts and logs", () =>
    Effect.gen(function*() {
      const run = yield* runTurn(node(), [...say("a", "b"), bargeIn(0)], options)
      assert.deepStrictEqual(run.texts.slice(0, 2), ["a!", "b!"])
      assert.strictEqual(run.outputs[0]?.facts.label, "said")
      assert.strictEqual(run.outcome, "success")
      assert.deepStrictEqual(run.counts, { items: 2 })
      assert.deepStrictEqual(run.logs, ["worked", "worked"])
    }))

  it.live("takes and gives voice", () =>
    Effect.gen(function*() {
      const script = `
        const rl = require("node:readline").createInterface({ input: process.stdin })
        const say = (m) => process.stdout.write(JSON.stringify(m) + "\\n")
        rl.on("line", (line) => {
          const m = JSON.parse(line)
          if (m.type === "hello") say({ type: "hello", protocol: "rspp-node/1" })
          if (m.type === "item") { say({ type: "output", id: m.id, audio: m.audio }); say({ type: "done", id: m.id }) }
          if (m.type === "end") say({ type: "done", id: m.id })
          if (m.type === "bye") process.exit()
        })`
      const echo = node("", { command: [process.execPath, "-e", script], inputs: ["voice"], outputs: ["voice"] })
      const run = yield* runTurn(echo, [voice(0, Int16Array.of(1, -2, 32_767, -32_768))], options)
      assert.deepStrictEqual(run.outputs.map(({ kind, samples }) => [kind, samples]), [["voice", 4]])
    }))

  it.live("stays for the session, and is gone with it", () =>
    Effect.gen(function*() {
      const { turns } = yield* runTurns(node(), [say("pid"), say("pid")], options)
      const [one, two] = turns.map(({ texts }) => texts[0])
      assert.strictEqual(one, two)
      assert.isFalse(isRunning(one))
      const each = yield* runTurns(node("good", { scope: "turn" }), [say("pid"), say("pid")], options)
      assert.strictEqual(new Set(each.turns.map(({ texts }) => texts[0])).size, 2)
    }))

  it.live("takes with it what it began", () =>
    Effect.gen(function*() {
      const run = yield* runTurn(node(), say("grandchild"), options)
      yield* Effect.sleep(100)
      assert.isDefined(run.texts[0])
      assert.isFalse(isRunning(run.texts[0]))
    }))

  it.live("is held back when it says more than there is room for, and loses nothing", () =>
    Effect.gen(function*() {
      const run = yield* runTurn(node(), say("flood"), options)
      assert.deepStrictEqual(run.texts.slice(0, 2000), Array.from({ length: 2000 }, (_, i) => `${i}`))
    }))
})

describe("a process that", () => {
  const endOf = (mode: string, item: string, more: Partial<ProcessNodeOptions> = {}) =>
    Effect.map(
      runTurns(node(mode, more), [say(item), say("again")], options),
      ({ turns: [first, second] }) => [`${first?.outcome}: ${first?.reason}`, second?.texts[0] ?? second?.outcome]
    )

  it.live("dies, or is killed, fails its turn; the next has a new one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* endOf("good", "die"), [
        "infrastructure_failure: the process ended with exit code 3",
        "again!"
      ])
      assert.deepStrictEqual(yield* endOf("good", "killed"), [
        "infrastructure_failure: the process ended by SIGKILL",
        "again!"
      ])
    }))

  it.live("cannot start, or speaks another version, says so", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* endOf("good", "x", { command: ["/no/such/program"] }), [
        "infrastructure_failure: it could not be started (ENOENT)",
        "infrastructure_failure"
      ])
      assert.include((yield* endOf("exits", "x"))[0], "the process ended with exit code 3")
      assert.include((yield* endOf("old", "x"))[0], "it speaks rspp-node/0; this runtime speaks rspp-node/1")
      assert.include((yield* endOf("silent", "x", { timeouts: { startMs: 300 } }))[0], "timeout: start_timeout")
    }), 20_000)

  it.live("writes what is no message is stopped, and nothing of it is repeated", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* endOf("good", "garbage"), [
        "infrastructure_failure: line 2 of its output is no message of the protocol",
        "again!"
      ])
      assert.include((yield* endOf("good", "endless"))[0], "line 2 of its output is no message of the protocol")
      assert.include((yield* endOf("good", "stranger"))[0], "it answers request 999, which was never made")
    }), 20_000)

  it.live("takes too much memory is killed", () =>
    Effect.gen(function*() {
      const small = { memoryMb: 64, timeouts: { startMs: 5000, itemMs: 20_000 } }
      assert.deepStrictEqual(yield* endOf("good", "hoard", small), [
        "infrastructure_failure: it took more than 64 MB of memory",
        "again!"
      ])
      assert.match(
        (yield* endOf("good", "heap", small))[0] ?? "",
        /the process ended by SIGABRT|it took more than 64 MB/u
      )
    }), 60_000)

  it.live("hangs runs out of time", () =>
    Effect.gen(function*() {
      const hasty = { timeouts: { startMs: 5000, itemMs: 200 } }
      assert.deepStrictEqual(yield* endOf("good", "hang", hasty), ["timeout: item_timeout", "again!"])
      assert.deepStrictEqual(yield* endOf("good", "busy", hasty), ["timeout: item_timeout", "again!"])
    }), 20_000)

  it.live("refuses is taken at its word", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* endOf("good", "refuse"), ["blocked: not here", "again!"])
    }))

  it.live("complains is logged, without what may be secret", () =>
    Effect.gen(function*() {
      const run = yield* runTurn(node(), say("stderr"), options)
      assert.include(run.logs, "the caller said \"…\", card …, key …")
    }))
})

describe("a cancel of a node in a process", () => {
  const cancelled = (item: string) =>
    Effect.gen(function*() {
      const { turns } = yield* runTurns(node(), [say("pid"), [...say(item), cancel(100)], say("pid")], options)
      const [before, at, after] = turns
      assert.deepInclude(at, { outcome: "cancelled", reason: undefined }, item)
      assert.isBelow(at?.endedMs ?? 999, 100 + 200)
      return before?.texts[0] === after?.texts[0]
    })

  it.live("lets go by message, and the process stays", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* cancelled("hang"))
    }))

  it.live("that it does not hear goes by SIGTERM, then SIGKILL, within the grace", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* cancelled("busy"))
      assert.isFalse(yield* cancelled("deaf"))
    }))
})

describe("the settings of a node in a process", () => {
  it.live("are handed on", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(runTurn(node(), say("x"), { ...options, settings: { loud: true } }))
      assert.isTrue(Exit.isSuccess(exit))
    }))
})
