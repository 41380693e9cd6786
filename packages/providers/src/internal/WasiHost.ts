/**
 * A WASI preview 1 host for one run of a command line program that reads nothing and writes one file.
 *
 * It has arguments, a clock that stands still, one writable directory (`/w`, file descriptor 3) whose files live in
 * memory, and nothing else: no standard input, no environment, no real file system. `node:wasi` crashed when it was
 * used again and again; this host is the 13 calls that Flite imports.
 *
 * Bounds: at most {@link maxFileBytes} per file; a write past it fails with `ENOSPC` and the program ends.
 */

/** 20 minutes of 16 kHz mono, far above one sentence. */
export const maxFileBytes = 40 * 1024 * 1024

const success = 0
const badDescriptor = 8
const noSpace = 51
const firstFileDescriptor = 4
const preopened = 3

interface OpenFile {
  bytes: Uint8Array
  length: number
  position: number
}

/** What the program left behind: its exit code, its messages and its files by path (as the program named them). */
export interface WasiResult {
  readonly exitCode: number
  readonly messages: string
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** Thrown through the program by `proc_exit`, so that it unwinds. */
class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}

const text = new TextDecoder()

/** Runs `module` once, to its end, in this thread. The module's own traps are thrown. */
export const runWasi = (module: WebAssembly.Module, args: ReadonlyArray<string>): WasiResult => {
  const encodedArgs = args.map((arg) => new TextEncoder().encode(arg + "\0"))
  const files = new Map<string, OpenFile>()
  const open = new Map<number, OpenFile>()
  let nextDescriptor = firstFileDescriptor
  let messages = ""
  let memory: WebAssembly.Memory | undefined
  // The memory grows, and its buffer with it: views are made per call.
  const view = () => new DataView(memory!.buffer)
  const bytes = (pointer: number, length: number) => new Uint8Array(memory!.buffer, pointer, length)

  const write = (file: OpenFile, chunk: Uint8Array): boolean => {
    const end = file.position + chunk.length
    if (end > maxFileBytes) return false
    if (end > file.bytes.length) {
      const grown = new Uint8Array(Math.max(end, file.bytes.length * 2))
      grown.set(file.bytes.subarray(0, file.length))
      file.bytes = grown
    }
    file.bytes.set(chunk, file.position)
    file.position = end
    file.length = Math.max(file.length, end)
    return true
  }

  const imports = {
    args_sizes_get: (count: number, size: number) => {
      view().setUint32(count, encodedArgs.length, true)
      view().setUint32(size, encodedArgs.reduce((sum, arg) => sum + arg.length, 0), true)
      return success
    },
    args_get: (pointers: number, buffer: number) => {
      let at = buffer
      encodedArgs.forEach((arg, index) => {
        view().setUint32(pointers + index * 4, at, true)
        bytes(at, arg.length).set(arg)
        at += arg.length
      })
      return success
    },
    clock_time_get: (_id: number, _precision: bigint, result: number) => {
      view().setBigUint64(result, 0n, true)
      return success
    },
    fd_close: (descriptor: number) => {
      open.delete(descriptor)
      return success
    },
    fd_fdstat_get: (descriptor: number, result: number) => {
      const directory = descriptor === preopened
      if (!directory && descriptor > preopened && !open.has(descriptor)) return badDescriptor
      bytes(result, 24).fill(0)
      view().setUint8(result, directory ? 3 : descriptor < preopened ? 2 : 4)
      view().setBigUint64(result + 8, 0xffff_ffffn, true)
      view().setBigUint64(result + 16, 0xffff_ffffn, true)
      return success
    },
    fd_fdstat_set_flags: () => success,
    fd_prestat_get: (descriptor: number, result: number) => {
      if (descriptor !== preopened) return badDescriptor
      view().setUint32(result, 0, true)
      view().setUint32(result + 4, 2, true)
      return success
    },
    fd_prestat_dir_name: (descriptor: number, path: number, length: number) => {
      if (descriptor !== preopened) return badDescriptor
      bytes(path, length).set(new TextEncoder().encode("/w").subarray(0, length))
      return success
    },
    fd_read: (descriptor: number, _vectors: number, _count: number, result: number) => {
      if (!open.has(descriptor) && descriptor !== 0) return badDescriptor
      view().setUint32(result, 0, true)
      return success
    },
    fd_seek: (descriptor: number, offset: bigint, whence: number, result: number) => {
      const file = open.get(descriptor)
      if (file === undefined) return badDescriptor
      file.position = Number(offset) + (whence === 1 ? file.position : whence === 2 ? file.length : 0)
      view().setBigUint64(result, BigInt(file.position), true)
      return success
    },
    fd_write: (descriptor: number, vectors: number, count: number, result: number) => {
      const file = open.get(descriptor)
      if (file === undefined && descriptor !== 1 && descriptor !== 2) return badDescriptor
      let written = 0
      for (let index = 0; index < count; index++) {
        const chunk = bytes(
          view().getUint32(vectors + index * 8, true),
          view().getUint32(vectors + index * 8 + 4, true)
        )
        if (file === undefined) messages = (messages + text.decode(chunk)).slice(-1000)
        else if (!write(file, chunk)) return noSpace
        written += chunk.length
      }
      view().setUint32(result, written, true)
      return success
    },
    path_open: (
      _directory: number,
      _dirFlags: number,
      path: number,
      pathLength: number,
      _openFlags: number,
      _rights: bigint,
      _inheriting: bigint,
      _flags: number,
      result: number
    ) => {
      const file: OpenFile = { bytes: new Uint8Array(256 * 1024), length: 0, position: 0 }
      files.set(text.decode(bytes(path, pathLength)), file)
      const descriptor = nextDescriptor++
      open.set(descriptor, file)
      view().setUint32(result, descriptor, true)
      return success
    },
    proc_exit: (code: number) => {
      throw new Exit(code)
    }
  }

  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: imports })
  memory = instance.exports["memory"] as WebAssembly.Memory
  let exitCode = 0
  try {
    ;(instance.exports["_start"] as () => void)()
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    exitCode = error.code
  }
  return {
    exitCode,
    messages,
    files: new Map([...files].map(([path, file]) => [path, file.bytes.subarray(0, file.length)]))
  }
}
