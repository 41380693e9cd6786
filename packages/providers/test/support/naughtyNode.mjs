// A node that does as it is told by the text of its item, good or bad.
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const mode = process.argv[2] ?? "good"
if (mode === "silent") setInterval(() => {}, 1000)
if (mode === "exits") process.exit(3)

let held = []
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, notice, settings, text, type } = JSON.parse(line)
  switch (type) {
    case "hello":
      if (mode === "old") return say({ type: "hello", protocol: "rspp-node/0" })
      if (mode !== "silent") say({ type: "hello", protocol: "rspp-node/1" })
      return
    case "item":
      switch (text) {
        case "hang":
          return
        case "busy":
          for (;;);
        case "deaf":
          process.on("SIGTERM", () => {})
          for (;;);
        case "die":
          process.exit(3)
          return
        case "killed":
          process.kill(process.pid, "SIGKILL")
          return
        case "garbage":
          process.stdout.write("debug: the caller said secret\n")
          return
        case "endless":
          process.stdout.write("x".repeat(3_000_000))
          return
        case "stderr":
          process.stderr.write(
            "the caller said \"my secret\", card 4111222233334444, key sk_live_abcdefghijklmnopqrstuv\n"
          )
          break
        case "refuse":
          return say({ type: "failed", id, outcome_class: "blocked", message: "not here" })
        case "hoard":
          for (;;) held.push(Buffer.alloc(8_000_000, 1))
        case "heap":
          for (;;) held.push({ of: held.length, more: [held.length] })
        case "flood":
          for (let i = 0; i < 2000; i++) say({ type: "output", id, text: `${i}` })
          return say({ type: "done", id })
        case "stranger":
          return say({ type: "done", id: 999 })
        case "grandchild":
          say({ type: "output", id, text: `${spawn("sleep", ["60"], { stdio: "ignore" }).pid}` })
          return say({ type: "done", id })
        case "pid":
          say({ type: "output", id, text: `${process.pid}` })
          return say({ type: "done", id })
      }
      say({ type: "log", message: "worked" })
      say({ type: "count", name: "items" })
      say({ type: "output", id, text: `${settings ?? ""}${text}!`, label: "said" })
      return say({ type: "done", id })
    case "end":
      say({ type: "output", id, text: held.join() })
      return say({ type: "done", id })
    case "notice":
      held.push(notice)
      return
    case "cancel":
      return say({ type: "cancelled", id })
    case "bye":
      process.exit()
  }
})
