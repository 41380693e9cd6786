// What pages say of the command line of `rspp`, held against the program: commands and flags that are not there.
import { rspp } from "@rspp/cli/Commands"
import type { Command } from "effect/cli/Command"
import type { HelpDoc } from "effect/cli/HelpDoc"
import * as Predicate from "effect/Predicate"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** What effect/cli keeps in a command beside its public face, and makes its help of. */
interface Inside {
  readonly buildHelpDoc: (path: ReadonlyArray<string>) => HelpDoc
}

const isInside = (command: unknown): command is Inside => Predicate.hasProperty(command, "buildHelpDoc")

/** Flags that effect/cli gives every command. */
const everywhere = ["help", "version", "completions", "log-level", "wizard"]

interface Known {
  /** Flags, with their dashes. */
  readonly flags: ReadonlySet<string>
  readonly subcommands: ReadonlyMap<string, Known>
}

const knownOf = (command: Command.Any, path: ReadonlyArray<string>, inherited: ReadonlyArray<string>): Known => {
  const here = [...path, command.name]
  const doc = isInside(command) ? command.buildHelpDoc(here) : undefined
  const flags = [
    ...inherited,
    ...(doc?.flags ?? []).flatMap(({ aliases, name }) => [`--${name}`, ...aliases.map((alias) => alias)])
  ]
  const subcommands = command.subcommands.flatMap(({ commands }) => commands)
  return {
    flags: new Set(flags),
    subcommands: new Map(subcommands.map((one) => [one.name, knownOf(one, here, inherited)]))
  }
}

/** A command that a page shows. */
export interface Shown {
  readonly page: string
  readonly line: number
  readonly words: ReadonlyArray<string>
}

/** Inline code, and lines of code blocks, that begin with the program's name. */
const commandIn = /^(?:\$ )?(?:npx )?rspp (.+)$/u

/** A command whose words come from other commands, without these, and these: `rspp a --b "$(rspp c)"`. */
const withInner = (code: string): ReadonlyArray<string> => [
  code.replaceAll(inner, "…"),
  ...[...code.matchAll(inner)].map(([, command = ""]) => command)
]
const inner = /\$\(([^()]*)\)/gu

/** The commands of `rspp` that a page shows: in code, inline or in a block, by themselves on their line. */
export const shownCommands = (page: string, text: string): ReadonlyArray<Shown> => {
  let inBlock = false
  return text.split("\n").flatMap((line, index) => {
    if (line.trimStart().startsWith("```")) {
      inBlock = !inBlock
      return []
    }
    const codes = inBlock ? [line.trim()] : [...line.matchAll(/`([^`]+)`/gu)].map(([, code = ""]) => code)
    return codes.flatMap(withInner).flatMap((code) => {
      const rest = commandIn.exec(code)?.[1]
      // A table of commands in a block has two spaces before what it says of each.
      const command = rest?.split(/ {2,}| # /u, 1)[0]
      return command === undefined ? [] : [{ page, line: index + 1, words: command.split(" ") }]
    })
  })
}

const plain = /^[a-z][a-z-]*$/u

/** What is wrong with a command that is shown; undefined when nothing is. */
const faultOf = (all: Known, { words }: Shown): string | undefined => {
  let known = all
  let path = "rspp"
  let at = 0
  for (let next = words[at]?.replace(/,$/u, ""); next !== undefined; next = words[++at]?.replace(/,$/u, "")) {
    const sub = known.subcommands.get(next)
    if (sub === undefined) break
    known = sub
    path = `${path} ${next}`
  }
  const first = words[at]
  if (first !== undefined && plain.test(first) && path === "rspp") return `rspp has no command ${first}`
  for (const word of words.slice(at)) {
    const flag = /^(--[a-z][a-z-]*)(?:=.*)?[,.]?$/u.exec(word)?.[1]
    if (flag === undefined || known.flags.has(flag) || everywhere.includes(flag.slice(2))) continue
    return `${path} has no flag ${flag}`
  }
  return undefined
}

/** The pages in `directory`, README.md first: what they say of the command line that is not so. */
export const checkCommands = (directory: string): {
  readonly pages: number
  readonly commands: number
  readonly findings: ReadonlyArray<string>
} => {
  const all = knownOf(rspp, [], [])
  const pages = globSync("{README.md,docs/**/*.md}", { cwd: directory }).sort()
  const shown = pages.flatMap((page) => shownCommands(page, readFileSync(join(directory, page), "utf8")))
  return {
    pages: pages.length,
    commands: shown.length,
    findings: shown.flatMap((one) => {
      const fault = faultOf(all, one)
      return fault === undefined ? [] : [`${one.page}:${one.line}: ${fault}: rspp ${one.words.join(" ")}`]
    })
  }
}
