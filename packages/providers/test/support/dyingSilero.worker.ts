import { parentPort } from "node:worker_threads"

// The real worker, which dies of a frame of 666s before it could answer.
parentPort!.on("message", ({ request }: { readonly request: { readonly samples?: Int16Array } }) => {
  if (request.samples?.[0] === 666) process.exit(1)
})

await import("../../src/vad/silero.worker.ts")
