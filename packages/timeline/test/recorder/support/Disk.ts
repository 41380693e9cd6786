import { Effect, FileSystem } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { systemError } from "effect/PlatformError"

export const noSpace: PlatformError = systemError({
  _tag: "Unknown",
  module: "FileSystem",
  method: "writeAll",
  cause: Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
})

/** The file system with some operations of each file that it opens replaced. */
export const withFiles = (
  fs: FileSystem.FileSystem,
  change: (file: FileSystem.File) => Partial<FileSystem.File>
): FileSystem.FileSystem => ({
  ...fs,
  open: (path, options) =>
    Effect.map(fs.open(path, options), (file): FileSystem.File => ({
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      stat: Effect.suspend(() => file.stat),
      seek: (offset, from) => file.seek(offset, from),
      sync: Effect.suspend(() => file.sync),
      read: (buffer, at) => file.read(buffer, at),
      readAlloc: (size, at) => file.readAlloc(size, at),
      truncate: (length) => file.truncate(length),
      write: (buffer) => file.write(buffer),
      writeAll: (buffer) => file.writeAll(buffer),
      ...change(file)
    }))
})

/** A disk on which no file may grow past `size.bytes`: a write that would is done in part and then fails, as on a full disk. */
export const withSpace = (fs: FileSystem.FileSystem, size: { bytes: number }): FileSystem.FileSystem =>
  withFiles(fs, (file) => {
    let position = 0
    return {
      seek: (offset, from) =>
        Effect.tap(file.seek(offset, from), (at) =>
          Effect.sync(() => {
            position = Number(at)
          })),
      writeAll: (buffer) =>
        Effect.suspend(() => {
          const part = Math.max(0, Math.min(buffer.length, size.bytes - position))
          position += part
          const written = file.writeAll(buffer.subarray(0, part))
          return part === buffer.length ? written : Effect.andThen(written, Effect.fail(noSpace))
        })
    }
  })
