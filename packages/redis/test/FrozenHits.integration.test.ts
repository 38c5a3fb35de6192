import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { openRegistryOn, persistedAll, persistenceOn, timed } from "./support/OpenRegistry.ts"
import { hasNoRedis, startRedis } from "./support/RedisServer.ts"

/** A persistence that counts the operations on its stores. */
const counted = (persistence: Layer.Layer<Persistence.Persistence>) => {
  const calls = { count: 0 }
  const counting = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      calls.count += 1
      return effect
    })
  const layer = Layer.effect(
    Persistence.Persistence,
    Effect.map(Layer.build(persistence), (context) => ({
      make: (options: Parameters<Persistence.Persistence["Service"]["make"]>[0]) =>
        Effect.map(
          Context.get(context, Persistence.Persistence).make(options),
          (store): Persistence.PersistenceStore => ({
            get: (key) => counting(store.get(key)),
            getMany: (keys) => counting(store.getMany(keys)),
            set: (key, value) => counting(store.set(key, value)),
            setMany: (entries) => counting(store.setMany(entries)),
            remove: (key) => counting(store.remove(key)),
            clear: counting(store.clear),
          }),
        ),
    })),
  )
  return { layer, calls }
}

const rounds = 9
const hits = 50_000

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

describe.skipIf(hasNoRedis)("With Redis frozen", () => {
  it.live(
    "a hit costs the same and calls no store, and refreshes complete",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis()
        const idp = yield* FakeProvider.make({ response: { cacheControl: "max-age=3600" } })
        const { calls, layer } = counted(persistenceOn(server.port, { silenceTimeout: "1 minute" }))
        const { event, events, registry } = yield* openRegistryOn(layer)
        yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
        const { kid } = idp.keys.current
        yield* registry.resolveKey("acme", kid)
        // Nothing is left to be written in the background.
        yield* persistedAll(registry)
        const run = Effect.gen(function* () {
          const before = calls.count
          const { millis } = yield* timed(Effect.repeat(registry.resolveKey("acme", kid), { times: hits - 1 }))
          assert.strictEqual(calls.count, before, "store calls on hits")
          return millis
        })
        const frozen = Effect.acquireUseRelease(
          server.freeze,
          () => run,
          () => server.thaw,
        )
        yield* run
        yield* frozen
        const ratios: Array<number> = []
        for (let round = 0; round < rounds; round++) {
          // Which of the two is first changes, so that what comes later has no advantage.
          const isFrozenFirst = round % 2 === 1
          const first = yield* isFrozenFirst ? frozen : run
          const second = yield* isFrozenFirst ? run : frozen
          ratios.push(isFrozenFirst ? first / second : second / first)
        }
        console.log(`hits with Redis frozen: ${median(ratios).toFixed(3)} times as long (median of ${rounds} pairs)`)
        assert.isAtMost(median(ratios), 1.1)

        yield* server.freeze
        const before = calls.count
        const from = events.length
        for (let n = 0; n < 5; n++) {
          yield* idp.keys.rotate()
          const refresh = yield* timed(registry.refresh("acme", "idp"))
          assert.isBelow(refresh.millis, 1_000)
          assert.strictEqual((yield* registry.resolveKey("acme", idp.keys.current.kid)).freshness, "fresh")
        }
        yield* event("SnapshotFailed", "did not answer", from)
        assert.isAbove(calls.count, before)
        yield* server.thaw
        yield* event("SnapshotStoreRecovered", "write", from)
      }),
    60_000,
  )
})
