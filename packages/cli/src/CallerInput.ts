import { loadCallScript, singleCallScript } from "@rspp/transports/loopback/CallScript"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { readAudioFile, readAudioStream } from "@rspp/transports/loopback/WaveFile"
import { Effect, Stdio } from "effect"
import { CliFailure } from "./CliFailure.ts"

/** What the flags of a call say about its caller. */
export interface CallerFlags {
  readonly input: string | undefined
  readonly script: string | undefined
  readonly rawRate: number | undefined
  readonly rawChannels: number | undefined
}

/** What the caller says, and what the user should know about how it was read. */
export interface CallerInput {
  readonly script: CallScript
  readonly notices: ReadonlyArray<string>
}

const usage = (message: string) =>
  new CliFailure({ exit: "usage", message, hint: "Run the command with --help to see what there is." })

/**
 * Reads what the caller says: a recording (a file or standard input), or a script of several. `ofMany`: the flags are of
 * many callers, and standard input is only one.
 */
export const readCaller = Effect.fn("readCaller")(function*(flags: CallerFlags, ofMany = false) {
  const { input, rawChannels, rawRate, script } = flags
  if (input !== undefined && script !== undefined) return yield* usage("--input and --script exclude each other")
  if (rawRate === undefined && rawChannels !== undefined) return yield* usage("--raw-channels needs --raw-rate")
  if (rawRate !== undefined && input === undefined) {
    return yield* usage("--raw-rate describes --input, which is missing")
  }
  if (script !== undefined) return yield* loadCallScript(script)
  if (input === undefined) {
    return yield* usage(`there is no caller: give --input FILE ${ofMany ? "" : "(or -) "}or --script FILE`)
  }
  const options = rawRate === undefined ? {} : { raw: { sampleRateHz: rawRate, channels: rawChannels ?? 1 } }
  const recording = yield* input === "-"
    ? Effect.flatMap(Stdio.Stdio, ({ stdin }) => readAudioStream(stdin, "standard input", options))
    : readAudioFile(input, options).pipe(Effect.catchTag("WaveFileError", (error) =>
      Effect.fail(
        error.code === "not_wav"
          ? new CliFailure({
            exit: "bad_input",
            message: error.message,
            hint: "For raw PCM give --raw-rate HZ, and --raw-channels N when there is more than one."
          })
          : error
      )))
  const caller: CallerInput = { script: singleCallScript(recording.samples), notices: recording.notices }
  return caller
})
