import { parentPort } from "node:worker_threads"

// Dies before the real worker, which listens after it, could answer.
parentPort!.on("message", ({ request }: { readonly request: { readonly text: string } }) => {
  if (request.text.includes("die now")) process.exit(1)
})

await import("../../src/tts/flite.worker.ts")
