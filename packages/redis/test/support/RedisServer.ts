/**
 * A real redis-server on a free port of this machine, which a test can kill, start again, freeze and thaw.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** Where the server is, if this machine has one. */
const redisBinary: string | undefined = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "redis-server"))
  .find((file) => existsSync(file))

/** For `describe.skipIf`. */
export const hasNoRedis = redisBinary === undefined

/** A port that was free a moment ago. */
const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

export interface RedisServer {
  readonly port: number
  /** Ends when the server accepts connections. */
  readonly start: Effect.Effect<void>
  /** SIGKILL, and waits for the end. */
  readonly kill: Effect.Effect<void>
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** The reply to a command on a connection of its own, as it came. */
  readonly command: (...args: ReadonlyArray<string>) => Effect.Effect<string>
}

/** Asks on a connection of its own; inline, so that the client under test has no part in it. */
const ask = (port: number, args: ReadonlyArray<string>): Effect.Effect<string, Error> =>
  Effect.callback((resume) => {
    let reply = ""
    const socket = connect(port, "127.0.0.1")
    socket.on("error", (error) => resume(Effect.fail(error)))
    socket.on("data", (chunk: Buffer) => (reply += chunk.toString()))
    socket.on("close", () => resume(Effect.succeed(reply)))
    const encoded = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join("")
    socket.write(`*${args.length}\r\n${encoded}*1\r\n$4\r\nQUIT\r\n`)
    return Effect.sync(() => socket.destroy())
  })

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** A server that is not started yet; it ends with the scope. */
export const makeRedis = Effect.fnUntraced(function* (
  ...flags: ReadonlyArray<string>
): Effect.fn.Return<RedisServer, never, Scope.Scope> {
  const port = yield* freePort
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "redis-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
  )
  let child: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => Effect.sync(() => void child?.kill(name))
  const kill = Effect.suspend(() => {
    const running = child
    child = undefined
    if (running === undefined) return Effect.void
    running.kill("SIGKILL")
    return ended(running)
  })
  const start = Effect.suspend(() =>
    Effect.callback<void>((resume) => {
      const running = spawn(
        redisBinary ?? "",
        ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder, ...flags],
        { stdio: ["ignore", "pipe", "inherit"] },
      )
      child = running
      running.once("error", (error) => resume(Effect.die(error)))
      running.once("exit", () => resume(Effect.die(new Error("redis-server ended"))))
      running.stdout.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("Ready to accept connections")) resume(Effect.void)
      })
    }),
  )
  yield* Effect.addFinalizer(() => kill)
  return {
    port,
    start,
    kill,
    freeze: signal("SIGSTOP"),
    thaw: signal("SIGCONT"),
    command: (...args) => Effect.orDie(ask(port, args)),
  }
})

/** A server that runs. */
export const startRedis = (...flags: ReadonlyArray<string>) => Effect.tap(makeRedis(...flags), ({ start }) => start)
