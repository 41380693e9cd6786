import { defineConfig } from "vitest/config"

// Run with `vitest run --config vitest.workspace.ts`: Vitest 5 reads a workspace only when it is named.

/** Real models run here, or the whole program: these have the machine for themselves, after all the others. */
const speech = [
  "packages/providers/test/**/*.test.ts",
  "packages/cli/test/**/*.test.ts",
  "test/e2e/**/*.test.ts",
  // Media of real rooms, in real time.
  "packages/transports/test/livekit/*.live.test.ts",
  "test/livekit/*.live.test.ts",
  // Processes that must have their turn in time.
  "test/lease/hammer.test.ts",
  "test/soak/rooms.test.ts"
]

const quick = (name: string, include: ReadonlyArray<string>) => ({
  extends: true as const,
  test: {
    name,
    include: [...include],
    exclude: [...speech, "**/node_modules/**"],
    testTimeout: 30_000,
    sequence: { groupOrder: 0 }
  }
})

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    projects: [
      quick("contracts", ["contracts/test/**/*.test.ts"]),
      quick("packages", ["packages/*/test/**/*.test.ts"]),
      quick("cross", ["test/**/*.test.ts"]),
      {
        extends: true,
        test: { name: "speech", include: speech, testTimeout: 300_000, maxWorkers: 1, sequence: { groupOrder: 1 } }
      }
    ]
  }
})
