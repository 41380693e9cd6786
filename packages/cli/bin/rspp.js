#!/usr/bin/env node
// The rspp program. Plain JavaScript, so that an old Node can read it and say what is missing.
import * as nodeModule from "node:module"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"

/** The oldest Node that runs TypeScript by itself and that Effect's platform package accepts. */
const oldest = [22, 19]
const unavailable = 69

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) {
  nodeModule.enableCompileCache?.()
  await import("../src/main.ts")
} else {
  await runOnNewerNode()
}

/**
 * Hands over to the Node of the npm package `node`: that of the repository, or one that a project installed beside this
 * package. Signals are passed on, and its exit code is ours.
 */
async function runOnNewerNode() {
  const node = ["../../../node_modules/node/bin/node", "../../../node/bin/node"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))
  if (node === undefined || process.env.RSPP_NODE_TRIED !== undefined) {
    console.error(`rspp: Node.js ${process.versions.node} is too old; ${oldest.join(".")} or newer is needed.`)
    console.error(
      "      In a project: npm install node@24. In the repository: make install. Either brings Node 24; then run this again."
    )
    process.exit(unavailable)
  }
  const { spawn } = await import("node:child_process")
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, RSPP_NODE_TRIED: "1" }
  })
  // A terminal sends Ctrl-C to both processes; the child decides when to end.
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.on("SIGHUP", () => child.kill("SIGHUP"))
  child.on("error", (error) => {
    console.error(`rspp: ${node} could not be started: ${error.message}`)
    process.exit(unavailable)
  })
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
