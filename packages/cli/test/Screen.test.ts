import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Screen } from "../src/Screen.ts"

const draw = (
  { columns, environment = {} }: { readonly columns?: number; readonly environment?: Record<string, string> },
  use: (screen: Screen["Service"]) => void
) => {
  const written = { out: "", error: "" }
  const device = {
    out: (text: string) => {
      written.out += text
    },
    error: (text: string) => {
      written.error += text
    },
    columns: () => columns,
    environment
  }
  Effect.runSync(Effect.provide(Effect.map(Screen, use), Screen.layerOf(device)))
  return written
}

describe("the screen", () => {
  it("changes a line in place on a terminal, and not elsewhere", () => {
    const use = ({ line, update }: Screen["Service"]) => {
      update("so far")
      line("done")
    }
    expect(draw({ columns: 80 }, use).out).toBe("\r\u001b[Kso far\r\u001b[Kdone\n")
    expect(draw({}, use).out).toBe("done\n")
  })

  it("has colours on a terminal only, and none with NO_COLOR or on a dumb one", () => {
    const use = ({ line, style }: Screen["Service"]) => line(style.red("x"))
    expect(draw({ columns: 80 }, use).out).toBe("\u001b[31mx\u001b[39m\n")
    expect(draw({}, use).out).toBe("x\n")
    expect(draw({ columns: 80, environment: { NO_COLOR: "1" } }, use).out).toBe("x\n")
    expect(draw({ columns: 80, environment: { NO_COLOR: "" } }, use).out).toBe("\u001b[31mx\u001b[39m\n")
    expect(draw({ columns: 80, environment: { TERM: "dumb" } }, use).out).toBe("x\n")
  })

  it("keeps a line that changes in place within the width, colours and all", () => {
    const { out } = draw({ columns: 11 }, ({ style, update }) => update(`${style.red("abc")}defghijklmnop`))
    expect(out).toBe("\r\u001b[K\u001b[31mabc\u001b[39mdefghi…")
  })

  it("keeps notices off standard output", () => {
    expect(draw({}, ({ note }) => note("careful"))).toEqual({ out: "", error: "careful\n" })
  })
})
