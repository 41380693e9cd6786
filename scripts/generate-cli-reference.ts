/**
 * Writes docs/cli.md: every command of `rspp` with its arguments, flags, defaults and examples, and the exit codes.
 *
 *   node scripts/generate-cli-reference.ts          write the page
 *   node scripts/generate-cli-reference.ts --check  write nothing; exit 1 when it has drifted or something lacks a description
 *
 * It walks down the commands of `Commands.ts` and takes what `--help` is made of (`HelpDoc`) before it becomes text, so
 * that a new command is on the page without any work here. Defaults are asked of the parsers themselves: what a flag is
 * worth when nothing was given.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { rspp } from "@rspp/cli/Commands"
import { exitCodes, exitMeanings, type ExitName } from "@rspp/cli/ExitCode"
import type { Command } from "effect/cli/Command"
import type { HelpDoc } from "effect/cli/HelpDoc"
import type * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { row, upper } from "./markdown.ts"

/** A command with the words that lead to it. */
export interface Entry {
  readonly path: ReadonlyArray<string>
  readonly doc: HelpDoc
  /** What a flag is worth when it is left out, by its name; not here when that is nothing. */
  readonly defaults: ReadonlyMap<string, string>
}

/** What effect/cli keeps in a command beside its public face, and makes its help of. */
interface Inside {
  readonly config: { readonly flags: ReadonlyArray<Param.AnyFlag> }
  readonly buildHelpDoc: (path: ReadonlyArray<string>) => HelpDoc
}

const isInside = (command: unknown): command is Inside =>
  Predicate.hasProperty(command, "config") && Predicate.hasProperty(command.config, "flags") &&
  Predicate.hasProperty(command, "buildHelpDoc")

/** The flag under its conversions and its default. */
const nameOf = (param: unknown): string =>
  Predicate.hasProperty(param, "name") && typeof param.name === "string"
    ? param.name
    : Predicate.hasProperty(param, "param")
    ? nameOf(param.param)
    : ""

const shown = (value: unknown): string | undefined =>
  typeof value === "number" || typeof value === "string" ? `\`${value}\`` : value === true ? "on" : undefined

const defaultsOf = (flags: ReadonlyArray<Param.AnyFlag>) =>
  Effect.map(
    Effect.forEach(flags, (flag) =>
      Effect.map(Effect.option(flag.parse({ flags: {}, arguments: [] })), (parsed) => {
        const value = Option.isSome(parsed) ? shown(parsed.value[1]) : undefined
        return value === undefined ? [] : [[nameOf(flag), value] as const]
      })),
    (found) => new Map(found.flat())
  )

/** A command and all below it, each after the one that holds it. */
export const entriesOf = (
  command: Command.Any,
  above: ReadonlyArray<string> = []
): Effect.Effect<ReadonlyArray<Entry>> =>
  Effect.gen(function*() {
    const path = [...above, command.name]
    if (!isInside(command)) return yield* Effect.die(`${path.join(" ")}: effect/cli keeps commands in another form now`)
    const own: Entry = { path, doc: command.buildHelpDoc(path), defaults: yield* defaultsOf(command.config.flags) }
    const below = yield* Effect.forEach(
      command.subcommands.flatMap(({ commands }) => commands).filter(({ unlisted }) => !unlisted),
      (child) => entriesOf(child, path)
    )
    return [own, ...below.flat()]
  }).pipe(Effect.provide(NodeServices.layer))

/** Everything that says nothing of itself. */
export const lacking = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> =>
  entries.flatMap(({ doc, path }) => [
    ...(doc.description === "" ? [`${path.join(" ")} has no description`] : []),
    ...[...doc.flags.map((flag) => ({ ...flag, name: `--${flag.name}` })), ...(doc.args ?? [])]
      .filter(({ description }) => Option.isNone(description))
      .map(({ name }) => `${path.join(" ")}: ${name} has no description`)
  ])

