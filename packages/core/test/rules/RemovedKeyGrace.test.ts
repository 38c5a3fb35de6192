import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, errorAtOnce, minutes, seconds, setUpLoaded as setUpAny, start, type SetUp } from "./support.ts"

const setUpLoaded = (removedKeyGrace: string, how: SetUp = {}) =>
  setUpAny({ ...how, registration: { removedKeyGrace: removedKeyGrace as "10 minutes", ...how.registration } })

describe("removedKeyGrace: how long a key that vanished from the document still resolves", () => {
  it.effect("answers a vanished kid as stale for the grace, and not a millisecond longer", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust("1 minute")
      yield* refresh
      const key = yield* answerAtOnce(resolve(old.kid))
      assert.deepInclude(key, { kid: old.kid, thumbprint: old.thumbprint, freshness: "stale", fetchedAt: start })
      assert.isFrozen(key)
      yield* TestClock.adjust(minutes(10) - 1)
      yield* answerAtOnce(resolve(old.kid))
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("asks nobody for it", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* Effect.replicateEffect(answerAtOnce(resolve(old.kid)), 10)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("is 0 by default: removal means revocation", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpAny()
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound", confirmed: true })
    }),
  )

  it.effect("keeps vanished keys out of the set", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolveSet, status } = yield* setUpLoaded("10 minutes")
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      const { kid } = idp.keys.current
      assert.deepStrictEqual(
        (yield* resolveSet).jwks.keys.map((key) => key.kid),
        [kid],
      )
      assert.deepStrictEqual(
        (yield* status).keys.map((key) => key.kid),
        [kid],
      )
    }),
  )

  it.effect("refuses them to whoever wants nothing stale", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      const error = yield* errorAtOnce(resolve(old.kid, { allowStale: false }))
      assert.deepInclude(error, { _tag: "KeyNotFound" })
    }),
  )

  it.effect("never outlives the staleUntil of the set that the key was in", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve, status } = yield* setUpLoaded("1 day", {
        registration: { staleWhileError: "20 minutes" },
      })
      const old = idp.keys.current
      const until = (yield* status).staleUntil ?? 0
      assert.strictEqual(until, start + minutes(30))
      yield* TestClock.adjust("5 minutes")
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* TestClock.setTime(until - 1)
      yield* answerAtOnce(resolve(old.kid))
      yield* TestClock.setTime(until)
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("ends with the lifetime of the old set where nothing stale is served", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("1 day", { registration: { staleWhileError: 0 } })
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* TestClock.setTime(start + minutes(10) - 1)
      yield* answerAtOnce(resolve(old.kid))
      yield* TestClock.setTime(start + minutes(10))
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("counts from the set in which the key was last seen, revalidations included", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("1 day", { registration: { staleWhileError: 0 } })
      const old = idp.keys.current
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* TestClock.setTime(start + minutes(15) - 1)
      yield* answerAtOnce(resolve(old.kid))
      yield* TestClock.setTime(start + minutes(15))
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("consults the set first: a kid that returns with another key answers with that one", () =>
    Effect.gen(function* () {
      const [first, second, other] = staticKeys(3)
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes", {
        before: (idp) => idp.keys.publishRaw({ keys: [{ ...first, kid: "1" }, other] }),
      })
      const publish = (...keys: ReadonlyArray<unknown>) => Effect.andThen(idp.keys.publishRaw({ keys }), refresh)
      yield* publish(other)
      assert.strictEqual((yield* answerAtOnce(resolve("1"))).jwk.x, first?.x)
      yield* publish({ ...second, kid: "1" }, other)
      const key = yield* answerAtOnce(resolve("1"))
      assert.strictEqual(key.freshness, "fresh")
      assert.strictEqual(key.jwk.x, second?.x)
      // The first key's grace is over, also when the second vanishes.
      yield* publish(other)
      const graced = yield* answerAtOnce(resolve("1"))
      assert.deepStrictEqual([graced.freshness, graced.jwk.x], ["stale", second?.x])
    }),
  )

  it.effect("gives no grace to a key whose kid changed hands without a gap", () =>
    Effect.gen(function* () {
      const [first, second] = staticKeys(2)
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes", {
        before: (idp) => idp.keys.publishRaw({ keys: [{ ...first, kid: "1" }] }),
      })
      const { thumbprint } = yield* resolve("1")
      yield* idp.keys.publishRaw({ keys: [{ ...second, kid: "1" }] })
      yield* refresh
      const key = yield* answerAtOnce(resolve("1"))
      assert.notStrictEqual(key.thumbprint, thumbprint)
      assert.strictEqual(key.freshness, "fresh")
      const error = yield* errorAtOnce(resolve("1", { notThumbprint: key.thumbprint }))
      assert.deepInclude(error, { _tag: "KeyNotFound" })
    }),
  )

  it.effect("is fresh again when the same key comes back, as it does where replicas disagree", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve(old.kid))).freshness, "stale")
      yield* idp.keys.publish([{ ...old.publicJwk }])
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve(old.kid))).freshness, "fresh")
    }),
  )

  it.effect("does not outlive the grace because the set is refreshed", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      for (let i = 0; i < 9; i += 1) {
        yield* TestClock.adjust("1 minute")
        if (i % 3 === 0) yield* idp.keys.rotate({ keepOld: false })
        yield* refresh
        yield* answerAtOnce(resolve(old.kid))
      }
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid)), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("answers only what fits the alg", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("10 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* answerAtOnce(resolve(old.kid, { alg: "ES256" }))
      assert.deepInclude(yield* errorAtOnce(resolve(old.kid, { alg: "RS256" })), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("survives an outage: the grace is served while the provider is down", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded("30 minutes")
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      yield* refresh
      yield* idp.faults.status(503)
      yield* TestClock.adjust(minutes(20) + seconds(1))
      assert.strictEqual((yield* answerAtOnce(resolve(old.kid))).freshness, "stale")
    }),
  )
})
