import { assert, it } from "@effect/vitest"
import { makeRecentNumbers } from "../src/internal/RecentNumbers.ts"

it("keeps no more keys than it may, those that were set last", () => {
  const numbers = makeRecentNumbers(3)
  for (const [at, key] of ["a", "b", "c", "a", "d"].entries()) numbers.set(key, at + 1)
  assert.deepStrictEqual(["a", "b", "c", "d", "e"].map(numbers.get), [4, 0, 3, 5, 0])
  for (let n = 0; n < 1000; n++) numbers.set(`s${n}`, n)
  assert.deepStrictEqual(["a", "d", "s996", "s997", "s999"].map(numbers.get), [0, 0, 0, 997, 999])
})
