/**
 * The exit codes of `rspp`, of every command: the one table.
 *
 * Scripts and CI tell by them what to do; `internal` is the only one that asks for a bug report.
 */
export const exitCodes = {
  /** It ran, and what it looked at is as it should be. */
  ok: 0,
  /** It ran and found a violation: a divergence, an invalid artifact, an incomplete turn. */
  violation: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** A file that was given cannot be used, or holds nothing to work with. */
  bad_input: 3,
  /** A LiveKit server was to be started or found, and there is none. */
  no_server: 68,
  /** It could not run: a provider, a device, a disk or a permission is missing. */
  unavailable: 69,
  /** A fault of RSPP itself. */
  internal: 70,
  /** Stopped by Ctrl-C or a termination signal; everything was closed properly. */
  interrupted: 130
} as const

export type ExitName = keyof typeof exitCodes

/** The table for `rspp --help`, on one line. */
export const exitCodeHelp =
  "Exit codes: 0 ok, 1 violation or divergence, 2 usage, 3 bad input, 68 no LiveKit server, 69 could not run, 70 internal fault, 130 interrupted."
