import * as Schema from "effect/Schema"

const integer = Schema.makeFilter<number>(Number.isInteger, {
  expected: "an integer",
  rule: "type",
  toJsonSchema: () => ({ type: "integer" })
}, true)

const atLeast = (minimum: number) =>
  Schema.makeFilter<number>((n) => n >= minimum, {
    expected: `a value of at least ${minimum}`,
    rule: "minimum",
    toJsonSchema: () => ({ minimum })
  })

/** Any integer. `7.0` is one, `1.5` is not; there is no upper bound (CONTRACT section 1 names none). */
export const Integer = Schema.Finite.check(integer)

/** An integer ≥ 0: sequence numbers, epochs, counts, indexes. */
export const Natural = Schema.Finite.check(integer, atLeast(0))

/** An integer ≥ 1: every `max_*` and every budget. */
export const Positive = Schema.Finite.check(integer, atLeast(1))

/** A finite number from 0 to 1, both included: thresholds on a probability. */
export const Fraction = Schema.Finite.check(Schema.makeFilter<number>((n) => n >= 0 && n <= 1, {
  expected: "a number from 0 to 1",
  rule: "range",
  toJsonSchema: () => ({ minimum: 0, maximum: 1 })
}))

/** An integer from 0 to 100: a probability where integers are needed. */
export const Percent = Schema.Finite.check(
  integer,
  Schema.makeFilter<number>((n) => n >= 0 && n <= 100, {
    expected: "a number from 0 to 100",
    rule: "range",
    toJsonSchema: () => ({ minimum: 0, maximum: 100 })
  })
)
