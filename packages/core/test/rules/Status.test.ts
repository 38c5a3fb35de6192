import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  almostOne,
  answerAtOnce,
  begin,
  errorAtOnce,
  hours,
  minutes,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
  withRandom,
} from "./support.ts"

const nothingCounted = {
  requests: 0,
  hits: 0,
  misses: 0,
  stale: 0,
  refreshes: 0,
  refreshErrors: 0,
  notModified: 0,
  hitRatio: 0,
}

describe("providerStatus: the state", () => {
  it.effect("is Empty before anything has happened, with no times", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUp({ registration: { warm: false } })
      const { nextRefreshAt: _, ...rest } = yield* status
      assert.deepStrictEqual(rest, {
        tenant: "acme",
        provider: "idp",
        url: idp.jwksUrl,
        state: "Empty",
        usable: false,
        keys: [],
        dropped: [],
        ...nothingCounted,
      })
    }),
  )

  it.effect("goes from Loading to Ready to Refreshing and back", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUp({ before: (idp) => idp.faults.hold })
      yield* settle
      assert.deepInclude(yield* status, { state: "Loading", usable: false })
      yield* idp.faults.release()
      yield* settle
      assert.deepInclude(yield* status, { state: "Ready", usable: true, freshness: "fresh" })
      yield* idp.faults.hold
      yield* TestClock.adjust("570 seconds")
      assert.deepInclude(yield* status, { state: "Refreshing", usable: true, freshness: "fresh" })
      yield* idp.faults.release()
      yield* settle
      assert.deepInclude(yield* status, { state: "Ready", usable: true })
    }),
  )

  it.effect("is Empty again after a first flight that failed, with the failure", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUp({ before: (idp) => idp.faults.status(404) })
      yield* settle
      const { failure, state, usable } = yield* status
      assert.deepStrictEqual([state, usable], ["Empty", false])
      assert.deepInclude(failure, {
        reason: { _tag: "HttpStatus", url: idp.jwksUrl, status: 404 },
        at: start,
        count: 1,
      })
      assert.closeTo(failure?.nextAttemptAt ?? 0, start + seconds(1), 2)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("is Ready and stale in an outage, and not usable past the window", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUpLoaded({ registration: { retryPolicy: { maxRetries: 0 } } })
      yield* idp.faults.status(404)
      yield* TestClock.adjust("20 minutes")
      const stale = yield* status
      assert.deepInclude(stale, { usable: true, freshness: "stale", state: "Ready" })
      assert.isAbove(stale.failure?.count ?? 0, 10)
      assert.isAbove(stale.failure?.nextAttemptAt ?? 0, start + minutes(20))
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* status, { usable: false })
    }).pipe(withRandom(almostOne)),
  )

  it.effect("has no failure any more after a success", () =>
    Effect.gen(function* () {
      const { refresh, status } = yield* setUp({ before: (idp) => idp.faults.status(404, { next: 1 }) })
      yield* settle
      assert.property(yield* status, "failure")
      yield* refresh
      assert.notProperty(yield* status, "failure")
    }),
  )
})

describe("providerStatus: what is held", () => {
  it.effect("says from when it is and until when it holds", () =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded()
      assert.deepInclude(yield* status, {
        fetchedAt: start,
        expiresAt: start + minutes(10),
        staleUntil: start + minutes(10) + hours(1),
        nextRefreshAt: start + seconds(570),
      })
    }),
  )

  it.effect("lists usable keys and dropped ones", () =>
    Effect.gen(function* () {
      const [bare] = staticKeys(1)
      const { idp, resolve, status } = yield* setUpLoaded({
        before: (idp) =>
          idp.keys.publish([
            { kty: "EC", crv: "P-256", x: bare?.x, y: bare?.y },
            { kty: "oct", k: "c2VjcmV0", kid: "s" },
            { ...bare, use: "enc", kid: "e" },
          ]),
      })
      const { keys, dropped } = yield* status
      const { kid, thumbprint } = idp.keys.current
      const { jwk, ...members } = keys[0] ?? assert.fail("no key")
      assert.deepStrictEqual(members, { kid, kty: "EC", alg: "ES256", use: "sig", thumbprint })
      assert.strictEqual(jwk, (yield* resolve()).jwk)
      assert.deepInclude(keys[1], { kty: "EC" })
      assert.deepStrictEqual([keys[1]?.kid, keys[1]?.alg, keys[1]?.use], [undefined, undefined, undefined])
      assert.lengthOf(keys, 2)
      assert.deepStrictEqual(
        [...dropped],
        [
          { kid: "s", reason: "SymmetricKey" },
          { kid: "e", reason: "NotForSignatures" },
        ],
      )
      assert.notInclude(JSON.stringify(yield* status), "c2VjcmV0")
      yield* resolve()
    }),
  )

  it.effect("shows the URL without its query", () =>
    Effect.gen(function* () {
      const { status } = yield* setUp({ registration: { jwksUrl: "https://idp.test/jwks?key=secret" } })
      yield* settle
      assert.strictEqual((yield* status).url, "https://idp.test/jwks")
      assert.notInclude(JSON.stringify(yield* status), "secret")
    }),
  )
})

