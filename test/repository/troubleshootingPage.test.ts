// docs/troubleshooting.md has every code, reason, typed error and exit code that the sources can give.
import { exitCodes } from "@rspp/cli/ExitCode"
import { describe, expect, it } from "vitest"
import { codesIn, collect, errorsIn } from "../../scripts/error-codes.ts"
import { lacking, pageOf } from "../../scripts/generate-troubleshooting.ts"
import { pageOf as page, root } from "./support/Page.ts"

const { namesFiles, text } = page("troubleshooting.md")

describe("docs/troubleshooting.md", () => {
  const found = collect(root)

  it("has a meaning for each code and reason of the sources, and for nothing else", () => {
    expect(lacking(found)).toEqual([])
    expect(found.codes.size).toBeGreaterThan(80)
    expect(found.reasons.size).toBeGreaterThan(60)
  })

  it("is what the sources make of it", () => {
    expect(text, "run: node scripts/generate-troubleshooting.ts").toBe(pageOf(found))
    for (const word of [...found.codes.keys(), ...found.reasons.keys()]) expect(text).toContain(`| \`${word}\` |`)
    for (const code of Object.values(exitCodes)) expect(text).toContain(`| ${code} | `)
  })

  it("links only to files that are there", namesFiles)
})

describe("the codes of a source", () => {
  it("are found however they are written", () => {
    const { codes, reasons } = codesIn([
      "new Problem({ code: \"first_code\" })",
      "code: Schema.Literals([\n  \"in_a_list\"\n])",
      "yield* notFound(\"thing\", id)",
      "signal(\"reject\", { reason: \"first_reason\", x })",
      "reason: late ? \"one_branch\" : \"other_branch\",",
      "turns.cancel(turn, \"turn\", \"cut_off\")",
      "input.reason ?? \"by_default\"",
      "if (reason === \"compared\") return"
    ].join("\n"))
    expect(codes).toEqual(["first_code", "thing_not_found", "in_a_list"])
    expect(reasons).toEqual(["first_reason", "one_branch", "other_branch", "by_default", "cut_off"])
  })

  it("are missed on the page when nobody has said what they mean", () => {
    const codes = new Map([...collect(root).codes, ["planted_code", "X.ts"]])
    const reasons = new Map([...collect(root).reasons, ["planted_reason", "Y.ts"]])
    expect(lacking({ ...collect(root), codes, reasons })).toEqual([
      "the code planted_code (X.ts) has no meaning in scripts/error-meanings.ts",
      "the reason planted_reason (Y.ts) has no meaning in scripts/error-meanings.ts"
    ])
  })

  it("come with the sentence of each typed error", () => {
    expect(
      errorsIn(
        "/**\n * It broke: badly. More.\n */\nexport class Broken extends Schema.TaggedError<Broken>()(\"Broken\", {})"
      )
    )
      .toEqual([{ tag: "Broken", sentence: "It broke." }])
  })
})
