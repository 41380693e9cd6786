import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"

/** A real file system of its own, until it is disposed of. */
export interface MountedDisk extends Disposable {
  readonly directory: string
  /** As after an error of the device: the kernel takes no more writes. */
  readonly readOnly: () => void
}

/** Mounts a tmpfs of `size` (`512k`, `64m`), with further mount options such as `,nr_inodes=8`. Throws where this process may not. */
export const mountDisk = (size: string, options = ""): MountedDisk => {
  const directory = mkdtempSync(`${tmpdir()}/rspp-disk-`)
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}${options}`, "tmpfs", directory], { stdio: "pipe" })
  } catch (error) {
    rmSync(directory, { recursive: true })
    throw error
  }
  return {
    directory,
    readOnly: () => execFileSync("mount", ["-o", "remount,ro", directory], { stdio: "pipe" }),
    [Symbol.dispose]: () => {
      execFileSync("umount", [directory], { stdio: "pipe" })
      rmSync(directory, { recursive: true })
    }
  }
}

/** Whether this process may mount a disk. */
export const mayMount = (): boolean => {
  try {
    mountDisk("64k")[Symbol.dispose]()
    return true
  } catch {
    return false
  }
}
