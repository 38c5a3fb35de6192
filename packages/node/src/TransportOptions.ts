/**
 * What an operator says about the transport: whom to trust, how to connect, how long to wait. Nothing in
 * here comes from a registration.
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { LookupFunction } from "node:net"

/** A client certificate for servers that ask for one (RFC 8446 section 4.3.2). */
export interface ClientCertificate {
  /** PEM: the certificate, followed by its intermediates. */
  readonly cert: string
  /** PEM. */
  readonly key: string | Redacted.Redacted<string>
  /** Of an encrypted key. */
  readonly passphrase?: string | Redacted.Redacted<string>
}

/** Whom to trust, and as whom to appear. */
export interface TlsOptions {
  /** PEM certificates of authorities, one or more in each text. Default: none but the default roots. */
  readonly ca?: string | ReadonlyArray<string>
  /**
   * Whether Node's default roots (with `NODE_EXTRA_CA_CERTS`) are trusted besides `ca`; `false` trusts `ca`
   * alone. Default: `true`.
   */
  readonly defaultRoots?: boolean
  /** Default: none, so a server that insists on one ends the connection. */
  readonly clientCertificate?: ClientCertificate
}

/** An HTTP proxy. */
export interface ProxyOptions {
  /**
   * `http://` or `https://`, with credentials as userinfo where the proxy wants some:
   * `http://user:password@proxy.example:3128`.
   */
  readonly url: string | Redacted.Redacted<string>
  /** Hosts that are reached without it: equal to or under one of these, by whole labels. Default: none. */
  readonly noProxy?: ReadonlyArray<string>
}

/**
 * Options of the transport.
 *
 * **Details**
 *
 * `ca`, `defaultRoots` and `clientCertificate` at the top hold for every host that has no word of its own in
 * `hosts`. A host is a name or an address without scheme and port; it is compared as a whole, case, brackets
 * and a trailing dot aside.
 *
 * **Gotchas**
 *
 * A `ca` at the top may vouch for every host, and a `clientCertificate` at the top is shown to every server
 * that asks, also to those that tenants register. Under `hosts` they are bound to the host that they are
 * meant for.
 */
export interface NodeJwksHttpOptions extends TlsOptions {
  /** For single hosts; a field that is absent here takes the value from the top. */
  readonly hosts?: Readonly<Record<string, TlsOptions>>
  /**
   * The proxy for all hosts but `noProxy`: CONNECT for https and for http, with TLS and pins inside the tunnel.
   * It resolves the names, so that only literal addresses and local names are checked. TLS with the proxy itself
   * goes by what `hosts` says about it. Default: none; no environment variable is read.
   */
  readonly proxy?: ProxyOptions
  /**
   * `true`, or the hosts for which private and loopback addresses are allowed, besides those of the
   * registry's own `allowPrivateAddresses`. Default: `false`.
   */
  readonly allowPrivateAddresses?: boolean | ReadonlyArray<string>
  /** Resolves names, as `lookup` of `node:dns` does, which is the default. What it finds is checked like any other. */
  readonly lookup?: LookupFunction
  /** Until a connection stands: name, proxy, TLS and pins. Default: 3 s. */
  readonly connectTimeout?: Duration.Input
  /** From the request to the end of the response's header section, looked at every half second. Default: 5 s. */
  readonly headersTimeout?: Duration.Input
  /** Between two pieces of a body, looked at every half second. Default: 5 s. */
  readonly bodyTimeout?: Duration.Input
  /** How long an unused connection is kept. Default: 10 s. */
  readonly keepAlive?: Duration.Input
  /** Most connections at a time to one origin under one list of pins; 1 to 1,024. Default: 16, as many as a registry's `maxConcurrentFetches`; fewer make requests wait in line within their attempt. */
  readonly maxConnectionsPerOrigin?: number
  /** Longest header section of a response; 1 KiB to 1 MiB. Default: 16 KiB. */
  readonly maxHeaderBytes?: number
}
