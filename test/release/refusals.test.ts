// A release is refused for each reason that there is: each is planted in a repository whose release is otherwise as it should be.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import type { RefusalCode } from "@rspp/cli/release/Refusal"
import { refusalCodes } from "@rspp/cli/release/Refusal"
import { checkRelease } from "@rspp/cli/release/ReleaseCheck"
import { compareVersions } from "@rspp/cli/release/Versions"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { nowMs, plan, ReleaseBox } from "./ReleaseBox.ts"

/** What a check of the box says, at a fixed time. */
const checked = (box: ReleaseBox, change: Partial<ReleaseBox["places"]> = {}) =>
  Effect.andThen(TestClock.setTime(nowMs), checkRelease({ ...box.places, ...change })).pipe(
    Effect.provide(NodeServices.layer)
  )

const boxed = Effect.acquireRelease(Effect.sync(() => new ReleaseBox()), (box) => Effect.sync(() => box.remove()))

const artifact = (box: ReleaseBox, name: string) => join(box.places.artifacts, name)
const rollback = (box: ReleaseBox, change: object) =>
  writeFileSync(box.places.rollback, JSON.stringify({ ...plan, ...change }))
const inChangelog = (box: ReleaseBox, from: string, to: string) => {
  box.edit(join(box.root, "CHANGELOG.md"), (text) => text.replace(from, to))
}

/** A way to spoil the release, and words of the reason. `alone`: nothing else is wrong then. */
type Planted = readonly [code: RefusalCode, words: RegExp, plant: (box: ReleaseBox) => void, alone?: boolean]

const planted: ReadonlyArray<Planted> = [
  [
    "not_a_repository",
    /not the top of a git repository/u,
    (box) => rmSync(join(box.root, ".git"), { recursive: true })
  ],
  ["tree_dirty", /new\.ts/u, (box) => box.write("packages/new.ts", "1"), true],
  ["tag_elsewhere", /v1\.4\.0 is a tag at/u, (box) => box.git("tag", "v1.4.0", "v1.3.2"), true],
  [
    "verification_missing",
    /summary\.json is not there/u,
    (box) => rmSync(box.places.artifacts, { recursive: true }),
    true
  ],
  ["verification_unreadable", /is no summary/u, (box) => writeFileSync(artifact(box, "summary.json"), "{}"), true],
  [
    "verification_unreadable",
    /slo\.json is not the artifact of the gate slo/u,
    (box) => box.verification((file, json) => file === "slo.json" ? { ...json, gate: "walls" } : json),
    true
  ],
  [
    "verification_not_full",
    /the verification is a quick one/u,
    (box) => box.verification((_, json) => ({ ...json, mode: "quick" })),
    true
  ],
  [
    "verification_other_commit",
    /the gate replay is of 000000000000/u,
    (box) => box.verification((file, json) => file === "replay.json" ? { ...json, commit: "0".repeat(40) } : json),
    true
  ],
  [
    "verification_dirty",
    /the gate contracts looked at a tree/u,
    (box) => box.verification((file, json) => file === "contracts.json" ? { ...json, dirty: true } : json),
    true
  ],
  [
    "verification_stale",
    /the gate slo is 25\.0 h old, and may be 24\.0 h/u,
    (box) =>
      box.verification((file, json) => file === "slo.json" ? { ...json, ended_at: "2026-11-22T11:00:00Z" } : json),
    true
  ],
  [
    "verification_stale",
    /from now: a clock is wrong/u,
    (box) => box.verification((_, json) => ({ ...json, ended_at: "2026-11-24T11:00:00Z" })),
    true
  ],
  [
    "gate_missing",
    /has no gate slo/u,
    (box) =>
      box.verification((file, json) =>
        file === "summary.json"
          ? { ...json, gates: (json["gates"] as ReadonlyArray<{ gate: string }>).filter(({ gate }) => gate !== "slo") }
          : json
      ),
    true
  ],
  [
    "gate_not_green",
    /the gate replay fails/u,
    (box) => box.verification((file, json) => file === "replay.json" ? { ...json, verdict: "fail" } : json),
    true
  ],
  [
    "gate_not_green",
    /the gate slo did not run/u,
    (box) => box.verification((file, json) => file === "slo.json" ? { ...json, verdict: "not_run" } : json),
    true
  ],
  [
    "gate_not_green",
    /as a whole says not_run/u,
    (box) => box.verification((file, json) => file === "summary.json" ? { ...json, verdict: "not_run" } : json),
    true
  ],
  ["artifact_missing", /replay\.json is not there/u, (box) => rmSync(artifact(box, "replay.json")), true],
  [
    "artifact_altered",
    /slo\.json is not what the summary says/u,
    (box) => box.edit(artifact(box, "slo.json"), (text) => text.replace("\"anything\":1", "\"anything\":2")),
    true
  ],
  [
    "version_differs",
    /@x\/cli has version 1\.3\.9/u,
    (box) => box.write("packages/cli/package.json", JSON.stringify({ name: "@x/cli", version: "1.3.9" }))
  ],
  ["changelog_missing", /no entry "## \[1\.4\.0\]"/u, (box) => inChangelog(box, "## [1.4.0]", "## [1.4.1]")],
  ["changelog_unreleased", /unreleased/u, (box) => inChangelog(box, "[1.4.0] - 2026-11-23", "[1.4.0] - unreleased")],
  ["changelog_empty", /says nothing/u, (box) => inChangelog(box, "- Something that users of the code notice.\n", "")],
  ["tarballs_missing", /index\.json is not there/u, (box) => rmSync(box.places.tarballs, { recursive: true }), true],
  [
    "tarball_missing",
    /x-cli-1\.4\.0\.tgz is not there/u,
    (box) => rmSync(join(box.places.tarballs, "x-cli-1.4.0.tgz")),
    true
  ],
  [
    "tarball_missing",
    /no tarball of @x\/cli/u,
    (box) => box.edit(join(box.places.tarballs, "index.json"), (text) => text.replace("\"@x/cli\"", "\"@x/other\""))
  ],
  [
    "tarball_altered",
    /does not have the hash/u,
    (box) => writeFileSync(join(box.places.tarballs, "x-cli-1.4.0.tgz"), "other bytes"),
    true
  ],
  [
    "tarball_altered",
    /is not the package @x\/cli@1\.4\.0/u,
    (box) => box.tarballs((manifest) => ({ ...manifest, name: "@x/contracts" })),
    true
  ],
  [
    "tarball_other_commit",
    /is built from 111111111111/u,
    (box) => box.tarballs((manifest) => ({ ...manifest, gitHead: "1".repeat(40) })),
    true
  ],
  [
    "tarball_other_commit",
    /does not say from which commit/u,
    (box) => box.tarballs(({ name, version }) => ({ name, version })),
    true
  ],
  [
    "tarball_other_version",
    /is version 1\.3\.2, the repository has 1\.4\.0/u,
    (box) => box.tarballs((manifest) => ({ ...manifest, version: "1.3.2" })),
    true
  ],
  ["rollback_missing", /no way back is declared/u, (box) => rmSync(box.places.rollback), true],
  ["rollback_invalid", /steps: /u, (box) => rollback(box, { steps: [] }), true],
  ["rollback_invalid", /rollback\.json/u, (box) => writeFileSync(box.places.rollback, "{ no"), true],
  ["rollback_other_release", /way back from 1\.3\.9/u, (box) => rollback(box, { rollback_of: "1.3.9" }), true],
  ["rollback_not_back", /is not before 1\.4\.0/u, (box) => rollback(box, { return_to: { version: "1.4.0" } }), true],
  ["rollback_not_back", /no tag v1\.2\.0/u, (box) => rollback(box, { return_to: { version: "1.2.0" } }), true]
]

