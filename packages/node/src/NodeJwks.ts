/**
 * The registry on Node with everything that it needs.
 */
import { type InvalidRegistration, JwksMetrics, JwksRegistry, type JwksRegistryOptions } from "@effect-jwks/core"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { transportLayer } from "./internal/TransportLayer.ts"
import type { NodeJwksHttpOptions } from "./TransportOptions.ts"

/** Options of the registry, and what it stands on. */
export interface NodeJwksOptions<E = never> extends JwksRegistryOptions {
  readonly http?: NodeJwksHttpOptions
  /** Where snapshots go, such as `FilePersistence.layer`. Default: memory. */
  readonly persistence?: Layer.Layer<Persistence.Persistence, E>
}

/**
 * The registry over `NodeJwksHttp`, with metrics, and with storage in memory unless another is given.
 *
 * **Details**
 *
 * Wrong options of the registry or of the transport (`http.proxy.url`), and wrong `providers`, fail the layer with
 * `InvalidRegistration`. `allowPrivateAddresses` of the registry holds for the transport, too.
 *
 * **Example** (From a layer to a key)
 *
 * ```ts
 * import { JwksRegistry } from "@effect-jwks/core"
 * import { NodeJwks } from "@effect-jwks/node"
 * import { FakeProvider } from "@effect-jwks/testing"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const { jwksUrl, keys } = yield* FakeProvider.make()
 *   yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl, requireHttps: false })
 *   const { jwk } = yield* JwksRegistry.resolveKey("acme", keys.current.kid)
 *   return jwk.alg // => "ES256"
 * })
 *
 * // A provider on this machine and without TLS, so both have to be allowed.
 * const JwksLive = NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(JwksLive)))
 * ```
 */
export const layer = <E = never>({ http = {}, persistence, ...options }: NodeJwksOptions<E> = {}): Layer.Layer<
  JwksRegistry,
  InvalidRegistration | E
> =>
  JwksRegistry.layer(options).pipe(
    Layer.provide([
      // A connection for each permit: nobody waits for one within his attempt.
      transportLayer({ maxConnectionsPerOrigin: options.maxConcurrentFetches ?? 16, ...http }, "http"),
      persistence ?? Persistence.layerMemory,
      JwksMetrics.layer,
    ]),
  )
