/**
 * The servers of one case: one for http, one for https and a proxy, all on loopback, all saying what the case
 * wants them to say. They write raw bytes, since no HTTP server of Node would.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer as createHttpServer } from "node:http"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type Connections, listen } from "../support/Listening.ts"
import { type Act, type Answer, send } from "./Answer.ts"
import * as Authorities from "./Authorities.ts"
import type { Asked, Place } from "./HostileCase.ts"

/** What the servers do. */
export interface ServersOptions {
  /** The provider's own host. */
  readonly host: string
  readonly scheme: "http" | "https"
  readonly answer: (asked: Omit<Asked, "nth">) => Answer
  readonly certificate: (host: string) => Authorities.Chain
  readonly asksForCertificate: boolean
  /** What the proxy says before it opens a tunnel. */
  readonly proxyInterim: Answer
  /** What the proxy says instead of opening a tunnel. */
  readonly proxyAnswer: Answer | undefined
  /** What the http server says before it is asked. */
  readonly greeting: Answer | undefined
}

/** The servers of one case. */
export interface Servers extends Place {
  /** Of the two web servers. */
  readonly connections: ReadonlyArray<Connections>
  /** Everything that they were asked. */
  readonly asked: ReadonlyArray<Omit<Asked, "nth">>
  /** The proxy's port. */
  readonly proxyPort: number
}

/** Starts them; they end with the scope. */
export const openServers = Effect.fnUntraced(function* (
  options: ServersOptions,
): Effect.fn.Return<Servers, never, Scope.Scope> {
  const asked: Array<Omit<Asked, "nth">> = []
  const talk = (socket: Net.Socket): void =>
    converse(socket, (request) => {
      asked.push(request)
      return options.answer(request)
    })

  const plain = Net.createServer((socket) => {
    talk(socket)
    if (options.greeting !== undefined) perform(socket, options.greeting, () => {})
  })
  const secure = Tls.createServer(
    {
      requestCert: options.asksForCertificate,
      rejectUnauthorized: false,
      ...(options.asksForCertificate && { ca: Authorities.root().pem }),
      ...contextOptions(options.certificate(options.host)),
      SNICallback: (host, done) => done(null, Tls.createSecureContext(contextOptions(options.certificate(host)))),
    },
    talk,
  )
  const proxy = createHttpServer()
  // Whatever address is asked for, it is one of the two servers.
  proxy.on("connect", (request, socket: Net.Socket) => {
    socket.on("error", () => {})
    if (options.proxyAnswer !== undefined) return perform(socket, options.proxyAnswer, () => {})
    perform(socket, [...options.proxyInterim, send("HTTP/1.1 200 Connected\r\n\r\n")], () => {
      const port = Number(request.url?.split(":").at(-1))
      ;(port === 443 || port === https.port ? secure : plain).emit("connection", socket)
    })
  })
  const http = yield* listen(plain)
  const https = yield* listen(secure)
  const { port: proxyPort } = yield* listen(proxy)

  return {
    asked,
    proxyPort,
    connections: [http.connections, https.connections],
    url: (path, { host = options.host, scheme = options.scheme } = {}) =>
      `${scheme}://${host}:${scheme === "https" ? https.port : http.port}${path}`,
  }
})

const contextOptions = (chain: Authorities.Chain): Tls.SecureContextOptions => ({
  cert: chain.map(({ pem }) => pem).join(""),
  key: chain[0].keyPem,
})

// -----------------------------------------------------------------------------
// One connection
// -----------------------------------------------------------------------------

/** Answers the requests of a connection one after the other. */
const converse = (socket: Net.Socket, answer: (asked: Omit<Asked, "nth">) => Answer): void => {
  socket.on("error", () => {})
  // Those that came through the proxy may stay half open.
  socket.once("end", () => socket.end())
  let received = ""
  let isBusy = false
  const next = (): void => {
    const end = received.indexOf("\r\n\r\n")
    if (isBusy || end < 0) return
    const request = readRequest(received.slice(0, end), clientNameOf(socket))
    received = received.slice(end + 4)
    isBusy = true
    perform(socket, answer(request), () => {
      isBusy = false
      next()
    })
  }
  socket.on("data", (piece: Buffer) => {
    received += piece.toString("latin1")
    next()
  })
}

const clientNameOf = (socket: Net.Socket): string | undefined => {
  const name = socket instanceof Tls.TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined
  return typeof name === "string" ? name : undefined
}

const readRequest = (text: string, clientName: string | undefined): Omit<Asked, "nth"> => {
  const [requestLine = "", ...lines] = text.split("\r\n")
  const [method = "", target = ""] = requestLine.split(" ")
  const headers = new Map<string, string>()
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(":")).toLowerCase()
    const value = line.slice(line.indexOf(":") + 1).trim()
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
  }
  const host = (headers.get("host") ?? "").replace(/:\d+$/, "")
  return { method, target, host, headers, clientName }
}

/** Does one thing after the other, each when the socket has taken the last. */
const perform = (socket: Net.Socket, [act, ...rest]: Answer, done: () => void): void => {
  if (act === undefined) return done()
  if (socket.destroyed) return
  const goOn = (): void => perform(socket, rest, done)
  switch (act._tag) {
    case "Send":
      if (socket.write(act.bytes)) goOn()
      else socket.once("drain", goOn)
      return
    case "Repeat":
      pour(socket, act)
      return
    case "Drip":
      trickle(socket, act)
      return
    case "Finish":
      socket.end()
      return
    case "Reset":
      // What was written first is on its way.
      setImmediate(() => (socket instanceof Tls.TLSSocket ? socket.destroy() : socket.resetAndDestroy()))
  }
}

const pour = (socket: Net.Socket, { bytes }: Extract<Act, { readonly _tag: "Repeat" }>): void => {
  if (socket.destroyed) return
  const goOn = (): void => pour(socket, { _tag: "Repeat", bytes })
  if (socket.write(bytes)) setImmediate(goOn)
  else socket.once("drain", goOn)
}

const trickle = (socket: Net.Socket, { bytes, everyMillis }: Extract<Act, { readonly _tag: "Drip" }>): void => {
  let sent = 0
  const timer = setInterval(() => {
    socket.write(bytes.subarray(sent % bytes.length, (sent % bytes.length) + 1))
    sent += 1
  }, everyMillis)
  socket.once("close", () => clearInterval(timer))
}