describe("A release", () => {
  it.effect("that is proven and has a way back is not refused", () =>
    Effect.scoped(Effect.gen(function*() {
      const box = yield* boxed
      const { manifest, refusals } = yield* checked(box)
      assert.deepStrictEqual(refusals, [])
      assert.strictEqual(manifest?.commit, box.commit)
    })))

  it.effect("that is the first returns to none, and says why", () =>
    Effect.scoped(Effect.gen(function*() {
      const box = yield* boxed
      rollback(box, { return_to: { nothing_before: "the first one" } })
      assert.deepStrictEqual((yield* checked(box)).refusals, [])
    })))

  it("can be refused for each reason, each planted below", () => {
    assert.sameMembers([...new Set(planted.map(([code]) => code))], [...refusalCodes])
  })

  it.effect.each(planted)("is refused: %s %s", ([code, words, plant, alone]) =>
    Effect.scoped(Effect.gen(function*() {
      const box = yield* boxed
      plant(box)
      const { manifest, refusals } = yield* checked(box)
      assert.isUndefined(manifest)
      const found = refusals.filter((one) => one.code === code && words.test(one.message))
      assert.isNotEmpty(found, JSON.stringify(refusals))
      for (const { fix } of refusals) assert.isNotEmpty(fix)
      if (alone === true) assert.deepStrictEqual([...new Set(refusals.map((one) => one.code))], [code])
    })))

  it.effect("is told every reason at once", () =>
    Effect.scoped(Effect.gen(function*() {
      const box = yield* boxed
      rmSync(box.places.rollback)
      rmSync(box.places.tarballs, { recursive: true })
      rmSync(box.places.artifacts, { recursive: true })
      box.write("CHANGELOG.md", "# Changelog\n")
      const { refusals } = yield* checked(box)
      assert.deepStrictEqual(refusals.map(({ code }) => code), [
        "tree_dirty",
        "verification_missing",
        "changelog_missing",
        "tarballs_missing",
        "rollback_missing"
      ])
    })))

  it.effect("may have an older verification when that is allowed", () =>
    Effect.scoped(Effect.gen(function*() {
      const box = yield* boxed
      box.verification((_, json) => ({ ...json, ended_at: "2026-11-20T11:00:00Z" }))
      assert.isUndefined((yield* checked(box)).manifest)
      assert.isDefined((yield* checked(box, { maxAgeMs: 100 * 3_600_000 })).manifest)
    })))
})

describe("Versions", () => {
  it("are in the order of Semantic Versioning", () => {
    const order = [
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0-rc.1",
      "1.0.0",
      "1.2.0",
      "1.10.0"
    ]
    assert.deepStrictEqual(order.toReversed().toSorted(compareVersions), order)
  })
})
