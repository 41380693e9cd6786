import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { json, optional } from "./Flags.ts"
import { permission } from "./PrivacyCommands.ts"

const report = Command.make(
  "report",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("Timeline files, or directories of them"),
      Argument.atLeast(1)
    ),
    markdown: optional(
      Flag.String("markdown").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Also write the report as Markdown to this file; -: print it instead of the table")
      )
    ),
    bounds: optional(
      Flag.String("bounds").pipe(
        Flag.withMetavar("B.json"),
        Flag.withDescription("Stricter bounds than the contract's: a JSON file; wider ones are refused")
      )
    ),
    bound: Flag.String("bound").pipe(
      Flag.withMetavar("GATE.p95=MS"),
      Flag.withDescription("One stricter bound, for example response_ms.p95=1200; repeatable"),
      Flag.atLeast(0)
    ),
    requireAll: Flag.Boolean("require-all").pipe(
      Flag.withDefault(false),
      Flag.withDescription("A gate that had no sample fails too")
    ),
    access: permission.access,
    as: permission.as("as"),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/SloReport.ts")), ({ reportSlo }) => reportSlo(flags))
).pipe(
  Command.withDescription(
    "The seven gates of the contract and the critical path of each turn, computed from recorded sessions; exit 1 when a gate fails"
  ),
  Command.withExamples([
    { command: "rspp slo report calls", description: "Every timeline in a directory" },
    {
      command: "rspp slo report calls --require-all --bound response_ms.p95=1200 --markdown slo.md",
      description: "In CI, with a stricter bound"
    }
  ])
)

/** `rspp slo …` */
export const slo = Command.make("slo").pipe(
  Command.withDescription("Service levels: gates over recorded sessions"),
  Command.withSubcommands([report])
)
