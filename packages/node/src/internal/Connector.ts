/**
 * How this transport connects: the one place that every socket comes from, and where what a request may
 * demand of it is checked, before the first byte of HTTP.
 */
import type { buildConnector } from "@effect/platform-node/Undici"
import { addressRuleOf } from "@effect-jwks/core"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type Connecting, ConnectAttempt } from "./ConnectAttempt.ts"
import type { DialLimit } from "./DialLimit.ts"
import { described, guardedLookup } from "./GuardedLookup.ts"
import type { TlsTerms } from "./HostTls.ts"
import { verifiedPins } from "./PeerPins.ts"
import { Refusal } from "./Refusal.ts"
import type { TransportSettings } from "./TransportSettings.ts"
import { openTunnel, type Proxy, serverName, type TunnelSettings } from "./Tunnel.ts"
import { limitWire } from "./WireLimit.ts"

/** What all connections of one pool have in common. */
export interface Terms {
  /** Sorted; empty for any key. */
  readonly pins: ReadonlyArray<string>
  /** Whether the address rules are off. */
  readonly isExempt: boolean
}

/** Makes the function by which one undici agent connects. */
export const makeConnector = (
  settings: TransportSettings,
  terms: Terms,
  connecting: Connecting,
  dials: DialLimit,
): buildConnector.connector => {
  const lookup = guardedLookup(settings.lookup, terms.isExempt)
  return (target, callback) => {
    // undici takes what is thrown here for what came of the connection.
    dials.take(`${target.protocol}//${target.host}`)
    const attempt = new ConnectAttempt(connecting, settings.connectTimeout)
    connect(settings, terms, lookup, attempt, target)
      .finally(attempt.settle)
      .then(
        (socket) => callback(null, socket),
        (error: unknown) =>
          callback(error instanceof Error ? error : new Error("no connection", { cause: error }), null),
      )
  }
}

const connect = async (
  settings: TransportSettings,
  { isExempt, pins }: Terms,
  lookup: Net.LookupFunction,
  attempt: ConnectAttempt,
  target: buildConnector.Options,
): Promise<Net.Socket> => {
  const { hostname } = target
  const isTls = target.protocol === "https:"
  const port = target.port === "" ? (isTls ? 443 : 80) : Number(target.port)
  const proxy = settings.proxyFor(hostname)
  const tunnel = proxy && (await openTunnel(proxy, { hostname, port }, tunnelSettings(settings, proxy), attempt.hold))
  // Happy eyeballs (RFC 8305), whatever the process's default is.
  const route = tunnel === undefined ? { port, lookup, autoSelectFamily: true } : { socket: tunnel }
  const socket = isTls
    ? await opened(connectTls({ host: hostname, ...route, ...tlsOf(settings, hostname) }), "secureConnect", attempt)
    : (tunnel ?? (await opened(Net.connect({ host: hostname, port, ...route }), "connect", attempt)))
  try {
    if (socket.destroyed || socket.remoteAddress === undefined) throw closedAlready()
    if (!isExempt && tunnel === undefined) checkAddress(socket.remoteAddress, hostname)
    if (pins.length > 0) checkPins(socket, pins, settings.tlsFor(hostname))
    if (socket.readableLength > 0) throw spokeFirst()
  } catch (error) {
    socket.destroy()
    throw error
  }
  limitWire(socket)
  return socket
}

/** In HTTP/1.1 the client speaks first. undici would drop such a connection, and make another. */
const spokeFirst = (): Error =>
  Object.assign(new Error("bytes came before the request was sent"), { code: "ERR_SPOKE_FIRST" })

/** Nothing can be told of it any more. Not undici's code for it, at which its client would connect again and again. */
const closedAlready = (): Error => Object.assign(new Error("the server closed the connection"), { code: "ECONNRESET" })

/** Where the proxy is, is the operator's choice: its address is not judged. */
const tunnelSettings = ({ lookup, maxHeaderBytes, tlsFor }: TransportSettings, { url }: Proxy): TunnelSettings => ({
  tls: tlsFor(url.hostname).connect,
  lookup,
  maxHeaderBytes,
})

const tlsOf = (settings: TransportSettings, hostname: string): Tls.ConnectionOptions => ({
  ...settings.tlsFor(hostname).connect,
  servername: serverName(hostname),
  ALPNProtocols: ["http/1.1"],
})

/** The host name is checked against the server's own certificate; Node would make objects of all that it sent. */
const connectTls = (options: Tls.ConnectionOptions): Tls.TLSSocket => {
  const socket = Tls.connect(options)
  // At a key on a curve without a name of NIST's, Node 26 crashes while it does.
  const getPeerCertificate = () => Tls.TLSSocket.prototype.getPeerCertificate.call(socket, false)
  return Object.defineProperty(socket, "getPeerCertificate", { value: getPeerCertificate })
}

const opened = <S extends Net.Socket>(socket: S, event: string, { hold }: ConnectAttempt): Promise<S> =>
  new Promise((resolve, reject) => {
    hold(socket)
    // Heard for good: between the times that somebody listens, an error must not end the process.
    socket.on("error", reject)
    // Without an error, when what carries it is gone.
    socket.once("close", () => reject(closedAlready()))
    socket.once(event, () => resolve(socket.setNoDelay(true).setKeepAlive(true, 60_000)))
  })

/** What it is really connected to: the last word, whatever was looked up. */
const checkAddress = (address: string, host: string): void => {
  if (addressRuleOf(address) !== undefined)
    throw new Refusal({ _tag: "Address", host, rule: `it leads to ${described(address)}` })
}

/** Chain and host name were checked by TLS itself, which a resumed session would have skipped. */
const checkPins = (socket: Net.Socket, pins: ReadonlyArray<string>, { trusted }: TlsTerms): void => {
  const isVerified = socket instanceof Tls.TLSSocket && socket.authorized && !socket.isSessionReused()
  if (!isVerified || !verifiedPins(socket, trusted(), Date.now()).some((pin) => pins.includes(pin)))
    throw new Refusal({ _tag: "Pins" })
}
