import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/**
 * Conditional rules as data.
 *
 * A rule is declared once and compiled twice: into a check of the Effect Schema and into a fragment of the generated
 * JSON Schema. So a validator in another language reaches the same verdict, and the two cannot drift.
 *
 * A rule looks only at the direct fields of the object that it is attached to. What cannot be said like that (a relation
 * between two numbers) is not a rule of an artifact; it has a function of its own, such as `sessionConfigProblems`.
 */
export interface Rule {
  /** Stable name, shown in errors and cited by fixtures: `<artifact>.<claim>`. */
  readonly id: string
  /** All must hold for the rule to apply; none means that it always applies. */
  readonly when?: ReadonlyArray<Condition>
  readonly then: Requirement
  /** One sentence for the person whose artifact was rejected. */
  readonly message: string
}

/** Holds when the field is present and its value is one of `in`, or, with `present`, when the field is there at all. */
export type Condition =
  | { readonly field: string; readonly in: ReadonlyArray<string | boolean> }
  | { readonly field: string; readonly present: true }

export type Requirement =
  /** Each field must be there. */
  | { readonly require: ReadonlyArray<string> }
  /** The field, if it is there, has one of these values. */
  | { readonly field: string; readonly in: ReadonlyArray<string | boolean> }
  /** Exactly one of the fields is there. */
  | { readonly exactlyOne: ReadonlyArray<string> }
  /** At least one of the fields is there. */
  | { readonly atLeastOne: ReadonlyArray<string> }

type Fields = Readonly<Record<string, unknown>>

const present = (value: Fields, field: string): boolean => Object.hasOwn(value, field)

const holds = (condition: Condition, value: Fields): boolean =>
  present(value, condition.field) &&
  ("present" in condition || condition.in.includes(value[condition.field] as string | boolean))

/** The fields that break the requirement; none when it is met. */
const violations = (requirement: Requirement, value: Fields): ReadonlyArray<string> => {
  if ("require" in requirement) return requirement.require.filter((field) => !present(value, field))
  if ("in" in requirement) {
    const { field } = requirement
    return !present(value, field) || requirement.in.includes(value[field] as string | boolean) ? [] : [field]
  }
  const fields = "exactlyOne" in requirement ? requirement.exactlyOne : requirement.atLeastOne
  const count = fields.filter((field) => present(value, field)).length
  const met = "exactlyOne" in requirement ? count === 1 : count >= 1
  return met ? [] : fields.slice(0, 1)
}

type Fragment = { [key: string]: unknown }

const conditionFragment = (conditions: ReadonlyArray<Condition>): Fragment => {
  const properties: Fragment = {}
  for (const condition of conditions) {
    if ("in" in condition) properties[condition.field] = { enum: [...condition.in] }
  }
  const required = [...new Set(conditions.map((condition) => condition.field))]
  return Object.keys(properties).length === 0 ? { required } : { properties, required }
}

const requirementFragment = (requirement: Requirement): Fragment => {
  if ("require" in requirement) return { required: [...requirement.require] }
  if ("in" in requirement) return { properties: { [requirement.field]: { enum: [...requirement.in] } } }
  const fields = "exactlyOne" in requirement ? requirement.exactlyOne : requirement.atLeastOne
  return { ["exactlyOne" in requirement ? "oneOf" : "anyOf"]: fields.map((field) => ({ required: [field] })) }
}

/** The rule as a JSON Schema (draft 2020-12) fragment; `$comment` carries its id. */
export const ruleFragment = (rule: Rule): Fragment => {
  const then = requirementFragment(rule.then)
  return rule.when === undefined
    ? { $comment: rule.id, ...then }
    : { $comment: rule.id, if: conditionFragment(rule.when), then }
}

/** The check that enforces `rules` at decode and writes them into the generated JSON Schema. */
export const ruleCheck = <T extends object>(rules: ReadonlyArray<Rule>) =>
  Schema.makeFilter<T>(
    (value) => {
      const fields = value as Fields
      const broken: Array<Schema.FilterIssue> = []
      for (const rule of rules) {
        if (rule.when !== undefined && !rule.when.every((condition) => holds(condition, fields))) continue
        for (const field of violations(rule.then, fields)) {
          broken.push({ path: [field], issue: new SchemaIssue.InvalidValue({ message: rule.message, rule: rule.id }) })
        }
      }
      return broken
    },
    { rules, toJsonSchema: () => ({ allOf: rules.map(ruleFragment) }) }
  )
