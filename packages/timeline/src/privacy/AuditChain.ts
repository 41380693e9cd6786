import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { AuditEntry } from "@rspp/contracts/Privacy"
import { createHash } from "node:crypto"

// The lines of an audit log, as pure functions over text.

/** What an entry says, before it has a place in the chain. */
export type AuditFacts = Omit<
  AuditEntry,
  "schema_version" | "audit_sequence" | "hash" | "previous_hash" | "torn_line_hash" | "wall_clock_ms"
>

/** The last entry of a log, as the file beside it tells. */
export interface AuditHead {
  readonly audit_sequence: number
  readonly hash: string
}

/** `previous_hash` of the first entry. */
export const genesis = "0".repeat(64)

export const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex")

const hashOf = (entry: AuditEntry): string => {
  const { hash: _, ...content } = entry
  return sha256(canonicalJson(content))
}

/** The entry that follows `previous`; `torn` is what a writer that died left behind it. */
export const chained = (
  facts: AuditFacts,
  wall_clock_ms: number,
  previous: AuditHead | undefined,
  torn?: Uint8Array
): AuditEntry => {
  const entry: AuditEntry = {
    schema_version: schemaVersion,
    audit_sequence: (previous?.audit_sequence ?? 0) + 1,
    wall_clock_ms,
    ...facts,
    ...(torn === undefined ? {} : { torn_line_hash: sha256(torn) }),
    previous_hash: previous?.hash ?? genesis,
    hash: genesis
  }
  return { ...entry, hash: hashOf(entry) }
}

/** The entry that a line holds, or what is wrong with it. */
export const entryOf = (line: string): AuditEntry | string => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return "is not JSON"
  }
  const verdict = validate("audit_entry", value)
  if (!verdict.ok) return `is no audit entry: ${verdict.issues.map(formatIssue).join("; ")}`
  return hashOf(verdict.value) === verdict.value.hash
    ? verdict.value
    : "was changed: its hash is that of something else"
}

export interface AuditProblem {
  /** The line, from 1 on. */
  readonly line: number
  readonly message: string
}

export interface AuditVerdict {
  readonly entries: number
  readonly head: AuditHead | undefined
  readonly problems: ReadonlyArray<AuditProblem>
}

/**
 * Judges a whole log; `head` is what the file beside it says, undefined when there is none.
 *
 * I-CHAIN each entry names the hash of the one before, so that no line can be changed, taken out or put in unnoticed;
 * I-HEAD a file beside the log holds the number and the hash of its last entry, so that no line can be cut off at its end unnoticed. Who can write both files can write another history: keep the last hash elsewhere, too.
 */
export const verifyAudit = (content: Uint8Array, head: AuditHead | undefined): AuditVerdict => {
  const problems: Array<AuditProblem> = []
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("utf8")
  const lines = text.split("\n")
  const open = lines.pop() ?? ""
  let last: AuditHead | undefined
  let entries = 0
  /** A line that is no entry: forgiven when the next entry says that it knows it. */
  let unread: { readonly line: number; readonly text: string; readonly message: string } | undefined
  for (const [index, text] of lines.entries()) {
    const line = index + 1
    const entry = entryOf(text)
    if (typeof entry === "string") {
      if (unread !== undefined) problems.push(unread)
      unread = { line, text, message: entry }
      continue
    }
    entries++
    const known = unread !== undefined && entry.torn_line_hash === sha256(unread.text)
    if (unread !== undefined && !known) problems.push({ line: unread.line, message: unread.message })
    if (unread === undefined && entry.torn_line_hash !== undefined) {
      problems.push({ line, message: "a line that was cut off stood before it and is gone" })
    }
    const changed = unread !== undefined && !known
    const expected = (last?.audit_sequence ?? 0) + (changed ? 2 : 1)
    if (entry.audit_sequence > expected) {
      const missing = entry.audit_sequence - expected
      const what = missing === 1 ? "an entry is" : `${missing} entries are`
      problems.push({ line, message: `${what} missing before it (number ${entry.audit_sequence}, not ${expected})` })
    } else if (entry.audit_sequence < expected && !(changed && entry.audit_sequence === expected - 1)) {
      const { audit_sequence } = entry
      problems.push({
        line,
        message: `its number ${audit_sequence} was there before: this line or one before was put in`
      })
    } else if (!changed && entry.previous_hash !== (last?.hash ?? genesis)) {
      problems.push({ line, message: "does not follow the line before it: one of the two was replaced" })
    }
    last = { audit_sequence: entry.audit_sequence, hash: entry.hash }
    unread = undefined
  }
  if (unread !== undefined) problems.push({ line: unread.line, message: unread.message })
  if (open !== "") problems.push({ line: lines.length + 1, message: "is cut off" })
  problems.push(...endProblems(last, head, lines.length, problems.length === 0))
  return { entries, head: last, problems: problems.map(({ line, message }) => ({ line, message })) }
}

/** A writer may have died between the log and the file beside it: then the log is one entry ahead. */
const endProblems = (
  last: AuditHead | undefined,
  head: AuditHead | undefined,
  lines: number,
  whole: boolean
): ReadonlyArray<AuditProblem> => {
  if (head === undefined) {
    return last === undefined
      ? []
      : [{ line: lines, message: "its head file is missing: whether lines were cut off behind it cannot be told" }]
  }
  const at = last?.audit_sequence ?? 0
  if (at < head.audit_sequence) {
    const missing = head.audit_sequence - at
    const what = missing === 1 ? "an entry was" : `${missing} entries were`
    return [{ line: lines + 1, message: `${what} cut off at the end (the last was number ${head.audit_sequence})` }]
  }
  if (at === head.audit_sequence && last?.hash !== head.hash && whole) {
    return [{ line: lines, message: "is another entry than the head file names" }]
  }
  return at > head.audit_sequence + 1
    ? [{ line: lines, message: `is number ${at}, the head file names ${head.audit_sequence}: entries were put in` }]
    : []
}
