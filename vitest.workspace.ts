import { defineConfig } from "vitest/config"

// Run with `vitest run --config vitest.workspace.ts`: Vitest 5 reads a workspace only when it is named.

/** These have the machine for themselves, after all the others: media with times that count. */
const alone = ["test/e2e/demo.test.ts", "test/e2e/livekit/{bargeIn,cutByText}.test.ts"]

/** Processes that must have their turn in time (what one does is over when another comes too late), and loads that are measured. */
const timely = [
  "packages/transports/test/livekit/Room.conformance.live.test.ts",
  "test/e2e/livekit/takeover.test.ts",
  "packages/cli/test/{interrupt,leases,writers}.test.ts",
  "test/lease/hammer.test.ts",
  "test/soak/rooms.test.ts"
]

/**
 * The whole program runs here, real models, and calls through WebRTC: several processes each, which wait as much as they work,
 * and take as long as they need.
 */
const programs = [
  "packages/cli/test/**/*.test.ts",
  "packages/providers/test/{FliteTextToSpeech,MoonshineSpeechToText,SileroVoiceActivity,WorkerClient}.test.ts",
  "packages/providers/test/nodes/ProcessNode.test.ts",
  "{packages/transports/test,test}/livekit/*.live.test.ts",
  "test/e2e/**/*.test.ts",
  "test/packages/emptyProject.test.ts"
]

const quick = (name: string, include: ReadonlyArray<string>) => ({
  extends: true as const,
  test: {
    name,
    include: [...include],
    exclude: [...alone, ...timely, ...programs, "**/node_modules/**"],
    testTimeout: 30_000,
    sequence: { groupOrder: 0 }
  }
})

export default defineConfig({
  test: {
    pool: "forks",
    // As in the program: LiveKit's native client writes its debug log to standard output otherwise.
    env: { NODE_ENV: "production" },
    maxWorkers: 2,
    projects: [
      quick("contracts", ["contracts/test/**/*.test.ts"]),
      quick("packages", ["packages/*/{test,examples}/**/*.test.ts"]),
      quick("cross", ["test/**/*.test.ts"]),
      {
        extends: true,
        test: {
          name: "programs",
          include: programs,
          exclude: [...alone, ...timely, "**/node_modules/**"],
          testTimeout: 300_000,
          // They mostly wait: with two at a time two cores are half idle.
          maxWorkers: 3,
          sequence: { groupOrder: 1 }
        }
      },
      {
        extends: true,
        test: {
          name: "timely",
          include: timely,
          testTimeout: 300_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 }
        }
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: alone,
          testTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 }
        }
      }
    ]
  }
})
