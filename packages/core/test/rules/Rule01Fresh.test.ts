import { assert, describe, it } from "@effect/vitest"
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, staticKeys } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, hours, minutes, openRegistry, setUp, setUpLoaded, start } from "./support.ts"

/** A store that counts what it is asked for and answers nothing, ever, once it is frozen. */
const countingPersistence = () => {
  let calls = 0
  let frozen = false
  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      calls += 1
      return frozen ? Effect.never : effect
    })
  const layer = Layer.effect(
    Persistence.BackingPersistence,
    Effect.map(Persistence.BackingPersistence, (backing) =>
      Persistence.BackingPersistence.of({
        make: (storeId) =>
          Effect.map(backing.make(storeId), (store) => ({
            get: (key) => counted(store.get(key)),
            getMany: (keys) => counted(store.getMany(keys)),
            set: (key, value, ttl) => counted(store.set(key, value, ttl)),
            setMany: (entries) => counted(store.setMany(entries)),
            remove: (key) => counted(store.remove(key)),
            clear: counted(store.clear),
          })),
      }),
    ),
  ).pipe(Layer.provide(Persistence.layerBackingMemory))
  return {
    layer: Layer.provide(Persistence.layer, layer),
    freeze: () => {
      frozen = true
    },
    get calls() {
      return calls
    },
  }
}

