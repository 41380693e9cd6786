import { defineConfig } from "vitest/config"

// Run with `vitest run --config vitest.workspace.ts`: Vitest 5 reads a workspace only when it is named.

/**
 * These have the machine for themselves, after all the others: real models, media with times that count, and calls in real
 * time.
 */
const alone = [
  "packages/providers/test/**/*.test.ts",
  "test/e2e/demo.test.ts",
  "packages/cli/test/{drain,interrupt,leases,pipelines,registered,standby,worker,writers}.test.ts",
  "packages/transports/test/livekit/Room.conformance.live.test.ts",
  "test/e2e/livekit/{bargeIn,cutByText,takeover}.test.ts",
  // Processes that must have their turn in time.
  "test/lease/hammer.test.ts",
  "test/soak/rooms.test.ts"
]

/** The whole program runs here. */
const programs = ["packages/cli/test/**/*.test.ts", "test/e2e/**/*.test.ts"]

/** Calls through WebRTC, of several processes: they mostly wait. */
const rooms = ["test/e2e/livekit/*.test.ts", "{packages/transports/test,test}/livekit/*.live.test.ts"]

const quick = (name: string, include: ReadonlyArray<string>) => ({
  extends: true as const,
  test: {
    name,
    include: [...include],
    exclude: [...alone, ...programs, ...rooms, "**/node_modules/**"],
    testTimeout: 30_000,
    sequence: { groupOrder: 0 }
  }
})

const together = (
  name: string,
  include: ReadonlyArray<string>,
  exclude: ReadonlyArray<string>
) => ({
  extends: true as const,
  test: {
    name,
    include: [...include],
    exclude: [...alone, ...exclude, "**/node_modules/**"],
    testTimeout: 300_000,
    maxWorkers: 2,
    sequence: { groupOrder: 1 }
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
      together("programs", programs, rooms),
      together("rooms", rooms, []),
      {
        extends: true,
        test: {
          name: "alone",
          include: alone,
          testTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 }
        }
      }
    ]
  }
})
