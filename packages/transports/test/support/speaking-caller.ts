// A caller in a process of its own, which says a tone of 440 Hz without end: node speaking-caller.ts URL TOKEN
import { joinPlainCaller } from "./PlainCaller.ts"
import { tone } from "./Tones.ts"

const [url, token] = process.argv.slice(2)
const caller = await joinPlainCaller(url!, token!)
await caller.publish()
process.stdout.write("speaking\n")
for (let from = 0;; from += 16_000) await caller.say(tone(440, 16_000, from))
