/**
 * A tunnel through an HTTP proxy (RFC 9110 section 9.3.6), for http as for https: TLS, certificates and
 * pins are those of the target, and the proxy sees its name alone.
 */
import { errors } from "@effect/platform-node/Undici"
import { bareHost } from "@effect-jwks/core"
import * as Http from "node:http"
import * as Https from "node:https"
import { isIP, isIPv6, type LookupFunction, type Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"

/** A proxy from the options. */
export interface Proxy {
  readonly url: URL
  /** `Proxy-Authorization` (RFC 9110 section 11.7.2). */
  readonly authorization: string | undefined
  /** Domains that are reached without it. */
  readonly noProxy: ReadonlyArray<string>
}

/** What a tunnel leads to. */
export interface Target {
  readonly hostname: string
  readonly port: number
}

/** How a proxy is reached. */
export interface TunnelSettings {
  /** Of the proxy's own host. */
  readonly tls: ConnectionOptions
  readonly lookup: LookupFunction
  readonly maxHeaderBytes: number
}

/** Is told what is open, so that somebody else can end it. */
type Hold = (open: Http.ClientRequest | Socket) => void

/** The host as a server's TLS name; addresses have none (RFC 6066 section 3). */
export const serverName = (hostname: string): string => (isIP(hostname) === 0 ? hostname.replace(/\.$/, "") : "")

/** Sends CONNECT to a proxy. What the target said already can be read from the socket. */
export const openTunnel = async (
  proxy: Proxy,
  target: Target,
  settings: TunnelSettings,
  hold: Hold,
): Promise<Socket> => {
  const request = connectRequest(proxy, target, settings)
  const answered = answerTo(request, hold)
  request.end()
  const { socket, status } = await finalAnswer(await answered, settings, hold)
  if (status !== 200) {
    socket.destroy()
    throw Object.assign(new Error("the proxy opened no tunnel"), { code: `ERR_PROXY_TUNNEL_${status}` })
  }
  return socket
}

interface Answered {
  readonly status: number
  readonly socket: Socket
}

const answerTo = (request: Http.ClientRequest, hold: Hold): Promise<Answered> =>
  new Promise((resolve, reject) => {
    hold(request)
    request.on("error", reject)
    request.once("close", () => reject(Object.assign(new Error("the proxy left"), { code: "ECONNRESET" })))
    request.once("connect", ({ statusCode: status = 0 }, socket: Socket, head) => {
      hold(socket)
      // Once, however many answers it brings: between its users, an error must not end the process.
      if (socket.listenerCount("error") === 0) socket.on("error", () => {})
      if (head.length > 0) socket.unshift(head)
      resolve({ status, socket })
    })
  })

/** Passes over interim responses (RFC 9110 section 15.2), each of which Node takes for the answer to CONNECT. */
const finalAnswer = async (answered: Answered, settings: TunnelSettings, hold: Hold): Promise<Answered> => {
  const { maxHeaderBytes: maxHeaderSize } = settings
  const { socket, status } = answered
  // 101 is as final as any other: nobody asked for another protocol.
  if (status < 100 || status > 199 || status === 101) return answered
  // All of them together are no longer than one header section may be.
  if (socket.bytesRead - socket.readableLength > maxHeaderSize) {
    socket.destroy()
    throw new errors.HeadersOverflowError()
  }
  // Never sent: it reads the next answer to the one that was.
  const next = Http.request({ method: "CONNECT", createConnection: () => socket, maxHeaderSize })
  return finalAnswer(await answerTo(next, hold), settings, hold)
}

const connectRequest = (
  { authorization, url }: Proxy,
  { hostname, port }: Target,
  { lookup, maxHeaderBytes, tls }: TunnelSettings,
): Http.ClientRequest => {
  const authority = `${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`
  const host = bareHost(url.hostname)
  const isTls = url.protocol === "https:"
  const options: Http.RequestOptions = {
    host,
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...(authorization !== undefined && { "proxy-authorization": authorization }) },
    agent: false,
    lookup,
    maxHeaderSize: maxHeaderBytes,
  }
  return isTls ? Https.request({ ...options, ...tls, servername: serverName(host) }) : Http.request(options)
}
