import { parentPort } from "node:worker_threads"
import "../../src/vad/silero.worker.ts"

// The real worker, and one that dies of a frame of 666s.
parentPort!.on("message", ({ request }: { readonly request: { readonly samples?: Int16Array } }) => {
  if (request.samples?.[0] === 666) process.exit(1)
})
