/**
 * A tunnel through an HTTP proxy (RFC 9110 section 9.3.6), for http as for https: TLS, certificates and
 * pins are those of the target, and the proxy sees its name alone.
 */
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

/** The host as a server's TLS name; addresses have none (RFC 6066 section 3). */
export const serverName = (hostname: string): string => (isIP(hostname) === 0 ? hostname.replace(/\.$/, "") : "")

/** Sends CONNECT to a proxy; `hold` is told what is open, so that somebody else can end it. */
export const openTunnel = async (
  proxy: Proxy,
  target: Target,
  settings: TunnelSettings,
  hold: (open: Http.ClientRequest | Socket) => void,
): Promise<Socket> => {
  const request = connectRequest(proxy, target, settings)
  hold(request)
  const {
    head,
    socket,
    status = 0,
  } = await new Promise<Accepted>((resolve, reject) => {
    request.on("error", reject)
    request.once("close", () => reject(Object.assign(new Error("the proxy left"), { code: "ECONNRESET" })))
    request.once("connect", (response, socket: Socket, head) => resolve({ status: response.statusCode, socket, head }))
    request.end()
  })
  hold(socket)
  socket.on("error", () => {})
  if (status !== 200) {
    socket.destroy()
    throw Object.assign(new Error("the proxy opened no tunnel"), { code: `ERR_PROXY_TUNNEL_${status ?? 0}` })
  }
  if (head.length > 0) socket.unshift(head)
  return socket
}

interface Accepted {
  readonly status: number | undefined
  readonly socket: Socket
  /** What the target said already. */
  readonly head: Buffer
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
