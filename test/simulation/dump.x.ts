import { runSeed } from "@rspp/simulation/Run"
import { optionsOf } from "./Call.ts"
const [, , file, idx = "0", seed = "1"] = process.argv
const { scenario } = await import(new URL(file!, `file://${process.cwd()}/`).href)
const one = scenario.cases[Number(idx)]
const result = runSeed(Number(seed), {
  ...optionsOf(one, one.script),
  trace: (ms, line) => {
    if (!/"?(audio|text_delta|voice_chunk|enqueue_output|keep_state)/.test(line)) {
      console.log(ms.toFixed(1).padStart(9), line.slice(0, 260))
    }
  }
})
console.log(result.violations, result.sessions[0]!.happened)
