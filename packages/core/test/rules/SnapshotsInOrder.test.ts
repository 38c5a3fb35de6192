/**
 * What is older never takes the place of what is newer, whatever clocks, stores and other processes do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { outOfMemory } from "../persistence/scriptedStore.ts"
import { makeWorld, owner } from "../persistence/snapshotWorld.ts"
import { withSteppedClock } from "../SteppedClock.ts"
import { answerAtOnce, begin, seconds, settle, start, tagged } from "./support.ts"

const older = ["is older than what is held"]

describe("a snapshot from before", () => {
  it.effect("the wall clock was set back is not put over what was fetched since", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, open, store } = yield* makeWorld()
        const { events, register, registry } = yield* open()
        yield* register()
        yield* settle
        store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
        stepWall(seconds(-30))
        const { kid } = yield* idp.keys.rotate({ keepOld: false })
        yield* registry.refresh("acme", "idp")
        yield* settle
        assert.deepInclude(yield* registry.restoreFromPersistence, { done: 0 })
        assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).kid, kid)
        assert.deepStrictEqual(
          tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
          older,
        )
        store.heal()
      }),
    ),
  )

  it.effect("the fetch that its look was slower than is not put over what that brought, whatever the clocks say", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { before, idp, open, store } = yield* makeWorld()
        yield* before()
        const { kid } = yield* idp.keys.rotate({ keepOld: false })
        stepWall(seconds(-30))
        const text = store.textOf(owner) ?? assert.fail("nothing is stored")
        store.meet(({ operation }) =>
          operation === "get"
            ? Effect.andThen(
                Effect.sleep("400 millis"),
                Effect.sync(() => store.put(owner, text)),
              )
            : Effect.void,
        )
        const { events, register, registry } = yield* open()
        yield* register()
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).kid, kid)
        assert.deepStrictEqual(
          tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
          older,
        )
        store.heal()
      }),
    ),
  )

  it.effect("a document that must not be stored does not come back, though it was read before the removal", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before({ strictHttp: true })
      const text = store.textOf(owner) ?? assert.fail("nothing is stored")
      yield* idp.respondWith({ cacheControl: "no-store" })
      const { events, register, registry } = yield* open()
      yield* register({ strictHttp: true, warm: false })
      const release = store.hold("get")
      const restoring = yield* begin(registry.restoreFromPersistence)
      yield* registry.refresh("acme", "idp")
      yield* settle
      assert.isEmpty(store.stored)
      store.put(owner, text)
      yield* release
      yield* answerAtOnce(Fiber.join(restoring))
      assert.isEmpty(tagged(events, "SnapshotRestored"))
      assert.isEmpty((yield* registry.providerStatus("acme", "idp")).keys)
    }),
  )

  it.effect("the set that this process has had does not come back with a stricter registration", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld({ keys: { alg: "ES256" } })
      const { events, register, registry } = yield* open()
      yield* register()
      yield* settle
      // What is newer is not written yet, and is of no use to the next registration.
      store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
      yield* TestClock.adjust("1 minute")
      const { publicJwk } = yield* idp.keys.add({ alg: "RS256" })
      yield* idp.keys.publishRaw({ keys: [publicJwk] })
      yield* registry.refresh("acme", "idp")
      yield* settle
      yield* idp.faults.status(404)
      yield* register({ algorithms: ["ES256"] })
      yield* settle
      assert.isEmpty(tagged(events, "SnapshotRestored"))
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        older,
      )
      store.heal()
    }),
  )
})

describe("a set that another process has written", () => {
  it.effect("is not undone by a late 304 that confirms the one before: the provider is asked again", () =>
    Effect.gen(function* () {
      const { before, idp, kid: old, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      const one = yield* open()
      yield* one.register()
      yield* settle
      yield* idp.faults.delay("2 seconds", { next: 1 })
      const refreshing = yield* begin(one.registry.refresh("acme", "idp"))
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      const other = yield* open()
      yield* other.register()
      yield* other.registry.refresh("acme", "idp")
      yield* settle
      assert.deepInclude(yield* one.registry.restoreFromPersistence, { done: 1 })
      assert.strictEqual((yield* answerAtOnce(one.registry.resolveKey("acme", kid))).kid, kid)
      const asked = idp.requests
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* answerAtOnce(Fiber.join(refreshing)), { _tag: "NotModified" })
      assert.strictEqual(idp.requests, asked + 1)
      assert.strictEqual((yield* answerAtOnce(one.registry.resolveKey("acme", kid))).kid, kid)
      assert.deepInclude(yield* Effect.flip(one.registry.resolveKey("acme", old)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("is not undone by a late 200 that was on its way before", () =>
    Effect.gen(function* () {
      const { before, idp, kid: old, open, store } = yield* makeWorld()
      yield* before()
      store.stored.clear()
      const one = yield* open()
      yield* idp.faults.delay("2 seconds", { next: 1 })
      yield* one.register()
      yield* settle
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust("1 second")
      const other = yield* open()
      yield* other.register()
      yield* settle
      assert.deepInclude(yield* one.registry.restoreFromPersistence, { done: 1 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(one.registry.resolveKey("acme", kid))).kid, kid)
      assert.deepInclude(yield* Effect.flip(one.registry.resolveKey("acme", old)), { _tag: "KeyNotFound" })
      assert.include(store.textOf(owner), kid)
    }),
  )

  it.effect("does not put off the end of an attempt, however often it comes", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      const [one, other] = [yield* open(), yield* open()]
      yield* one.register({ retryPolicy: { maxRetries: 0 } })
      yield* other.register({ warm: false })
      yield* settle
      yield* idp.faults.delay("2 seconds")
      const refreshing = yield* begin(one.registry.refresh("acme", "idp"))
      for (let i = 0; i < 5; i++) {
        yield* begin(other.registry.refresh("acme", "idp"))
        yield* TestClock.adjust("2 seconds")
        yield* one.registry.restoreFromPersistence
      }
      assert.isDefined(refreshing.pollUnsafe())
    }),
  )

  it.effect("takes the place of the older one that still waits to be written", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      const one = yield* open()
      store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
      yield* one.register()
      yield* settle
      store.heal()
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust(10)
      const other = yield* open()
      yield* other.register({ warm: false })
      yield* other.registry.refresh("acme", "idp")
      yield* settle
      assert.deepInclude(yield* one.registry.restoreFromPersistence, { done: 1 })
      yield* TestClock.adjust("2 minutes")
      assert.include(store.textOf(owner), kid)
    }),
  )

  it.effect("changes keys as a fetch does: it is told, and what vanished stays in grace", () =>
    Effect.gen(function* () {
      const { idp, kid: old, open } = yield* makeWorld()
      const { events, register, registry } = yield* open()
      yield* register({ removedKeyGrace: "10 minutes" })
      yield* settle
      yield* TestClock.adjust("1 minute")
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      const other = yield* open()
      yield* other.register({ warm: false })
      yield* other.registry.refresh("acme", "idp")
      yield* settle
      assert.deepInclude(yield* registry.restoreFromPersistence, { done: 1 })
      const [, changed, ...more] = tagged(events, "KeysChanged")
      assert.isEmpty(more)
      assert.deepInclude(changed, { isFirst: false, changed: [] })
      assert.deepStrictEqual(Object.values(changed?.kids ?? {}).toSorted(), [old, kid].toSorted())
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).freshness, "fresh")
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", old))).freshness, "stale")
    }),
  )
})

describe("a registration that was replaced", () => {
  it.effect("does not have its successor's snapshot removed", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* idp.respondWith({ cacheControl: "no-store" })
      yield* before()
      yield* idp.faults.status(404)
      const release = store.hold("get")
      const { events, register, resolve } = yield* open()
      yield* register({ strictHttp: true })
      yield* register({ strictHttp: false })
      yield* release
      yield* settle
      assert.strictEqual((yield* answerAtOnce(resolve)).fetchedAt, start)
      assert.isEmpty(tagged(events, "SnapshotIgnored"))
      assert.strictEqual(store.stored.size, 1)
    }),
  )
})

describe("a look that the store did not answer", () => {
  it.effect("is repeated beside a later flight, as soon as the store works again", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      yield* idp.faults.status(404)
      store.meet(() => outOfMemory)
      const { events, register, resolve } = yield* open()
      yield* register()
      assert.strictEqual((yield* Effect.flip(resolve))._tag, "JwksUnavailable")
      const reads = store.reads.length
      yield* TestClock.adjust("5 minutes")
      const meanwhile = store.reads.length - reads
      assert.isAtLeast(meanwhile, 1)
      assert.isAtMost(meanwhile, idp.requests, "at most one look for each flight")
      store.heal()
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* answerAtOnce(resolve), { freshness: "fresh", fetchedAt: start })
      assert.lengthOf(tagged(events, "SnapshotRestored"), 1)
      const found = store.reads.length
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(store.reads, found, "what was found is looked for no more")
    }),
  )
})
