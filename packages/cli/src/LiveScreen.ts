import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { Screen } from "./Screen.ts"
import { formatViewLine, LiveView } from "./view/LiveView.ts"
import type { ViewLine } from "./view/LiveView.ts"

/**
 * Shows a session on the screen as it happens. What is heard changes in place on a terminal; elsewhere each change is
 * a line of its own.
 */
export const liveScreen = (screen: Screen["Service"]): SessionObserver => {
  let view = new LiveView(() => undefined)
  const show = (lines: ReadonlyArray<ViewLine>) => {
    for (const line of lines) {
      const text = formatViewLine(line, screen.style)
      if (line.passing && screen.isTerminal) screen.update(text)
      else screen.line(text)
    }
  }
  return {
    opened: (_, text) => {
      view = new LiveView(text)
    },
    input: (record) => show(view.input(record)),
    outputs: (outputs) => show(view.outputs(outputs))
  }
}
