/**
 * A PostgreSQL of a test's own, on a free loopback port, that can be stopped, started again, frozen and
 * thawed.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"

/** Where Debian keeps the binaries of the latest version, if there is one. */
const findBinaries = (): string | undefined => {
  const root = "/usr/lib/postgresql"
  return (fs.existsSync(root) ? fs.readdirSync(root) : [])
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => path.join(root, version, "bin"))
    .find((folder) => fs.existsSync(path.join(folder, "initdb")))
}

/** Where PostgreSQL is, if it is. */
export const postgresBinaries: string | undefined = findBinaries()

/** A database server with a fixed port. */
export interface PostgresServer {
  readonly port: number
  readonly start: () => Promise<void>
  /** Ends it; connections are closed. */
  readonly stop: () => Promise<void>
  /** Nothing answers, and nothing is closed: neither the server, nor any of its connections. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Ends it, and forgets its data. */
  readonly discard: () => Promise<void>
}

/** A loopback port that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}

/** The server refuses to be run by root. */
const userOf = (): { readonly uid?: number; readonly gid?: number } => {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ["-u", "-g"].map((what) => Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" })))
  return { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) }
}

/** Makes a server that is not started yet. */
export const makePostgres = async (binaries: string): Promise<PostgresServer> => {
  const user = userOf()
  const port = await freePort()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-jwks-postgres-"))
  if (user.uid !== undefined && user.gid !== undefined) fs.chownSync(directory, user.uid, user.gid)
  const data = path.join(directory, "data")
  execFileSync(
    path.join(binaries, "initdb"),
    ["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...user, cwd: directory, stdio: "ignore" },
  )

  let server: ChildProcess | undefined
  let frozen: ReadonlyArray<number> = []

  const start = async (): Promise<void> => {
    const child = spawn(
      path.join(binaries, "postgres"),
      ["-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", directory, "-F", "-c", "lc_messages=C"],
      { ...user, cwd: directory, stdio: ["ignore", "ignore", "pipe"] },
    )
    server = child
    const lines: Array<string> = []
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line)
      if (line.includes("database system is ready to accept connections")) {
        child.stderr.resume()
        return
      }
    }
    throw new Error(`PostgreSQL did not start:\n${lines.join("\n")}`)
  }

  const thaw = (): void => {
    for (const pid of frozen) process.kill(pid, "SIGCONT")
    frozen = []
  }

  const stop = async (): Promise<void> => {
    thaw()
    const child = server
    server = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, "exit")
    child.kill("SIGINT")
    await ended
  }

  return {
    port,
    start,
    stop,
    freeze: () => {
      const postmaster = server?.pid
      if (postmaster === undefined) throw new Error("PostgreSQL does not run")
      // First the one that makes new processes; each connection has a process of its own.
      process.kill(postmaster, "SIGSTOP")
      frozen = [postmaster]
      const children = fs.readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, "utf8")
      for (const pid of children.split(" ").filter((text) => text !== "")) {
        process.kill(Number(pid), "SIGSTOP")
        frozen = [...frozen, Number(pid)]
      }
    },
    thaw,
    discard: async () => {
      await stop()
      fs.rmSync(directory, { recursive: true, force: true })
    },
  }
}
