/**
 * Sequences that the model test has found, as short as they get.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, staticKeys, TestRegistry } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const layer = TestRegistry.layerNoClient().pipe(Layer.provideMerge(ScriptedProvider.layer()))

/** A caller that waits by the time this ends. */
const waiting = <A, E, R>(asked: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(asked, { startImmediately: true }), () => TestClock.adjust(1))

describe("sequences that the model test found", () => {
  // Rule 13: a floor for every next attempt but those of `refresh`.
  it.effect("keeps to a Retry-After after a refresh that failed without one", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.faults.status(503, { next: 1, retryAfter: "5 minutes" })
      yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: provider.jwksUrl })
      yield* TestClock.adjust(1)
      yield* provider.faults.status(404, { next: 1 })
      yield* Effect.flip(JwksRegistry.refresh("acme", "idp"))
      assert.strictEqual(provider.requests, 2)
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(provider.requests, 2)
    }).pipe(Effect.provide(layer)),
  )

  // Rule 6: "the request that brought the new kid is itself answered from the new set".
  it.effect("finds a kid that another caller's look-up brought while both were answered", () =>
    Effect.gen(function* () {
      const { faults, jwksUrl, keys } = yield* ScriptedProvider
      yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl })
      yield* TestClock.adjust(1)
      yield* faults.holdNext()
      yield* waiting(JwksRegistry.refresh("acme", "idp"))
      yield* waiting(Effect.flip(JwksRegistry.resolveKey("acme", "nobody's", { provider: "idp" })))
      const late = yield* waiting(JwksRegistry.resolveKey("acme", "static-1", { provider: "idp" }))
      yield* keys.publish(staticKeys(1))
      yield* faults.release()
      assert.strictEqual((yield* Fiber.join(late)).kid, "static-1")
    }).pipe(Effect.provide(layer)),
  )

  // "Times only get shorter": the grace runs from when the key vanished.
  it.effect("ends a key's grace by the shorter one of a later registration", () =>
    Effect.gen(function* () {
      const { jwksUrl, keys } = yield* ScriptedProvider
      const { kid } = keys.current
      const registration = { tenant: "acme", provider: "idp", jwksUrl }
      yield* JwksRegistry.register({ ...registration, removedKeyGrace: "15 minutes" })
      yield* TestClock.adjust(1)
      yield* keys.rotate({ keepOld: false })
      yield* JwksRegistry.refresh("acme", "idp")
      yield* TestClock.adjust("5 minutes")
      yield* JwksRegistry.refresh("acme", "idp")
      yield* JwksRegistry.register({ ...registration, removedKeyGrace: "1 minute" })
      const error = yield* Effect.flip(JwksRegistry.resolveKey("acme", kid, { provider: "idp" }))
      assert.strictEqual(error._tag, "KeyNotFound")
    }).pipe(Effect.provide(layer)),
  )

  // A register "where no set is held" starts a fetch; a Retry-After may delay it, a back-off does not.
  it.effect("fetches when it is registered again, once the Retry-After of its failure is over", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const registration = { tenant: "acme", provider: "idp", jwksUrl: provider.jwksUrl }
      yield* provider.faults.status(503, { retryAfter: "1 second" })
      yield* JwksRegistry.register(registration)
      let untilNext = 0
      while (untilNext < 10_000) {
        yield* TestClock.adjust("3 seconds")
        const { failure } = yield* JwksRegistry.providerStatus("acme", "idp")
        untilNext = (failure?.nextAttemptAt ?? 0) - (yield* Clock.currentTimeMillis)
      }
      yield* TestClock.adjust("2 seconds")
      const before = provider.requests
      yield* JwksRegistry.register(registration)
      yield* TestClock.adjust("1 second")
      assert.isAbove(provider.requests, before)
    }).pipe(Effect.provide(layer)),
  )

  // Rule 7: whoever comes while the timer's flight is due shares it.
  it.effect("fetches once for a caller who finds the set expired by a later registration", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.respondWith({ cacheControl: "max-age=3600" })
      const registration = { tenant: "acme", provider: "idp", jwksUrl: provider.jwksUrl }
      yield* JwksRegistry.register(registration)
      yield* TestClock.adjust("10 minutes")
      yield* provider.faults.holdNext()
      const late = yield* waiting(Effect.flip(JwksRegistry.resolveKey("acme", "nobody's", { provider: "idp" })))
      assert.strictEqual(provider.requests, 2)
      yield* JwksRegistry.register({ ...registration, maxTtl: "5 minutes" })
      assert.strictEqual((yield* Fiber.join(late))._tag, "KeyNotFound")
      assert.strictEqual(provider.requests, 3)
    }).pipe(Effect.provide(layer)),
  )
})
