import { defineConfig } from "vitest/config"

// Run with `vitest run --config vitest.workspace.ts`: Vitest 5 reads a workspace only when it is named.
const project = (name: string, include: ReadonlyArray<string>, testTimeout = 20_000) => ({
  extends: true as const,
  test: { name, include: [...include], testTimeout }
})

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    projects: [
      project("contracts", ["contracts/test/**/*.test.ts"]),
      project("packages", ["packages/*/test/**/*.test.ts"]),
      project("cross", ["test/**/*.test.ts", "!test/e2e/**"]),
      project("e2e", ["test/e2e/**/*.test.ts"], 300_000)
    ]
  }
})
