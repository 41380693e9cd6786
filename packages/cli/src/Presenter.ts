import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import { Screen } from "./Screen.ts"

/**
 * How the parser of the command line speaks to the user: help as it is, a wrong command line as what is wrong with it
 * and where the help is, on standard error. The default would put the whole help on standard output.
 */
export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    return Effect.map(Effect.serviceOption(Screen), (found) => {
      if (found._tag === "None") return
      const { note, style } = found.value
      for (const error of event.errors) note(`${style.red("rspp:")} ${error.message}`)
      note(`      Run ${style.bold(`${event.commandPath.join(" ")} --help`)} to see what there is.`)
    })
  }
}
