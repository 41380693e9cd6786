import type { EdgeCondition } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"

/**
 * Whether a payload may pass an edge: by the facts of its handle alone, so that a recording without the words decides
 * the same. A fact that is not known fails the condition, `not_equals` included.
 */
export const passes = (condition: EdgeCondition | undefined, handle: PayloadHandle): boolean => {
  if (condition === undefined) return true
  const value = condition.fact === "length" ? handle.length : handle.facts?.[condition.fact]
  if (value === undefined) return false
  switch (condition.is) {
    case "equals":
      return value === condition.value
    case "not_equals":
      return value !== condition.value
    case "at_least":
      return typeof value === "number" && typeof condition.value === "number" && value >= condition.value
    case "at_most":
      return typeof value === "number" && typeof condition.value === "number" && value <= condition.value
  }
}
