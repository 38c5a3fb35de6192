/**
 * Servers on 127.0.0.1 that live as long as a scope and count their connections, from bare TCP to HTTPS.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Certificate } from "./Certificates.ts"

/** TCP connections of a server. */
export interface Connections {
  /** As of now. */
  readonly open: number
  /** So far. */
  readonly opened: number
  /** Waits until none is open. */
  readonly allClosed: Effect.Effect<void>
  /** Waits until so many were opened. */
  readonly awaitOpened: (count: number) => Effect.Effect<void>
}

/** A server that listens. */
export interface Listening {
  readonly port: number
  readonly connections: Connections
}

const ignore = (): void => {}

/** Listens until the scope closes, which ends every connection. */
export const listen = Effect.fnUntraced(function* (
  server: Net.Server,
): Effect.fn.Return<Listening, never, Scope.Scope> {
  const sockets = new Set<Net.Socket>()
  const watchers = new Set<() => void>()
  let opened = 0
  const changed = (): void => {
    for (const watcher of watchers) watcher()
  }
  // Of TLS servers, too, this is the TCP connection.
  server.on("connection", (socket: Net.Socket) => {
    opened += 1
    sockets.add(socket)
    socket.on("error", ignore)
    socket.once("close", () => {
      sockets.delete(socket)
      changed()
    })
    changed()
  })
  server.on("secureConnection", (socket: Tls.TLSSocket) => socket.on("error", ignore))

  const until = (holds: () => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const watcher = (): void => {
        if (!holds()) return
        watchers.delete(watcher)
        resume(Effect.void)
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    })

  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      }),
  )
  const connections: Connections = {
    get open() {
      return sockets.size
    },
    get opened() {
      return opened
    },
    allClosed: until(() => sockets.size === 0),
    awaitOpened: (count) => until(() => opened >= count),
  }
  return { port, connections }
})

/** Speaks for itself, byte by byte. */
export const serveRaw = (talk: (socket: Net.Socket) => void) =>
  listen(Net.createServer((socket) => talk(socket.on("error", ignore))))

/** What a TLS server presents and asks for. */
export interface TlsIdentity {
  readonly certificate: Certificate
  /** Sent after the certificate, in this order. Default: none. */
  readonly chain?: ReadonlyArray<Certificate>
  /** Other settings of `node:tls`, such as `requestCert`. */
  readonly tls?: Tls.TlsOptions
}

const tlsOptions = ({ certificate, chain = [], tls }: TlsIdentity): Tls.TlsOptions => ({
  cert: [certificate, ...chain].map(({ pem }) => pem).join(""),
  key: certificate.keyPem,
  ...tls,
})

/** The same inside of TLS. */
export const serveRawTls = (identity: TlsIdentity, talk: (socket: Tls.TLSSocket) => void) =>
  listen(Tls.createServer(tlsOptions(identity), (socket) => talk(socket.on("error", ignore))))

/** Answers one request. */
export type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

/** A web server, and the requests that it got. */
export interface WebServer extends Listening {
  readonly requests: ReadonlyArray<Http.IncomingMessage>
}

const recording = Effect.fnUntraced(function* (server: Http.Server | Https.Server, handler: Handler) {
  const requests: Array<Http.IncomingMessage> = []
  server.on("request", (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    requests.push(request)
    handler(request, response.on("error", ignore))
  })
  return { ...(yield* listen(server)), requests }
})

/** A web server over TLS. */
export const serveHttps = (identity: TlsIdentity, handler: Handler): Effect.Effect<WebServer, never, Scope.Scope> =>
  Effect.suspend(() => recording(Https.createServer({ keepAliveTimeout: 60_000, ...tlsOptions(identity) }), handler))

/** A web server without TLS. */
export const serveHttp = (handler: Handler): Effect.Effect<WebServer, never, Scope.Scope> =>
  Effect.suspend(() => recording(Http.createServer({ keepAliveTimeout: 60_000 }), handler))
