import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { scrub } from "./KnownSecrets.ts"
import { standardError, standardOutput } from "./StandardStreams.ts"

/** Text in the colours of a terminal; the identity where there are none. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

const code = (open: number, close: number, on: boolean) => (text: string) =>
  on && text !== "" ? `\u001b[${open}m${text}\u001b[${close}m` : text

export const makeStyle = (colours: boolean): Style => ({
  bold: code(1, 22, colours),
  dim: code(2, 22, colours),
  red: code(31, 39, colours),
  green: code(32, 39, colours),
  yellow: code(33, 39, colours),
  cyan: code(36, 39, colours)
})

/** Where a screen writes. */
export interface ScreenDevice {
  readonly out: (text: string) => void
  readonly error: (text: string) => void
  /** Columns of the terminal that shows `out`; undefined when it is none. */
  readonly columns: () => number | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * What the user sees: results on standard output, notices on standard error.
 *
 * Calls are synchronous, because the live view of a session is, and never fail. Colours and lines that change in place
 * only on a terminal; Secrets are taken out of lines. `NO_COLOR` (not empty) and `TERM=dumb` switch colours off.
 */
export class Screen extends Context.Service<Screen, {
  readonly style: Style
  /** Lines can change in place. */
  readonly isTerminal: boolean
  /** A line on standard output. */
  readonly line: (text: string) => void
  /** A line that the next `line` or `update` takes the place of; on no terminal it does nothing. */
  readonly update: (text: string) => void
  /** A line on standard error. */
  readonly note: (text: string) => void
  /** Text on standard output as it is. */
  readonly raw: (text: string) => void
}>()("rspp/Screen") {
  static readonly layerOf = (device: ScreenDevice): Layer.Layer<Screen> => Layer.sync(Screen, () => makeScreen(device))

  static readonly layer: Layer.Layer<Screen> = Screen.layerOf({
    out: standardOutput.write,
    error: standardError.write,
    columns: () => process.stdout.isTTY ? process.stdout.columns || 80 : undefined,
    environment: process.env
  })
}

const clearLine = "\r\u001b[K"

const makeScreen = ({ columns, environment, error, out }: ScreenDevice): Screen["Service"] => {
  const dumb = environment["TERM"] === "dumb"
  const isTerminal = columns() !== undefined && !dumb
  const style = makeStyle(isTerminal && (environment["NO_COLOR"] ?? "") === "")
  let transient = false
  const settle = () => {
    if (transient) out(clearLine)
    transient = false
  }
  return Screen.of({
    style,
    isTerminal,
    line: (text) => {
      settle()
      out(`${scrub(text)}\n`)
    },
    update: (text) => {
      if (!isTerminal) return
      out(`${clearLine}${fit(text, (columns() ?? 80) - 1)}`)
      transient = true
    },
    note: (text) => {
      settle()
      error(`${scrub(text)}\n`)
    },
    raw: (text) => {
      settle()
      out(text)
    }
  })
}

// oxlint-disable-next-line no-control-regex
const escapes = /(\u001b\[[0-9;]*m)/gu

/** The line cut to `width` visible characters: one that wraps could not be taken back. Colours survive or end. */
const fit = (text: string, width: number): string => {
  if (text.replace(escapes, "").length <= width) return text
  let visible = 0
  let result = ""
  for (const part of text.split(escapes)) {
    if (part.startsWith("\u001b")) result += part
    else {
      const room = Math.max(0, width - 1 - visible)
      result += part.slice(0, room)
      visible += part.length
    }
  }
  return `${result}…`
}
