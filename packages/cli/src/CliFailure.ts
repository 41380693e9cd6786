import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { type ExitName, exitCodes } from "./ExitCode.ts"

const ExitNames = Schema.Literals(Object.keys(exitCodes) as ReadonlyArray<ExitName>)

/**
 * A command ends without success, for a reason that the user can do something about.
 *
 * `message` says what was wrong (several lines when several things are), `hint` what to do. An empty message means that
 * the command has said everything already.
 */
export class CliFailure extends Schema.TaggedError<CliFailure>()("CliFailure", {
  exit: ExitNames,
  message: Schema.String,
  hint: Schema.optionalKey(Schema.String)
}) {}

/** The command has shown its result, and the result is not good. */
export const told = (exit: ExitName): CliFailure => new CliFailure({ exit, message: "" })

const lookAtDatabase = "Run rspp doctor --database with the same database to see what is wrong with it."

/**
 * The exit code of each typed error of the packages, by its tag: a command need not catch what it has nothing to add to.
 * By tag and not by class, so that starting the program does not load what no command needs.
 */
export const exitOfTag: Readonly<Record<string, ExitName>> = {
  // files that were given
  WaveFileError: "bad_input",
  CallScriptError: "bad_input",
  SpecFileError: "bad_input",
  SpecRejected: "bad_input",
  TimelineMissing: "bad_input",
  TimelineUnreadable: "bad_input",
  TimelineEmpty: "bad_input",
  NotATimeline: "bad_input",
  NodesFileError: "bad_input",
  NodeMismatch: "bad_input",
  NodeSettingsInvalid: "bad_input",
  UnknownTimelineVersion: "bad_input",
  TimelineWithoutHeader: "bad_input",
  InvalidTimelineRecord: "violation",
  // recordings that may not be read, or not changed so
  AccessDenied: "violation",
  AuditUnavailable: "unavailable",
  KeyStoreFailure: "unavailable",
  DeletionRefused: "bad_input",
  FileInUse: "bad_input",
  // recordings that are whole, but not for this program or this purpose
  UnknownBehaviourFlags: "bad_input",
  ReplayModeNotAllowed: "bad_input",
  ReplayNotCaptured: "bad_input",
  CursorMismatch: "bad_input",
  ConfigOverrideConflict: "bad_input",
  // stores of recordings
  SegmentConflict: "bad_input",
  SegmentDamaged: "bad_input",
  SegmentMissing: "bad_input",
  StoreRefused: "unavailable",
  StoreUnavailable: "unavailable",
  // databases of the control plane, and their backups
  BackupRefused: "bad_input",
  BackupUnusable: "bad_input",
  RestoreRefused: "bad_input",
  // words of the command line
  ConfigOverrideInvalid: "usage",
  // what the machine lacks
  ProviderUnavailable: "unavailable",
  ProviderMissing: "unavailable",
  ProviderFailure: "unavailable",
  NodeMissing: "unavailable",
  ControlPlaneFailure: "unavailable",
  DatabaseFailure: "unavailable",
  LeaseStoreFailure: "unavailable",
  SnapshotLogFailure: "unavailable",
  StateStoreFailure: "unavailable",
  TransportFailure: "unavailable",
  AgentEndpointFailure: "unavailable",
  DispatchFailure: "unavailable",
  RecorderFailure: "unavailable",
  TelemetryFailure: "unavailable",
  SeedProcessUnavailable: "unavailable",
  LocalServerFailure: "no_server",
  PlatformError: "unavailable"
}

/** What to do about errors of the packages that know no command of this program. */
const adviceOfTag: Readonly<Record<string, string>> = {
  DatabaseFailure: lookAtDatabase,
  LeaseStoreFailure: lookAtDatabase,
  StateStoreFailure: lookAtDatabase
}

/** What the user is told at the end, and the exit code. */
export interface Ending {
  readonly exit: ExitName
  readonly lines: ReadonlyArray<string>
}

const text = (value: unknown, key: string): string | undefined => {
  const field = typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
  return typeof field === "string" && field !== "" ? field : undefined
}

const describe = (error: unknown): Ending | undefined => {
  const tag = text(error, "_tag")
  if (tag === undefined) return undefined
  if (error instanceof CliFailure) {
    const lines = error.message === "" ? [] : [error.message, ...(error.hint === undefined ? [] : [error.hint])]
    return { exit: error.exit, lines }
  }
  // A provider that only lacks a good file is the file's matter.
  const exit = tag === "ProviderUnavailable" && text(error, "file") !== undefined ? "bad_input" : exitOfTag[tag]
  if (exit === undefined) return undefined
  // `hint` and `remedy`: what to do, in the words of the package that raised it.
  const advice = text(error, "hint") ?? text(error, "remedy") ?? adviceOfTag[tag]
  return { exit, lines: [text(error, "message") ?? tag, ...(advice === undefined ? [] : [advice])] }
}

const internal = (cause: Cause.Cause<unknown>, details: boolean): Ending => {
  const error = Cause.squash(cause)
  const message = text(error, "message") ?? String(error)
  return {
    exit: "internal",
    lines: details
      ? [`internal fault: ${message}`, Cause.pretty(cause)]
      : [`internal fault: ${message}`, "This is a fault of RSPP. Run it again with RSPP_DEBUG=1 for the details."]
  }
}

/** How the program ends. `details` adds the stack to internal faults; user errors never have one. */
export const endingOf = (exit: Exit.Exit<unknown, unknown>, details: boolean): Ending => {
  if (exit._tag === "Success") return { exit: "ok", lines: [] }
  const { cause } = exit
  if (Cause.hasInterruptsOnly(cause)) return { exit: "interrupted", lines: [] }
  const error = Cause.squash(cause)
  // The parser of the command line has shown what is wrong; asking for help is no error.
  if (text(error, "_tag") === "ShowHelp") {
    const { errors } = error as { readonly errors: ReadonlyArray<unknown> }
    return { exit: errors.length === 0 ? "ok" : "usage", lines: [] }
  }
  return describe(error) ?? internal(cause, details)
}
