import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { SaidLine } from "./CallSummary.ts"
import type { Screen } from "./Screen.ts"
import { formatViewLine, LiveView } from "./view/LiveView.ts"
import type { ViewLine } from "./view/LiveView.ts"

/**
 * Shows a session on the screen as it happens (on none: shows nothing), and tells what was said.
 *
 * What is heard changes in place on a terminal; elsewhere each change is a line of its own.
 */
export const liveScreen = (
  screen: Screen["Service"] | undefined,
  said: (line: SaidLine) => void
): SessionObserver => {
  let view = new LiveView(() => undefined)
  const show = (lines: ReadonlyArray<ViewLine>) => {
    for (const line of lines) {
      const { atMs, passing, spoken, who } = line
      if (spoken !== undefined && (who === "you" || who === "agent")) said({ at_ms: atMs, who, text: spoken })
      if (screen === undefined) continue
      const text = formatViewLine(line, screen.style)
      if (passing && screen.isTerminal) screen.update(text)
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
