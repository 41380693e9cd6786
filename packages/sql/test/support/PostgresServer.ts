import { spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A PostgreSQL server for tests, or why there is none. */
export type PostgresServer =
  | {
    readonly url: string
    readonly stop: () => void
    /** Stops it at once, as a crash does, and starts it again; absent for a server that was given. */
    readonly restart?: () => void
    /** The two halves of `restart`. */
    readonly crash?: () => void
    readonly start?: () => void
  }
  | { readonly missing: string }

/** Where the programs of a PostgreSQL server are, if they are installed. */
const programs = (): string | undefined => {
  const versions = "/usr/lib/postgresql"
  const installed = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, "bin")) : []
  return [...installed, ...(process.env["PATH"] ?? "").split(":")].find((directory) =>
    existsSync(join(directory, "initdb")) && existsSync(join(directory, "pg_ctl"))
  )
}

/** Who runs the server: it refuses to be run by root. */
const owner = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout)
  const [uid, gid] = [id("-u"), id("-g")]
  return uid > 0 && gid > 0 ? { uid, gid } : { uid: 65_534, gid: 65_534 }
}

/**
 * The server that `PG_URL` names, or a new one in a temporary directory, reached by a Unix socket in it; `missing` when
 * neither can be had. A new one does not wait for its disk, unless `durable`: a crash of the server loses nothing all the
 * same, one of the machine would.
 */
export const postgresServer = ({ durable = false }: { readonly durable?: boolean } = {}): PostgresServer => {
  const given = process.env["PG_URL"]
  if (given !== undefined && given !== "") return { url: given, stop: () => {} }
  const bin = programs()
  if (bin === undefined) return { missing: "PG_URL is not set, and no PostgreSQL server is installed" }
  const user = owner()
  const directory = mkdtempSync(join(tmpdir(), "rspp-pg-"))
  const data = join(directory, "data")
  const remove = () => rmSync(directory, { recursive: true, force: true })
  mkdirSync(data)
  if (user !== undefined) { for (const path of [directory, data]) chownSync(path, user.uid, user.gid) }
  const run = (program: string, args: ReadonlyArray<string>) => {
    const result = spawnSync(join(bin, program), args, { ...user, cwd: directory, encoding: "utf8", stdio: "pipe" })
    return result.status === 0 ? undefined : `${program}: ${result.stderr || result.stdout || String(result.error)}`
  }
  const start = () =>
    run("pg_ctl", [
      "-D",
      data,
      "-l",
      join(directory, "log"),
      "-w",
      "-o",
      `-k ${directory} -c listen_addresses=''${durable ? "" : " -c fsync=off"}`,
      "start"
    ])
  const crash = () => run("pg_ctl", ["-D", data, "-m", "immediate", "stop"])
  const failed = run("initdb", ["-D", data, "-U", "rspp", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]) ??
    start()
  if (failed !== undefined) {
    remove()
    return { missing: `a PostgreSQL server is installed but does not start: ${failed.trim()}` }
  }
  return {
    url: `postgres:///postgres?host=${encodeURIComponent(directory)}&user=rspp`,
    restart: () => {
      const problem = crash() ?? start()
      if (problem !== undefined) throw new Error(problem)
    },
    crash: () => {
      const problem = crash()
      if (problem !== undefined) throw new Error(problem)
    },
    start: () => {
      const problem = start()
      if (problem !== undefined) throw new Error(problem)
    },
    stop: () => {
      crash()
      remove()
    }
  }
}
