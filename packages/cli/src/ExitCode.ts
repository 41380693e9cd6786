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

/** What each means in a word, for `rspp --help`, and what to do then, for docs/troubleshooting.md. */
export const exitMeanings: Readonly<Record<ExitName, { readonly short: string; readonly advice: string }>> = {
  ok: { short: "ok", advice: "Nothing: it ran, and what it looked at is as it should be." },
  violation: {
    short: "violation or divergence",
    advice: "It ran and found something: a divergence, an invalid artifact, an incomplete turn. Read what it printed."
  },
  usage: {
    short: "usage",
    advice: "The command line was not understood. The message names the word; `--help` of the command has all flags."
  },
  bad_input: {
    short: "bad input",
    advice:
      "A file that was given cannot be used, or holds nothing to work with. The message names the file and the reason."
  },
  no_server: {
    short: "no LiveKit server",
    advice: "Install livekit-server, or set `LIVEKIT_URL` with its key pair ([livekit.md](livekit.md))."
  },
  unavailable: {
    short: "could not run",
    advice:
      "A provider, a key, a database, a disk or a permission is missing. `npx rspp doctor` says what this machine lacks."
  },
  internal: {
    short: "internal fault",
    advice: "A fault of RSPP. Run it again with `RSPP_DEBUG=1` for the stack, and report it."
  },
  interrupted: {
    short: "interrupted",
    advice: "Ctrl-C, SIGTERM or a terminal that went away. Files are closed and the open turn has its evidence."
  }
}

/** The table for `rspp --help`, on one line. */
export const exitCodeHelp = `Exit codes: ${
  (Object.keys(exitCodes) as ReadonlyArray<ExitName>).map((name) => `${exitCodes[name]} ${exitMeanings[name].short}`)
    .join(", ")
}.`
