/**
 * What an adversarial reader of the contract found, held as tests.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const layer = TestRegistry.layerNoClient().pipe(Layer.provideMerge(ScriptedProvider.layer()))

const withoutKid = ({ kid: _, ...jwk }: Readonly<Record<string, unknown>>) => jwk

describe("a provider without kids", () => {
  it.effect("that rotates to another algorithm is asked again for a token without kid", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider
      const first = JSON.parse(new TextDecoder().decode(idp.keys.document.bytes)).keys[0]
      yield* idp.keys.publishRaw({ keys: [withoutKid(first)] })
      yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      assert.strictEqual((yield* JwksRegistry.resolveKey("acme", undefined)).jwk.alg, "ES256")
      yield* idp.keys.rotate({ alg: "EdDSA" })
      const next = JSON.parse(new TextDecoder().decode(idp.keys.document.bytes)).keys.at(-1)
      yield* idp.keys.publishRaw({ keys: [withoutKid(next)] })
      const key = yield* JwksRegistry.resolveKey("acme", undefined, { alg: "EdDSA" })
      assert.strictEqual(key.jwk.kty, "OKP")
      assert.strictEqual(idp.requests, 2)
    }).pipe(Effect.provide(layer)),
  )
})

describe("JwksUnavailable", () => {
  it.effect("tells whoever waited for the flight, and whoever comes later, when asking again helps", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider
      yield* idp.faults.status(404)
      yield* JwksRegistry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl: idp.jwksUrl,
        negativeCacheTtl: "5 seconds",
      })
      // Until the back-off is longer than the memory of the failure.
      let failure = (yield* JwksRegistry.providerStatus("acme", "idp")).failure
      while (failure === undefined || failure.nextAttemptAt - failure.at < 10_000) {
        yield* TestClock.adjust("1 second")
        failure = (yield* JwksRegistry.providerStatus("acme", "idp")).failure
      }
      yield* TestClock.adjust("6 seconds")
      const waited = yield* Effect.flip(JwksRegistry.resolve("acme", "idp"))
      yield* TestClock.adjust("1 millis")
      const later = yield* Effect.flip(JwksRegistry.resolve("acme", "idp"))
      assert.strictEqual(waited._tag, "JwksUnavailable")
      assert.strictEqual(later._tag, "JwksUnavailable")
      if (waited._tag !== "JwksUnavailable" || later._tag !== "JwksUnavailable") return
      assert.isAtMost(waited.retryAfterMillis ?? Infinity, 5_000)
      assert.isAtMost(later.retryAfterMillis ?? Infinity, waited.retryAfterMillis ?? 0)
    }).pipe(Effect.provide(layer)),
  )
})

describe("options of the registry", () => {
  const build = (options: Parameters<typeof JwksRegistry.layer>[0]) =>
    Effect.exit(Effect.scoped(Layer.build(TestRegistry.layerNoClient(options)))).pipe(
      Effect.provide(ScriptedProvider.layer()),
    )

  it.effect.each(["http://127.0.0.1", "127.0.0.1:80", "id.example/jwks", ""])(
    "refuse %s as a host for private addresses",
    (host) =>
      Effect.gen(function* () {
        const exit = yield* build({ allowPrivateAddresses: [host] })
        assert.isTrue(Exit.isFailure(exit))
        assert.include(JSON.stringify(exit), "allowPrivateAddresses")
      }),
  )

  it.effect.each(["127.0.0.1", "::1", "[::1]", "id.intranet.example"])(
    "take %s as a host for private addresses",
    (host) => Effect.map(build({ allowPrivateAddresses: [host] }), (exit) => assert.isTrue(Exit.isSuccess(exit))),
  )

  it.effect("refuse a provider that is listed twice", () =>
    Effect.gen(function* () {
      const registration = { tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks" }
      const exit = yield* build({ providers: [registration, registration] })
      assert.isTrue(Exit.isFailure(exit))
      assert.include(JSON.stringify(exit), "providers[1].provider")
    }),
  )

  it.effect("take a first back-off that is longer than the longest that nobody gave", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider
      yield* JwksRegistry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl: idp.jwksUrl,
        retryPolicy: { initialBackoff: "3 seconds", jitter: "none" },
      })
      yield* idp.faults.status(503, { next: 1 })
      const refresh = yield* Effect.forkChild(JwksRegistry.refresh("acme", "idp"), { startImmediately: true })
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(refresh.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(refresh))._tag, "NotModified")
    }).pipe(Effect.provide(layer)),
  )
})
