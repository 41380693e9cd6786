import { parseArgs } from "node:util"
import type { ParseArgsOptionsConfig } from "node:util"

/** Says what is wrong with the command line, and ends with 2. */
export const usage = (message: string): never => {
  console.error(message)
  process.exit(2)
}

/** The options of a program of the tests (`make lease`, `crash`, `soak`). One that is wrong ends it with 2. */
export const optionsOf = <const Options extends ParseArgsOptionsConfig>(options: Options) => {
  const read = () => {
    try {
      return parseArgs({ options }).values
    } catch (error) {
      return usage(error instanceof Error ? error.message : String(error))
    }
  }
  const given = read()
  return {
    given,
    /** The value of an option that counts something. */
    whole: (name: keyof Options & string): number => {
      const value = Number((given as Readonly<Record<string, unknown>>)[name])
      return Number.isInteger(value) && value >= 1 ? value : usage(`--${name} wants a whole number of at least 1`)
    }
  }
}
