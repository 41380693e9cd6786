import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CleanStop } from "./CleanStop.ts"
import { endingOf } from "./CliFailure.ts"
import { rspp } from "./Commands.ts"
import { exitCodes } from "./ExitCode.ts"
import { loggerLayer } from "./StderrLogger.ts"
import { presenter } from "./Presenter.ts"
import { Screen } from "./Screen.ts"
import { standardError, standardOutput } from "./StandardStreams.ts"

// LiveKit's native client writes its debug log to standard output otherwise; that holds results only.
process.env["NODE_ENV"] ??= "production"

/** Version of the program. */
const version = "0.1.0"

// A terminal that goes away (an ssh session that breaks off) ends a call as properly as Ctrl-C does.
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))

let stoppedCleanly = false

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
    Layer.succeed(CleanStop, { done: () => void (stoppedCleanly = true) }),
    loggerLayer,
    CliOutput.layerPresenter(presenter),
    // No wizard: every flag that matters has a default.
    CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.Wizard) })
  )),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // A stream reports what went wrong with its last write only after the turn of the loop.
    teardown: (exit, onExit) =>
      void setImmediate(() => {
        const { exit: ended } = endingOf(exit, false)
        const ending = ended === "interrupted" && stoppedCleanly ? "ok" : ended
        const failure = standardOutput.failure()
        if (failure !== undefined) standardError.write(`rspp: standard output could not be written: ${failure}\n`)
        onExit(exitCodes[ending === "ok" && failure !== undefined ? "unavailable" : ending])
      })
  })
)
