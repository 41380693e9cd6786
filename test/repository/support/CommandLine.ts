import { rspp } from "@rspp/cli/Commands"
import type { Command } from "effect/cli/Command"
import type { HelpDoc } from "effect/cli/HelpDoc"
import * as Predicate from "effect/Predicate"

/** What effect/cli makes help of, before it is text. */
interface Inside {
  readonly buildHelpDoc: (path: ReadonlyArray<string>) => HelpDoc
}

const helpOf = (command: Command.Any): HelpDoc => {
  if (!Predicate.hasProperty(command, "buildHelpDoc")) throw new Error("effect/cli keeps commands in another form now")
  return (command as unknown as Inside).buildHelpDoc([command.name])
}

const below = (command: Command.Any): ReadonlyArray<Command.Any> =>
  command.subcommands.flatMap(({ commands }) => commands)

/**
 * What is wrong with a line `rspp …` of a page, by the commands of the program: a command that is none, one that wants a
 * subcommand, a flag that it does not have, an argument too many. Values are not looked at.
 */
export const commandFault = (line: string): string | undefined => {
  const [, ...words] = line.trim().split(/\s+/u)
  let command: Command.Any = rspp
  let at = 0
  for (; at < words.length; at++) {
    const next = below(command).find(({ name }) => name === words[at])
    if (next === undefined) break
    command = next
  }
  const rest = words.slice(at)
  const { args = [], flags } = helpOf(command)
  if (below(command).length > 0 && rest[0] !== "--help") return `${line}: there is no such command`
  let given = 0
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] ?? ""
    if (word === "--help") continue
    if (!word.startsWith("--")) {
      given++
      continue
    }
    const flag = flags.find(({ aliases, name }) => `--${name}` === word || aliases.includes(word))
    if (flag === undefined) return `${line}: it has no ${word}`
    if (flag.type !== "boolean") index++
  }
  const most = args.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : args.length
  return given > most ? `${line}: it takes no ${rest.join(" ")}` : undefined
}

/** The lines `rspp …` of a page: in blocks of code, and in words. */
export const commandsOf = (page: string): ReadonlyArray<string> =>
  [
    ...[...page.matchAll(/```(?:text|sh)\n([^]*?)```/gu)].flatMap(([, block = ""]) => block.split("\n")),
    ...[...page.replaceAll(/```[^]*?```/gu, "").matchAll(/`([^`]+)`/gu)].map(([, code = ""]) => code)
  ].map((line) => line.replace(/^npx /u, "").replace(/ +# .*$/u, "")).filter((line) => /^rspp [a-z]/u.test(line))
