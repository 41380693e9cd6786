import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { pipelineFlags } from "./CallFlags.ts"
import { json } from "./Flags.ts"

// The commands about providers. What they do is loaded when they run.

const load = Effect.promise(() => import("./command/Providers.ts"))

const list = Command.make(
  "list",
  { providers: pipelineFlags.providers, json },
  (flags) => Effect.flatMap(load, ({ listProviders }) => listProviders(flags))
).pipe(Command.withDescription("What pipelines can bind: ids, what they are and can do, and which are configured here"))

const check = Command.make(
  "check",
  {
    ids: Argument.String("ID").pipe(
      Argument.withDescription("Providers to check; default: every hosted one that is configured"),
      Argument.variadic()
    ),
    providers: pipelineFlags.providers,
    json
  },
  (flags) => Effect.flatMap(load, ({ checkProviders }) => checkProviders(flags))
).pipe(
  Command.withDescription(
    "Ask providers for something tiny, for real: a few words, a word spoken, a second heard. Costs as little as a call can"
  ),
  Command.withExamples([
    { command: "rspp providers check", description: "Those whose keys are in the environment" },
    { command: "rspp providers check main/ears --providers providers.yaml", description: "One of a providers file" }
  ])
)

export const providers = Command.make("providers").pipe(
  Command.withDescription("Recognisers, language models and voices: what there is, and whether they answer"),
  Command.withSubcommands([list, check])
)
