/**
 * A Redis and directories for one run of the tests, with nothing of theirs left behind.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { freePort } from "../support/PostgresServer.ts"

/** Whether somebody takes connections there yet. */
const connects = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

const untilListening = async (port: number): Promise<void> => {
  // Neither server says when it listens but in words that change with its version.
  while (!(await connects(port))) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A directory that goes with the run; `releases` ends it. */
export const temporaryDirectory = (releases: Array<() => Promise<void>>): string => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-jwks-"))
  releases.push(async () => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Of the system: Debian's package of the same name. */
const redisServer = "redis-server"

/** A Redis that keeps nothing. */
export const startRedis = async (): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> => {
  const port = await freePort()
  const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const server = spawn(redisServer, options, { stdio: "ignore" })
  await untilListening(port)
  return {
    port,
    stop: async () => {
      server.kill()
      if (server.exitCode === null) await once(server, "exit")
    },
  }
}
