// An external node: says numbers below a hundred in words, so that every voice says them alike.
// It reads one JSON object a line and answers in the same way; see docs/nodes.md.
import { createInterface } from "node:readline"

const small =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    .split(" ")
const tens = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ")
const inWords = (n) => small[n] ?? tens[Math.floor(n / 10) - 2] + (n % 10 === 0 ? "" : `-${small[n % 10]}`)

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

createInterface({ input: process.stdin }).on("line", (line) => {
  const { type, id, text } = JSON.parse(line)
  if (type === "hello") say({ type: "hello", protocol: "rspp-node/1" })
  if (type === "item") {
    say({ type: "output", id, text: text.replaceAll(/\b\d{1,2}\b/g, (digits) => inWords(Number(digits))) })
    say({ type: "done", id })
  }
  if (type === "end") say({ type: "done", id })
  if (type === "cancel") say({ type: "cancelled", id })
  if (type === "bye") process.exit()
})
