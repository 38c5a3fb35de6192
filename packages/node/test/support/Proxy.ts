/**
 * An HTTP proxy for tests that opens tunnels (CONNECT), and remembers what it was asked.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { type Listening, listen, type TlsIdentity } from "./Listening.ts"

/** A proxy that listens. */
export interface TestProxy extends Listening {
  /** `host:port` of each CONNECT. */
  readonly targets: ReadonlyArray<string>
  /** `Proxy-Authorization` of each. */
  readonly credentials: ReadonlyArray<string | undefined>
}

/** How a proxy behaves. */
export interface TestProxyOptions {
  /** Speaks TLS. Default: no. */
  readonly identity?: TlsIdentity
  /** What it answers; anything but 200 opens no tunnel. Default: 200; `undefined` answers never. */
  readonly status?: (credentials: string | undefined) => number | undefined
}

/** Every name is on 127.0.0.1, for this proxy. */
export const serveProxy = Effect.fnUntraced(function* ({
  identity,
  status = () => 200,
}: TestProxyOptions = {}): Effect.fn.Return<TestProxy, never, Scope.Scope> {
  const targets: Array<string> = []
  const credentials: Array<string | undefined> = []
  const server =
    identity === undefined
      ? Http.createServer()
      : Https.createServer({ cert: identity.certificate.pem, key: identity.certificate.keyPem })
  server.on("connect", (request: Http.IncomingMessage, socket: Net.Socket) => {
    targets.push(request.url ?? "")
    const given = request.headers["proxy-authorization"]
    credentials.push(given)
    socket.on("error", () => {})
    const code = status(given)
    if (code === undefined) return void socket.resume().once("end", () => socket.end())
    if (code !== 200) return void socket.end(`HTTP/1.1 ${code} No\r\ncontent-length: 0\r\n\r\n`)
    const port = Number(/:(\d+)$/.exec(request.url ?? "")?.[1])
    const upstream = Net.connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on("error", () => socket.destroy())
    upstream.once("close", () => socket.destroy())
    socket.once("close", () => upstream.destroy())
  })
  return { ...(yield* listen(server)), targets, credentials }
})
