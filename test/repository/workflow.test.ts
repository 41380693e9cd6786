// .github: the workflow runs what it must, with what it must, and the ruleset requires the checks that there are.
import { assert, describe, it } from "@effect/vitest"
import { parseSpecText } from "@rspp/control/SpecFile"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./support/Page.ts"

const Step = Schema.Struct({
  uses: Schema.optionalKey(Schema.String),
  run: Schema.optionalKey(Schema.String),
  if: Schema.optionalKey(Schema.String),
  with: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
})
const Workflow = Schema.Struct({
  on: Schema.Struct({
    push: Schema.Struct({ branches: Schema.Array(Schema.String) }),
    schedule: Schema.Array(Schema.Struct({ cron: Schema.String })),
    pull_request: Schema.NullOr(Schema.Unknown)
  }),
  permissions: Schema.Record(Schema.String, Schema.String),
  jobs: Schema.Record(
    Schema.String,
    Schema.Struct({
      name: Schema.optionalKey(Schema.String),
      if: Schema.optionalKey(Schema.String),
      permissions: Schema.optionalKey(Schema.Unknown),
      "timeout-minutes": Schema.Int,
      steps: Schema.Array(Step)
    })
  )
})
const Ruleset = Schema.fromJsonString(Schema.Struct({
  target: Schema.Literal("branch"),
  enforcement: Schema.Literal("active"),
  conditions: Schema.Struct({ ref_name: Schema.Struct({ include: Schema.Array(Schema.String) }) }),
  bypass_actors: Schema.Array(Schema.Unknown),
  rules: Schema.Array(Schema.Struct({
    type: Schema.String,
    parameters: Schema.optionalKey(Schema.Struct({
      strict_required_status_checks_policy: Schema.optionalKey(Schema.Boolean),
      required_status_checks: Schema.optionalKey(Schema.Array(Schema.Struct({ context: Schema.String })))
    }))
  }))
}))

const read = (path: string) => readFileSync(join(root, path), "utf8")

const workflow = Effect.flatMap(
  parseSpecText(read(".github/workflows/verify.yml"), "verify.yml"),
  ({ value }) => Schema.decodeUnknownEffect(Workflow)(value)
)
const ruleset = Schema.decodeUnknownEffect(Ruleset)(read(".github/rulesets/main-and-release.json"))

describe("The workflow", () => {
  it.effect("runs both verifications and every test, for pull requests, main, release branches and each night", () =>
    Effect.gen(function*() {
      const { jobs, on } = yield* workflow
      assert.deepStrictEqual(on.push.branches, ["main", "release/*"])
      assert.lengthOf(on.schedule, 1)
      const runs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
      assert.includeMembers(runs, ["make verify-quick", "make verify-full", ".ci/run"])
      assert.include(read(".ci/run"), "make test")
      for (const [, target = ""] of runs.join("\n").matchAll(/make (\S+)/gu)) {
        assert.match(read("Makefile"), new RegExp(`^${target}:`, "mu"))
      }
    }))

  it.effect("pins each action to a commit, may only read, and keeps no credentials", () =>
    Effect.gen(function*() {
      const { jobs, permissions } = yield* workflow
      assert.deepStrictEqual(permissions, { contents: "read" })
      for (const [name, job] of Object.entries(jobs)) {
        assert.isUndefined(job.permissions, name)
        for (const { uses, with: settings } of job.steps) {
          if (uses === undefined) continue
          assert.match(uses, /^actions\/[a-z-]+@[0-9a-f]{40}$/u)
          if (uses.startsWith("actions/checkout@")) assert.strictEqual(settings?.["persist-credentials"], false, name)
        }
      }
    }))

  it.effect("keeps the artifacts of each verification, and fails when one is missing", () =>
    Effect.gen(function*() {
      const { jobs } = yield* workflow
      for (const mode of ["quick", "full"]) {
        const steps = jobs[`verify-${mode}`]?.steps ?? []
        const checks = steps.find(({ run }) =>
          run?.includes(`scripts/check-artifacts.ts ${mode} --commit "$GITHUB_SHA"`)
        )
        assert.strictEqual(checks?.if, "${{ !cancelled() }}")
        const upload = steps.find(({ uses }) => uses?.startsWith("actions/upload-artifact@"))
        assert.strictEqual(upload?.if, "${{ !cancelled() }}")
        assert.include(upload?.with, {
          path: `.rspp/verify/${mode}`,
          "if-no-files-found": "error",
          "include-hidden-files": true
        })
      }
    }))
})

describe("The ruleset", () => {
  it.effect("requires each job of the workflow, by its name, on main and release branches, of everybody", () =>
    Effect.gen(function*() {
      const { jobs } = yield* workflow
      const { bypass_actors, conditions, rules } = yield* ruleset
      assert.deepStrictEqual(conditions.ref_name.include, ["refs/heads/main", "refs/heads/release/*"])
      assert.deepStrictEqual(bypass_actors, [])
      const checks = rules.find(({ type }) => type === "required_status_checks")?.parameters
      assert.isTrue(checks?.strict_required_status_checks_policy)
      assert.sameMembers(
        checks?.required_status_checks?.map(({ context }) => context) ?? [],
        Object.entries(jobs).map(([id, { name }]) => name ?? id)
      )
      const types = rules.map(({ type }) => type)
      assert.includeMembers(types, ["required_linear_history", "pull_request", "non_fast_forward", "deletion"])
    }))

  it.effect("requires no job that a pull request into these branches would skip: skipped counts as passed", () =>
    Effect.gen(function*() {
      const { jobs } = yield* workflow
      const conditions = Object.values(jobs).flatMap((job) => job.if ?? [])
      assert.deepStrictEqual(conditions, [
        "${{ github.event_name != 'pull_request' || github.base_ref == 'main' || startsWith(github.base_ref, 'release/') }}"
      ])
    }))
})
