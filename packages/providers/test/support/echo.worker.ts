import { serve } from "../../src/internal/WorkerServer.ts"

serve<string, string>((request) => {
  if (request === "throw") throw new Error("thrown")
  if (request === "die") process.exit(3)
  // Blocks as a computation does; the test ends the worker.
  if (request === "wait") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  return { value: request }
})