const names = Object.keys(exitCodes) as ReadonlyArray<ExitName>
const anchor = (path: ReadonlyArray<string>) => `#${path.join("-")}`
/** What the description says of a default that only the command knows. */
const told = (description: string) => /\bdefault:? ((?:[^.;(]|\.(?=\S))+)/iu.exec(description)?.[1]?.trim() ?? "–"
const valueOf = (type: string) => type === "boolean" ? "" : ` ${type}`

const sectionOf = ({ defaults, doc, path }: Entry): ReadonlyArray<string> => {
  const args = doc.args ?? []
  const groups = doc.subcommands ?? []
  return [
    `${"#".repeat(Math.min(path.length, 3))} ${path.join(" ")}`,
    "",
    `${upper(doc.description)}${/[.!?]$/u.test(doc.description) ? "" : "."}`,
    "",
    "```text",
    doc.usage,
    "```",
    "",
    ...groups.flatMap(({ commands }) =>
      commands.map(({ description, name }) => `- [\`${name}\`](${anchor([...path, name])}): ${description}`)
    ),
    ...(groups.length > 0 ? [""] : []),
    ...(args.length + doc.flags.length > 0 ? ["| flag or argument | default | meaning |", "| --- | --- | --- |"] : []),
    ...args.map(({ description, name, required, variadic }) =>
      row([
        `\`${name}${variadic ? " …" : ""}\``,
        required ? "required" : "–",
        Option.getOrElse(description, () => "")
      ])
    ),
    ...doc.flags.map(({ aliases, description, name, required, type }) =>
      row([
        [`--${name}${valueOf(type)}`, ...aliases].map((text) => `\`${text}\``).join(", "),
        required && !defaults.has(name) ? "required" : defaults.get(name) ??
          (type === "boolean" ? "off" : told(Option.getOrElse(description, () => ""))),
        Option.getOrElse(description, () => "")
      ])
    ),
    ...(args.length + doc.flags.length > 0 ? [""] : []),
    ...(doc.examples ?? []).flatMap(({ command, description }) => [
      ...(description === undefined ? [] : [`${description}:`, ""]),
      "```text",
      `npx ${command}`,
      "```",
      ""
    ])
  ]
}

/** The page. */
export const pageOf = (entries: ReadonlyArray<Entry>): string => {
  // A group that takes flags does something by itself.
  const commands = entries.filter(({ doc, path }) =>
    path.length > 1 && (doc.subcommands === undefined || doc.flags.length > 0)
  )
  return [
    "# The command line",
    "",
    "Generated by `node scripts/generate-cli-reference.ts` from the program's own definitions; do not edit. Every command also",
    "takes `--help`; `rspp` also `--version`, `--completions SHELL` and `--log-level LEVEL`. Environment variables and files are in",
    "[configuration.md](configuration.md), what a message or a code means in [troubleshooting.md](troubleshooting.md).",
    "",
    `## Commands (${commands.length})`,
    "",
    "| command | what it does |",
    "| --- | --- |",
    ...commands.map(({ doc, path }) => row([`[\`${path.join(" ")}\`](${anchor(path)})`, doc.description])),
    "",
    "## Exit codes",
    "",
    "| code | name | meaning, and what to do |",
    "| --- | --- | --- |",
    ...names.map((name) => row([`${exitCodes[name]}`, exitMeanings[name].short, exitMeanings[name].advice])),
    "",
    ...entries.slice(1).flatMap(sectionOf)
  ].join("\n")
}

/** The page as the program of this commit makes it. */
export const gather = entriesOf(rspp)

if (import.meta.main) {
  const path = join(dirname(import.meta.dirname), "docs/cli.md")
  const entries = await Effect.runPromise(gather)
  const page = pageOf(entries)
  const problems = [...lacking(entries)]
  if (process.argv.includes("--check")) {
    if (!existsSync(path) || readFileSync(path, "utf8") !== page) {
      problems.push("docs/cli.md has drifted; run: node scripts/generate-cli-reference.ts")
    }
  } else {
    writeFileSync(path, page)
    console.log(`${entries.length} commands and groups`)
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