describe("providerStatus: what was counted", () => {
  it.effect("a caller who waited is a miss, answers from the set are hits, of the key and of the whole set", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet, status } = yield* setUp({ before: (idp) => idp.faults.hold })
      const waiting = yield* Effect.all([begin(resolve()), begin(resolveSet)])
      yield* idp.faults.release()
      yield* Fiber.awaitAll(waiting)
      yield* Effect.replicateEffect(resolve(), 4)
      yield* Effect.replicateEffect(resolveSet, 2)
      assert.deepInclude(yield* status, { requests: 8, hits: 6, misses: 2, hitRatio: 0.75, stale: 0 })
    }),
  )

  it.effect("stale answers are hits", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      yield* resolve()
      yield* idp.faults.status(404)
      yield* TestClock.adjust("20 minutes")
      const before = yield* status
      yield* Effect.replicateEffect(resolve(), 3)
      const after = yield* status
      assert.deepStrictEqual(
        [after.hits - before.hits, after.misses - before.misses, after.stale - before.stale],
        [3, 0, 3],
      )
      assert.strictEqual(before.stale, 0)
    }),
  )

  it.effect("an unknown kid and an answer from a remembered failure are misses", () =>
    Effect.gen(function* () {
      const { resolve, status } = yield* setUpLoaded()
      const before = yield* status
      yield* errorAtOnce(resolve("ghost"))
      const after = yield* status
      assert.deepStrictEqual([after.hits - before.hits, after.misses - before.misses], [0, 1])
      const down = yield* setUp({ before: (idp) => idp.faults.status(404) })
      yield* errorAtOnce(down.resolve())
      yield* errorAtOnce(down.resolve())
      assert.deepInclude(yield* down.status, { requests: 2, hits: 0, misses: 2, hitRatio: 0 })
    }),
  )

  it.effect("a call that counts once, counts once: 10,000 concurrent ones", () =>
    Effect.gen(function* () {
      const { resolve, status } = yield* setUpLoaded()
      const before = yield* status
      yield* Effect.all(
        Array.from({ length: 10_000 }, () => resolve()),
        { concurrency: "unbounded" },
      )
      assert.strictEqual((yield* status).hits - before.hits, 10_000)
      assert.strictEqual((yield* status).requests - before.requests, 10_000)
    }),
  )

  it.effect("flights that ended, failed, and brought a 304", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded()
      assert.deepInclude(yield* status, { refreshes: 1, refreshErrors: 0, notModified: 0 })
      yield* refresh
      yield* idp.keys.rotate()
      yield* refresh
      assert.deepInclude(yield* status, { refreshes: 3, refreshErrors: 0, notModified: 1 })
      yield* idp.faults.status(404)
      yield* Effect.flip(refresh)
      assert.deepInclude(yield* status, { refreshes: 4, refreshErrors: 1, notModified: 1 })
    }),
  )

  it.effect("a flight of three attempts is one", () =>
    Effect.gen(function* () {
      const { status } = yield* setUp({ before: (idp) => idp.faults.status(503, { next: 2 }) })
      yield* TestClock.adjust("750 millis")
      assert.deepInclude(yield* status, { refreshes: 1, refreshErrors: 0 })
    }),
  )

  it.effect("whoever joins an expired set's flight and gets the stale answer is a miss that was stale", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded({ options: { idleAfter: "1 minute" } })
      yield* TestClock.adjust("20 minutes")
      yield* idp.faults.hang()
      const before = yield* status
      const caller = yield* begin(resolve())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "stale")
      const after = yield* status
      assert.deepStrictEqual(
        [after.requests - before.requests, after.misses - before.misses, after.stale - before.stale],
        [1, 1, 1],
      )
    }),
  )
})

describe("allStatuses", () => {
  it.effect("lists every provider, in order of registration within a tenant", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ register: false })
      assert.deepStrictEqual(yield* registry.allStatuses, [])
      for (const [tenant, provider] of [
        ["b", "z"],
        ["a", "y"],
        ["b", "a"],
        ["a", "x"],
      ] as const) {
        yield* registry.register({ tenant, provider, jwksUrl: idp.jwksUrl, warm: false })
      }
      const of = (wanted: string) =>
        Effect.map(registry.allStatuses, (all) =>
          all.filter(({ tenant }) => tenant === wanted).map(({ provider }) => provider),
        )
      assert.deepStrictEqual(
        [yield* of("a"), yield* of("b")],
        [
          ["y", "x"],
          ["z", "a"],
        ],
      )
      assert.lengthOf(yield* registry.allStatuses, 4)
    }),
  )

  it.effect("says the same as providerStatus", () =>
    Effect.gen(function* () {
      const { registry, resolve, status } = yield* setUpLoaded()
      yield* resolve()
      assert.deepStrictEqual((yield* registry.allStatuses)[0], yield* status)
    }),
  )

  it.effect("is a picture: it does not change afterwards", () =>
    Effect.gen(function* () {
      const { resolve, status } = yield* setUpLoaded()
      const before = yield* status
      const copy = structuredClone(before)
      yield* resolve()
      yield* TestClock.adjust("20 minutes")
      assert.deepStrictEqual(before, copy)
    }),
  )
})
