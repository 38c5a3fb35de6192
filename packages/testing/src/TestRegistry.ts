/**
 * The registry as tests want it: nothing to install, plain http on loopback, and nothing left behind.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { InvalidRegistration, JwksRegistryOptions } from "@effect-jwks/core"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"

/**
 * A registry that fetches through the client it is given, such as that of a scripted provider.
 *
 * **Details**
 *
 * Allows http and private addresses where the options do not forbid them, stores snapshots in memory
 * and publishes no metrics.
 *
 * **Example** (An hour of outage in no time)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as TestClock from "effect/testing/TestClock"
 * import { JwksRegistry } from "@effect-jwks/core"
 * import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const { faults, jwksUrl, keys } = yield* ScriptedProvider
 *   yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl })
 *   yield* JwksRegistry.resolveKey("acme", keys.current.kid)
 *   yield* faults.status(503)
 *   yield* TestClock.adjust("1 hour")
 *   const { freshness } = yield* JwksRegistry.resolveKey("acme", keys.current.kid)
 *   return freshness // => "stale"
 * })
 *
 * const layer = TestRegistry.layerNoClient().pipe(
 *   Layer.provideMerge(ScriptedProvider.layer()),
 *   Layer.provideMerge(TestClock.layer()),
 * )
 * await Effect.runPromise(Effect.provide(program, layer))
 * ```
 */
export const layerNoClient = (
  options: JwksRegistryOptions = {},
): Layer.Layer<JwksRegistry, InvalidRegistration, HttpClient.HttpClient> =>
  JwksRegistry.layer({
    requireHttps: false,
    allowPrivateAddresses: true,
    ...options,
    defaults: { requireHttps: false, ...options.defaults },
  }).pipe(Layer.provide([Persistence.layerMemory, JwksMetrics.layerNoop]))

/**
 * A registry that fetches for real, for providers on a socket of this machine.
 *
 * **Example** (An application against a fake provider)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { JwksRegistry } from "@effect-jwks/core"
 * import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const provider = yield* FakeProvider
 *   yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: provider.jwksUrl })
 *   const { jwk } = yield* JwksRegistry.resolveKey("acme", provider.keys.current.kid)
 *   return jwk.alg // => "ES256"
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Layer.mergeAll(TestRegistry.layer(), FakeProvider.layer())))
 * ```
 */
export const layer = (options?: JwksRegistryOptions): Layer.Layer<JwksRegistry, InvalidRegistration> =>
  Layer.provide(layerNoClient(options), FetchHttpClient.layer)
