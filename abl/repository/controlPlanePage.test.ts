// docs/control-plane.md lists the endpoints and permissions that there are.
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import { ControlApi } from "@rspp/control/http/ControlApi"
import { Requires } from "@rspp/control/http/Guard"
import { actions, permissions } from "@rspp/control/Permissions"
import * as Context from "effect/Context"
import * as HttpApi from "effect/http-api/HttpApi"
import * as Option from "effect/Option"

const page = readFileSync(join(dirname(dirname(import.meta.dirname)), "docs/control-plane.md"), "utf8")

describe("the page about the control plane", () => {
  it("lists every endpoint with its action", () => {
    const rows: Array<string> = []
    HttpApi.reflect(ControlApi, {
      onGroup: () => {},
      onEndpoint: ({ endpoint }) => {
        const action = Context.getOption(endpoint.annotations as Context.Context<Requires>, Requires)
        const said = Option.isSome(action) ? `\`${action.value}\`` : "–"
        rows.push(`| \`${endpoint.method} ${endpoint.path.replace(/:(\w+)/gu, "{$1}")}\` | ${said} |`)
      }
    })
    expect(rows.filter((row) => !page.includes(row)).join("\n")).toBe("")
  })

  it("lists who may do what", () => {
    const rows = actions.map((action) => {
      const own: ReadonlyArray<string> = permissions[action]
      return `| \`${action}\` | ${own.join(", ")} |`
    })
    expect(rows.filter((row) => !page.includes(row)).join("\n")).toBe("")
  })
})
