/**
 * A TCP server on a free port: one that passes everything on after a delay, and one that answers nonsense.
 */
import * as Effect from "effect/Effect"
import { connect, createServer, type Server, type Socket } from "node:net"

const listen = (onConnection: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly sockets: Set<Socket> }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket))
        onConnection(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }),
  ).pipe(
    Effect.map(({ server }) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }),
  )

/** Passes on to `port` what comes, and what comes back after `delay.millis`, as it is at that moment. */
export const delayProxy = Effect.fnUntraced(function* (port: number) {
  const delay = { millis: 0 }
  const own = yield* listen((socket) => {
    const upstream = connect(port, "127.0.0.1")
    socket.on("data", (chunk: Buffer) => upstream.write(chunk)).on("close", () => upstream.destroy())
    upstream
      .on("data", (chunk: Buffer) => setTimeout(() => !socket.destroyed && socket.write(chunk), delay.millis))
      .on("error", () => socket.destroy())
      .on("close", () => socket.destroy())
  })
  return { port: own, delay }
})

/** Answers whatever comes with what `answer` makes of it. */
export const nonsense = (answer: (asked: string) => string) =>
  listen((socket) => void socket.on("data", (chunk: Buffer) => socket.write(answer(chunk.toString()))))
