import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"

// What the flags of all commands are made of.

/** A flag that may be left out: its value, or undefined. */
export const optional = <A>(flag: Flag.Flag<A>) => flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

/** `--json`. */
export const json = Flag.Boolean("json").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Print the result as JSON, for machines")
)
