import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { endingOf } from "./CliFailure.ts"
import { rspp } from "./Commands.ts"
import { exitCodes } from "./ExitCode.ts"
import { loggerLayer } from "./StderrLogger.ts"
import { presenter } from "./Presenter.ts"
import { Screen } from "./Screen.ts"

/** Version of the program. */
const version = "0.1.0"

// Whoever reads our output may stop (`rspp … | head`): then there is nobody left to tell anything.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.ok)
    throw error
  })
}

rspp.pipe(
  Command.run({ version }),
  Effect.onExit((exit) =>
    Effect.map(Screen, (screen) => {
      const [first, ...rest] = endingOf(exit, process.env["RSPP_DEBUG"] !== undefined).lines
      if (first !== undefined) screen.note(`${screen.style.red("rspp:")} ${first}`)
      for (const line of rest) screen.note(line.replace(/^/gmu, "      "))
    })
  ),
  Effect.provide(Layer.mergeAll(
    NodeServices.layer,
    Screen.layer,
    loggerLayer,
    CliOutput.layerPresenter(presenter),
    // No wizard: every flag that matters has a default.
    CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.Wizard) })
  )),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitCodes[endingOf(exit, false).exit])
  })
)
