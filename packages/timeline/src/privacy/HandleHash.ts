import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { TimelineRecord } from "@rspp/contracts/Timeline"

/** The handle that a record carries, if any: what an input brought, or what a command is about. */
export const handleOf = (record: TimelineRecord): PayloadHandle | undefined => {
  if (record.record === "input") return "handle" in record.input ? record.input.handle : undefined
  if (record.record !== "command") return undefined
  const { command } = record
  if ("handle" in command) return command.handle
  return command.type === "start_invocation" ? command.text : undefined
}

/** The record with no keyed hash in its handle; the same record where there is none. */
export const withoutHandleHash = <R extends TimelineRecord>(record: R): R => {
  const handle = handleOf(record)
  if (handle?.hash === undefined) return record
  const { hash: _, ...bare } = handle
  if (record.record === "input") return { ...record, input: { ...record.input, handle: bare } }
  if (record.record !== "command") return record
  const field = "handle" in record.command ? "handle" : "text"
  return { ...record, command: { ...record.command, [field]: bare } }
}
