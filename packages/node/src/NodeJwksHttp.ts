/**
 * The `HttpClient` for a registry on Node: undici, with pins, the address guard, authorities and client
 * certificates by host, a proxy, timeouts, bounded sockets and bodies that are decoded only as far as they are
 * read.
 *
 * **Details**
 *
 * What a request demands (pins, exempt hosts) it reads from `TransportDemand`, so one transport serves
 * registrations with and without pins; `TransportGuards` beside the client says that it can.
 */
import type { InvalidRegistration } from "@effect-jwks/core"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import { transportLayer } from "./internal/TransportLayer.ts"
import type { NodeJwksHttpOptions } from "./TransportOptions.ts"

/**
 * The transport, for `JwksRegistry.layer` and its like.
 *
 * **Details**
 *
 * - Every connection is checked before the first byte of HTTP: what the name resolved to and what the socket is
 *   connected to, TLS 1.2 or later with the standard checks of chain and host name, then the pins. TLS sessions
 *   are not resumed, and `NODE_TLS_REJECT_UNAUTHORIZED` has no effect.
 * - Connections are kept and shared by origin, pins, exemption, and what `hosts` says about the host.
 * - `gzip`, `deflate`, `br` and `zstd` are undone while the body is read (RFC 9110 section 8.4.1).
 * - It fails with `HttpClientError`. The cause is a `TransportRefused` (`AddressRefused`, `PinMismatch`), or has
 *   a code such as `CERT_HAS_EXPIRED` or `UND_ERR_HEADERS_TIMEOUT`.
 *
 * Wrong options fail the layer with `InvalidRegistration`, which names every one of them.
 *
 * **Gotchas**
 *
 * It is made for a registry: it sends requests without body alone, follows no redirects, keeps no cookies, and makes
 * no spans. Each build of the layer has sockets of its own, which its end closes, so keep the layer in a const.
 *
 * Whoever wraps its client in a layer of its own passes `TransportGuards` on beside it; otherwise registrations
 * with pins are refused.
 *
 * **Example** (An identity provider of the intranet, with its own authority)
 *
 * ```ts
 * import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
 * import { NodeJwksHttp } from "@effect-jwks/node"
 * import * as Layer from "effect/Layer"
 * import * as Persistence from "effect/persistence/Persistence"
 *
 * const transport = (intranetCa: string) =>
 *   NodeJwksHttp.layer({
 *     hosts: { "id.intranet.example": { ca: intranetCa, defaultRoots: false } },
 *     connectTimeout: "1 second",
 *   })
 *
 * export const jwksLive = (intranetCa: string) =>
 *   JwksRegistry.layer({ allowPrivateAddresses: ["id.intranet.example"] }).pipe(
 *     Layer.provide([transport(intranetCa), Persistence.layerMemory, JwksMetrics.layer]),
 *   )
 * ```
 */
export const layer = (options: NodeJwksHttpOptions = {}): Layer.Layer<HttpClient.HttpClient, InvalidRegistration> =>
  transportLayer(options, "")
