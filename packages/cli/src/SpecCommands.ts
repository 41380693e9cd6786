import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { json, optional } from "./Flags.ts"

// The command line of pipeline specs; part of `Commands.ts`.

const file = Argument.String("FILE").pipe(Argument.withDescription("A pipeline spec, .json or .yaml"))

const validate = Command.make(
  "validate",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("Pipeline specs, .json or .yaml"),
      Argument.atLeast(1)
    ),
    json
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/Spec.ts")), ({ validateSpecs }) => validateSpecs(flags))
).pipe(
  Command.withDescription("Check specs as they would be run or published: every fault with its place; exit 1 then")
)

const normalize = Command.make(
  "normalize",
  { file },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/Spec.ts")), ({ normalizeFile }) => normalizeFile(flags))
).pipe(Command.withDescription("Print the pipeline with nothing left unsaid, as canonical JSON"))

const explain = Command.make(
  "explain",
  {
    file,
    policy: optional(
      Flag.String("policy").pipe(
        Flag.withMetavar("P.json"),
        Flag.withDescription("Also lay these bindings of policy over it: an object of bindings by their ids")
      )
    ),
    language: optional(Flag.String("language").pipe(Flag.withDescription("Of the session, for policy"))),
    region: optional(Flag.String("region").pipe(Flag.withDescription("Of the session, for policy"))),
    tier: optional(Flag.String("cost-tier").pipe(Flag.withDescription("Of the session, for policy"))),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Spec.ts")), ({ explainSpec }) => explainSpec(flags))
).pipe(
  Command.withDescription(
    "Show the effective graph, and every value with who set it: the author, the profile, or policy"
  ),
  Command.withExamples([{ command: "rspp spec explain pipeline.yaml", description: "Nodes, edges, settings" }])
)

/** `rspp spec`. */
export const spec = Command.make("spec").pipe(
  Command.withDescription("Pipeline specs: check them, and show what they come to"),
  Command.withSubcommands([validate, normalize, explain])
)
