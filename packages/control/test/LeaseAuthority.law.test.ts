import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { LeaseAuthority } from "../src/LeaseAuthority.ts"
import type { Lease, LeaseChange } from "../src/LeaseAuthority.ts"
import { LeaseStore } from "../src/LeaseStore.ts"
import type { LeaseRow } from "../src/LeaseStore.ts"
import { LeaseTokens } from "../src/LeaseTokens.ts"
import { overLeaseStores } from "./support/LeaseStores.ts"
import type { LeaseStoreUnderTest } from "./support/LeaseStores.ts"

const ttlMs = 1000

/**
 * The store, but each call takes the number of scheduling steps that `delays` says: so reads go stale before
 * the write, compare-and-set really loses, and answers overtake each other. `history` is every row that was ever written.
 */
const slowStore = (inner: Layer.Layer<LeaseStore>, delays: ReadonlyArray<number>, history: Array<LeaseRow>) =>
  Layer.effect(
    LeaseStore,
    Effect.gen(function*() {
      const store = yield* LeaseStore
      let call = 0
      const pause = Effect.suspend(() =>
        Effect.replicateEffect(Effect.yieldNow, delays[call++ % Math.max(1, delays.length)] ?? 0)
      )
      return LeaseStore.of({
        ...store,
        read: (session_id) => Effect.tap(store.read(session_id), pause),
        compareAndSet: (expected, row) =>
          Effect.flatMap(pause, () =>
            Effect.tap(store.compareAndSet(expected, row), (won) => {
              if (won) history.push(row)
              return pause // the answer travels too: a later change may be told first
            }))
      })
    })
  ).pipe(Layer.provide(inner))

const Step = Schema.Struct({
  call: Schema.Literals(["acquire", "renew", "rotate", "revoke", "wait"]),
  placement: Schema.Literals(["a", "b", "c"]),
  epochOffset: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
})

const Actors = Schema.Array(Schema.Array(Step).check(Schema.isMaxLength(8))).check(Schema.isMaxLength(5))
const Delays = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))).check(
  Schema.isMinLength(3),
  Schema.isMaxLength(11)
)

const run = (under: LeaseStoreUnderTest, actors: typeof Actors.Type, delays: ReadonlyArray<number>) => {
  const history: Array<LeaseRow> = []
  const heard: Array<LeaseChange> = []
  const actor = (steps: (typeof Actors.Type)[number]) =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      let mine: Lease | undefined
      for (const { call, placement, epochOffset } of steps) {
        const known = ((yield* leases.current("s"))?.authority_epoch ?? 1) - epochOffset
        if (call === "wait") yield* under.pass(ttlMs / 4)
        else if (call === "renew") mine = mine && (yield* Effect.orElseSucceed(leases.renew(mine), () => mine))
        else if (call === "revoke") yield* Effect.ignore(leases.revoke("s", known))
        else {
          const taken: Effect.Effect<Lease, unknown> = call === "acquire"
            ? leases.acquire("s", placement)
            : leases.rotate("s", known, placement)
          mine = yield* Effect.orElseSucceed(taken, () => mine)
        }
      }
    })
  return Effect.gen(function*() {
    const leases = yield* LeaseAuthority
    yield* leases.subscribe("s", (change) => heard.push(change))
    yield* Effect.forEach(actors, actor, { concurrency: "unbounded", discard: true })
    // two answers of a database may come in another order than its writes were done
    history.sort((a, b) => a.revision - b.revision)
    return { history, heard }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      LeaseAuthority.layerNoDeps({ ttlMs }).pipe(
        Layer.provide([slowStore(under.layer, delays, history), LeaseTokens.layerSeeded(3)])
      ),
      { local: true }
    )
  )
}

overLeaseStores("laws of leases", (fresh, far) => {
  it.effect.prop(
    "L1–L4 hold whatever actors do at the same time",
    [Actors, Delays],
    ([actors, delays]) =>
      Effect.gen(function*() {
        const under = yield* fresh
        const { history, heard } = yield* run(under, actors, delays)
        const issued = history.filter((row, i) => row.authority_epoch !== history[i - 1]?.authority_epoch)
        // L1: each epoch is issued once, in order, without gaps, to one token
        assert.deepStrictEqual(issued.map((row) => row.authority_epoch), issued.map((_, i) => i + 1))
        assert.strictEqual(new Set(issued.map((row) => row.lease_token)).size, issued.length)
        history.forEach((row, i) => {
          const before = history[i - 1]
          assert.strictEqual(row.revision, i + 1)
          // L3: an epoch that has ended is never held again, and keeps its holder and token while it lives
          if (before?.authority_epoch === row.authority_epoch) {
            assert.strictEqual(before.state, "held")
            assert.deepStrictEqual([row.placement_id, row.lease_token], [before.placement_id, before.lease_token])
          }
        })
        // L4: subscribers never hear of an older epoch after a newer one, and the last they hear is how it stands
        heard.forEach((change, i) => assert.isAtLeast(change.authority_epoch, heard[i - 1]?.authority_epoch ?? 0))
        const last = history.at(-1)
        assert.strictEqual(heard.at(-1)?.authority_epoch, last?.authority_epoch)
        assert.strictEqual(heard.at(-1)?.lease_token, last?.state === "held" ? last.lease_token : undefined)
      }),
    { arbitrary: { runs: far ? 40 : 300 } }
  )

  it.effect("of many that acquire in the same instant exactly one wins (L2)", () =>
    Effect.gen(function*() {
      const under = yield* fresh
      const history: Array<LeaseRow> = []
      const won = yield* Effect.flatMap(LeaseAuthority, (leases) =>
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => `p${i}`),
          (placement) => Effect.orElseSucceed(leases.acquire("s", placement), () => undefined),
          { concurrency: "unbounded" }
        )).pipe(
          Effect.provide(
            LeaseAuthority.layerNoDeps({ ttlMs }).pipe(
              Layer.provide([slowStore(under.layer, [1, 0, 3, 2], history), LeaseTokens.layerSeeded(3)])
            ),
            { local: true }
          )
        )
      assert.strictEqual(won.filter((lease) => lease !== undefined).length, 1)
      assert.strictEqual(history.length, 1)
    }))
})

it.effect("an answer that was overtaken is not told any more (L4)", () =>
  Effect.gen(function*() {
    const history: Array<LeaseRow> = []
    const heard: Array<string> = []
    yield* Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      yield* leases.subscribe("s", (change) => heard.push(`${change.status} ${change.authority_epoch}`))
      // delays: 0 is subscribe's read, 1–3 are acquire's read, write and answer; the answer takes long enough for all of revoke
      const acquiring = yield* Effect.forkChild(leases.acquire("s", "a"), { startImmediately: true })
      yield* Effect.replicateEffect(Effect.yieldNow, 20)
      yield* leases.revoke("s", 1)
      yield* Fiber.join(acquiring)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        LeaseAuthority.layerNoDeps({ ttlMs }).pipe(
          Layer.provide([
            slowStore(LeaseStore.layerMemory, [0, 0, 0, 100, 0, 0, 0, 0], history),
            LeaseTokens.layerSeeded(3)
          ])
        ),
        { local: true }
      )
    )
    assert.deepStrictEqual(history.map((row) => row.state), ["held", "revoked"])
    assert.deepStrictEqual(heard, ["revoked 1"])
  }))
