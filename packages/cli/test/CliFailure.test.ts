import { Cause, Exit } from "effect"
import { describe, expect, it } from "vitest"
import { CliFailure, endingOf, told } from "../src/CliFailure.ts"
import { exitCodeHelp, exitCodes } from "../src/ExitCode.ts"
import { graver } from "../src/Verdict.ts"

describe("how the program ends", () => {
  it("says what was wrong and what to do, for an error of its own and of the packages", () => {
    const own = new CliFailure({ exit: "bad_input", message: "wrong", hint: "do this" })
    expect(endingOf(Exit.fail(own), false)).toEqual({ exit: "bad_input", lines: ["wrong", "do this"] })
    const foreign = { _tag: "ProviderUnavailable", message: "no voice", remedy: "install it" }
    expect(endingOf(Exit.fail(foreign), false)).toEqual({ exit: "unavailable", lines: ["no voice", "install it"] })
  })

  it("says where to look when a database cannot be used", () => {
    const away = { _tag: "LeaseStoreFailure", message: "away" }
    const { exit, lines } = endingOf(Exit.fail(away), false)
    expect([exit, lines[0], lines[1]]).toEqual(["unavailable", "away", expect.stringContaining("doctor --database")])
  })

  it("says nothing more when the command has said it all", () => {
    expect(endingOf(Exit.fail(told("violation")), false)).toEqual({ exit: "violation", lines: [] })
  })

  it("is an interruption only when nothing else went wrong", () => {
    expect(endingOf(Exit.interrupt(1), false).exit).toBe("interrupted")
    const both = Cause.combine(Cause.interrupt(1), Cause.fail(told("violation")))
    expect(endingOf(Exit.failCause(both), false).exit).toBe("violation")
  })

  it("calls what it does not know a fault of its own, and shows the stack only when asked", () => {
    const fault = Exit.die(new Error("boom"))
    expect(endingOf(fault, false)).toEqual({
      exit: "internal",
      lines: ["internal fault: boom", "This is a fault of RSPP. Run it again with RSPP_DEBUG=1 for the details."]
    })
    expect(endingOf(fault, true).lines[1]).toContain("CliFailure.test")
  })

  it("has one table, and the help states it", () => {
    for (const code of Object.values(exitCodes)) expect(exitCodeHelp).toContain(`${code} `)
  })

  it("weighs a violation more than a file that cannot be read", () => {
    expect(graver("bad_input", "violation")).toBe("violation")
    expect(graver("violation", "bad_input")).toBe("violation")
    expect(graver("ok", "bad_input")).toBe("bad_input")
  })
})