describe("Rule 1: fresh and found, the answer at once", () => {
  it.effect("answers 1,000 resolves from one fetch", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp()
      yield* resolve()
      yield* Effect.replicateEffect(resolve(), 1_000)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("answers on the caller's fiber, without waiting for anything", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet } = yield* setUpLoaded()
      const context = yield* Effect.context()
      // Throws as soon as anything has to be waited for.
      const { thumbprint } = Effect.runSyncWith(context)(resolve())
      assert.strictEqual(thumbprint, idp.keys.current.thumbprint)
      assert.lengthOf(Effect.runSyncWith(context)(resolveSet).jwks.keys, 1)
    }),
  )

  it.effect("answers while the provider is down, to the last millisecond of the lifetime", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.hang()
      yield* TestClock.setTime(start + minutes(10) - 1)
      const { freshness } = yield* answerAtOnce(resolve())
      assert.strictEqual(freshness, "fresh")
    }),
  )

  it.effect("says which key, whose, from when and until when", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet } = yield* setUpLoaded()
      const { kid, publicJwk, thumbprint } = idp.keys.current
      yield* TestClock.adjust("1 minute")
      const key = yield* resolve()
      const expected = {
        tenant: "acme",
        provider: "idp",
        freshness: "fresh",
        fetchedAt: start,
        expiresAt: start + minutes(10),
      }
      assert.deepStrictEqual({ ...key }, { ...expected, kid, thumbprint, jwk: publicJwk } as typeof key)
      const set = yield* resolveSet
      assert.deepStrictEqual({ ...set }, { ...expected, jwks: { keys: [publicJwk] } } as typeof set)
    }),
  )

  it.effect("answers with the same frozen object on every hit of one set, and with a new one after it", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve, resolveSet } = yield* setUpLoaded()
      const { kid } = idp.keys.current
      const key = yield* resolve(kid)
      const set = yield* resolveSet
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* resolve(kid), key)
      assert.strictEqual(yield* resolveSet, set)
      for (const object of [key, key.jwk, set, set.jwks, set.jwks.keys, set.jwks.keys[0]]) {
        assert.isFrozen(object)
      }
      yield* idp.keys.rotate()
      yield* refresh
      const next = yield* resolve(kid)
      assert.notStrictEqual(next, key)
      assert.strictEqual(next.fetchedAt, start + minutes(5))
      assert.notStrictEqual(yield* resolveSet, set)
      // What a caller holds does not change under its hands.
      assert.strictEqual(key.fetchedAt, start)
      assert.lengthOf(set.jwks.keys, 1)
    }),
  )

  it.effect("freezes the members of a key all the way down", () =>
    Effect.gen(function* () {
      const document = { keys: [{ ...staticKeys(1)[0], key_ops: ["verify"], deep: { x: [{ y: 1 }] } }] }
      const { resolve } = yield* setUp({ before: (idp) => idp.keys.publishRaw(document) })
      const { jwk } = yield* resolve("static-1")
      const deep = jwk["deep"] as { readonly x: ReadonlyArray<object> }
      for (const object of [jwk.key_ops, deep, deep.x, deep.x[0]]) assert.isFrozen(object)
      assert.deepStrictEqual(deep, { x: [{ y: 1 }] })
    }),
  )

  it.effect("answers each of 800 keys under its own kid", () =>
    Effect.gen(function* () {
      const keys = staticKeys(800)
      const { resolve, idp } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys }) })
      for (const { kid, x } of keys) {
        const { jwk } = yield* resolve(kid)
        assert.strictEqual(jwk.x, x)
      }
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("keeps tenants and providers apart, where they use one kid for different keys", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const [one, two] = yield* Effect.all([
        ScriptedProvider.make({ issuer: "https://one.test", keys: { keys: [{ kid: "1" }] } }),
        ScriptedProvider.make({ issuer: "https://two.test", keys: { keys: [{ kid: "1" }] } }),
      ])
      const registry = yield* openRegistry([one, two])
      yield* registry.register({ tenant: "a", provider: "b", jwksUrl: one.jwksUrl })
      yield* registry.register({ tenant: "a", provider: "c", jwksUrl: two.jwksUrl })
      yield* registry.register({ tenant: "b", provider: "b", jwksUrl: two.jwksUrl })
      const thumbprints = yield* Effect.forEach(
        [
          ["a", "b"],
          ["a", "c"],
          ["b", "b"],
        ] as const,
        ([tenant, provider]) => Effect.map(registry.resolveKey(tenant, "1", { provider }), (key) => key.thumbprint),
      )
      const [ofOne, ofTwo] = [one.keys.current.thumbprint, two.keys.current.thumbprint]
      assert.deepStrictEqual(thumbprints, [ofOne, ofTwo, ofTwo])
    }),
  )

  it.effect("touches no storage on a hit, and does not notice a store that is frozen", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const idp = yield* ScriptedProvider.make()
      const store = countingPersistence()
      const registry = yield* JwksRegistry.layer({}).pipe(
        Layer.provide([ScriptedProvider.layerClient(idp), store.layer, JwksMetrics.layerNoop]),
        Layer.build,
        Effect.map((context) => Context.get(context, JwksRegistry)),
      )
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      const { kid } = idp.keys.current
      yield* registry.resolveKey("acme", kid)
      yield* TestClock.adjust("1 minute")
      const before = store.calls
      yield* Effect.replicateEffect(registry.resolveKey("acme", kid), 100)
      yield* Effect.replicateEffect(registry.resolve("acme", "idp"), 100)
      assert.strictEqual(store.calls, before)
      store.freeze()
      yield* answerAtOnce(registry.resolveKey("acme", kid))
      // Refreshes go on past the frozen store.
      yield* TestClock.adjust("2 hours")
      assert.isAbove((yield* answerAtOnce(registry.resolveKey("acme", kid))).fetchedAt, start + hours(1))
    }),
  )

  it.effect("has an accessor for each member, which answers the same", () =>
    Effect.gen(function* () {
      const { idp, registered, registry } = yield* setUpLoaded()
      const { kid } = idp.keys.current
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* JwksRegistry.resolveKey("acme", kid), yield* registry.resolveKey("acme", kid))
        assert.strictEqual(yield* JwksRegistry.resolve("acme", "idp"), yield* registry.resolve("acme", "idp"))
        assert.strictEqual((yield* JwksRegistry.providerStatus("acme", "idp")).state, "Ready")
        assert.lengthOf(yield* JwksRegistry.allStatuses, 1)
        assert.lengthOf(yield* JwksRegistry.warmUp({ timeout: "1 second" }), 1)
        assert.strictEqual((yield* JwksRegistry.refresh("acme", "idp"))._tag, "NotModified")
        yield* JwksRegistry.register({ ...registered, provider: "second" })
        assert.isTrue(yield* JwksRegistry.unregister("acme", "second"))
        assert.strictEqual(yield* JwksRegistry.unregisterTenant("acme"), 1)
      }).pipe(Effect.provideService(JwksRegistry, registry))
    }),
  )
})
