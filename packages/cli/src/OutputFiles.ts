import { mustBeFree } from "@rspp/timeline/recorder/WriterLock"
import { Effect, FileSystem, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"

// What a command may write where. Checked before a call starts, so that nothing that was given is lost and no call is
// run whose result could not be kept.

const refuse = (message: string, hint: string) => new CliFailure({ exit: "bad_input", message, hint })

/** A file that was given to write to and cannot be written. */
export const notWritable = (path: string) =>
  refuse(`${path} cannot be written`, "Give another path, where you may write and there is room.")

/** The directory of a file that is to be written must be there. */
export const parentMustExist = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const parent = paths.dirname(path)
  if (!(yield* Effect.orElseSucceed(fs.exists(parent), () => false))) {
    return yield* refuse(
      `${path} cannot be written: there is no directory ${parent}`,
      "Create it first, or give another path."
    )
  }
})

/**
 * Makes a directory and those above it that are not there. One by one: in places such as /proc the system says of a
 * directory that it does not exist when it may not be made, and a recursive call tries for ever.
 */
export const makeDirectories: (
  path: string
) => Effect.Effect<void, CliFailure, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function*(path) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const missing: Array<string> = []
  for (
    let at = paths.resolve(path);
    !(yield* Effect.orElseSucceed(fs.exists(at), () => false));
    at = paths.dirname(at)
  ) {
    missing.unshift(at)
    if (at === paths.dirname(at)) break
  }
  for (const directory of missing) {
    yield* Effect.mapError(
      fs.makeDirectory(directory),
      () => refuse(`the directory ${path} cannot be made: ${directory} cannot`, "Give another directory.")
    )
  }
  if ((yield* kindOf(path)) !== "Directory") {
    return yield* refuse(`${path} is not a directory`, "Give another name.")
  }
  return undefined
})

const kindOf = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.stat(path).pipe(Effect.map(({ type }) => type), Effect.orElseSucceed(() => undefined))
})

/** The same file by another path counts as the same. */
const realPath = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  return yield* Effect.orElseSucceed(fs.realPath(path), () => paths.resolve(path))
})

const notAmong = Effect.fnUntraced(function*(path: string, inputs: ReadonlyArray<string>) {
  const real = yield* realPath(path)
  for (const input of inputs) {
    if ((yield* realPath(input)) === real) {
      return yield* refuse(`${path} is an input or another output of this command`, "Give each file its own name.")
    }
  }
  return undefined
})

/** A text file to write: replaced when it is there, but never one of `inputs`. */
export const checkTextOutput = Effect.fnUntraced(function*(path: string, inputs: ReadonlyArray<string>) {
  yield* parentMustExist(path)
  yield* notAmong(path, inputs)
  const kind = yield* kindOf(path)
  if (kind === "Directory") return yield* refuse(`${path} is a directory`, "Give the path of a file.")
  const fs = yield* FileSystem.FileSystem
  const start = kind === "File" ? yield* Effect.orElseSucceed(readStart(fs, path), () => "") : ""
  if (start === "RIFF" || start === "rspp") {
    return yield* refuse(
      `${path} is a ${start === "RIFF" ? "WAV file" : "recording"}; it is left as it is`,
      "Give the output another name."
    )
  }
  return undefined
})

/**
 * A WAV file to write. An earlier WAV file is overwritten; anything else that has that name is left alone, and so is
 * every file in `inputs`.
 */
export const checkWaveOutput = Effect.fnUntraced(function*(path: string, inputs: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  yield* parentMustExist(path)
  yield* notAmong(path, inputs)
  const kind = yield* kindOf(path)
  if (kind === undefined || kind === "CharacterDevice" || kind === "FIFO") return undefined
  const start = kind === "File" ? yield* Effect.orElseSucceed(readStart(fs, path), () => "?") : "?"
  if (start !== "" && start !== "RIFF") {
    return yield* refuse(`${path} exists and is not a WAV file; it is left as it is`, "Give the output another name.")
  }
  return undefined
})

const readStart = (fs: FileSystem.FileSystem, path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* fs.open(path, { flag: "r" })
    const bytes = yield* file.readAlloc(4)
    return bytes._tag === "None" ? "" : Buffer.from(bytes.value).toString("latin1")
  }))

/**
 * The timeline file to write: `path` itself, or `<session_id>.timeline` in it when it is a directory (or ends in `/`,
 * then it is created). A timeline is never overwritten.
 */
export const timelineFile = Effect.fnUntraced(function*(path: string, sessionId: string) {
  const paths = yield* Path.Path
  if (path.endsWith("/")) {
    yield* makeDirectories(path)
  }
  const kind = yield* kindOf(path)
  const file = kind === "Directory" ? paths.join(path, `${sessionId}.timeline`) : path
  yield* parentMustExist(file)
  if ((yield* kindOf(file)) !== undefined) {
    yield* mustBeFree(file)
    return yield* refuse(
      `${file} exists already, and a timeline is never overwritten`,
      "Give the timeline another name, or a directory."
    )
  }
  return file
})

/** `.rspp/NAME-1`, `.rspp/NAME-2` …: the first that does not exist. */
export const freshDirectory = Effect.fnUntraced(function*(name: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  for (let n = 1;; n++) {
    const directory = paths.join(".rspp", `${name}-${n}`)
    if (!(yield* Effect.orElseSucceed(fs.exists(directory), () => false))) return directory
  }
})
