import { verifyAuditLog } from "@rspp/timeline/privacy/AuditLog"
import { Effect, FileSystem } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"

export interface AuditVerifyFlags {
  readonly log: string
  readonly json: boolean
}

/** `rspp timeline audit verify`: the chain is whole, or the lines where it is not. */
export const verifyAudit = Effect.fn("rspp.timeline.audit.verify")(function*({ json, log }: AuditVerifyFlags) {
  const screen = yield* Screen
  const { style } = screen
  const fs = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(fs.exists(log), () => false))) {
    return yield* new CliFailure({
      exit: "bad_input",
      message: `${log}: there is no such audit log`,
      hint: "It is audit.jsonl beside the recordings, or what --audit or the access policy names."
    })
  }
  const { entries, head, problems } = yield* verifyAuditLog(log)
  const ok = problems.length === 0
  if (json) {
    screen.line(JSON.stringify({ log, ok, entries, hash: head?.hash, problems }))
  } else {
    const end = head === undefined ? "" : `, the last has the hash ${head.hash}`
    screen.line(`${log}: ${ok ? style.green("ok") : style.red("not ok")}, ${entries} entries${end}`)
    for (const { line, message } of problems) screen.line(`  line ${line}: ${message}`)
  }
  if (!ok) return yield* told("violation")
  return undefined
})
