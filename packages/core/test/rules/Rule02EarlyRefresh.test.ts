import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { almostOne, answerAtOnce, arrivals, minutes, seconds, setUpLoaded, start, withRandom } from "./support.ts"

describe("Rule 2: past the refresh point the timer refreshes in the background, nobody waits", () => {
  it.effect("refreshes 30 s before the end of a lifetime of 10 min, and not a millisecond earlier", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUpLoaded()
      assert.strictEqual((yield* status).nextRefreshAt, start + seconds(570))
      yield* TestClock.setTime(start + seconds(570) - 1)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.setTime(start + seconds(570))
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual((yield* status).fetchedAt, start + seconds(570))
      assert.strictEqual((yield* status).expiresAt, start + seconds(1_170))
    }),
  )

  it.effect("answers from the held set while the refresh is under way", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      const { kid } = idp.keys.current
      const before = yield* resolve(kid)
      yield* idp.faults.hold
      yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.setTime(start + seconds(571))
      assert.strictEqual(idp.faults.held, 1)
      assert.strictEqual((yield* status).state, "Refreshing")
      assert.strictEqual(yield* answerAtOnce(resolve(kid)), before)
      yield* idp.faults.release()
      yield* idp.awaitResponses(2)
      assert.strictEqual((yield* answerAtOnce(resolve())).fetchedAt, start + seconds(571))
    }),
  )

  it.effect("does not refresh because it is asked: only the timer counts", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.hold
      yield* TestClock.setTime(start + seconds(572))
      yield* Effect.replicateEffect(answerAtOnce(resolve()), 100)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect.each([
    { cacheControl: "max-age=300", refreshEarly: "2 minutes", minTtl: "1 minute", at: 240 },
    { cacheControl: "max-age=100", refreshEarly: "30 seconds", minTtl: "1 minute", at: 80 },
    { cacheControl: "max-age=1", refreshEarly: "1 hour", minTtl: "30 seconds", at: 24 },
    { cacheControl: "max-age=3600", refreshEarly: "1 second", minTtl: "1 minute", at: 3_599 },
    { cacheControl: "max-age=3600", refreshEarly: "10 minutes", minTtl: "1 minute", at: 3_000 },
  ] as const)(
    "takes a lead of $refreshEarly, but never more than a fifth of the lifetime: $cacheControl refreshes after $at s",
    ({ at, cacheControl, minTtl, refreshEarly }) =>
      Effect.gen(function* () {
        const { idp, status } = yield* setUpLoaded({
          provider: { response: { cacheControl } },
          registration: { refreshEarly, minTtl },
        })
        assert.strictEqual((yield* status).nextRefreshAt, start + seconds(at))
        yield* TestClock.setTime(start + seconds(at) - 1)
        assert.strictEqual(idp.requests, 1)
        yield* TestClock.setTime(start + seconds(at))
        assert.strictEqual(idp.requests, 2)
      }),
  )

  it.effect("does not refresh on every call where the lead is as long as the lifetime", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({
        provider: { response: { cacheControl: "max-age=60" } },
        registration: { refreshEarly: "60 seconds", minTtl: "60 seconds" },
      })
      for (let i = 0; i < 47; i += 1) {
        yield* TestClock.adjust("1 second")
        yield* answerAtOnce(resolve())
      }
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("adds a random lead of up to prefetchJitter", () =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded({ registration: { prefetchJitter: "20 seconds" } })
      const at = ((yield* status).nextRefreshAt ?? 0) - start
      assert.closeTo(at, seconds(550), 1)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("never adds more than a tenth of the lifetime", () =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded({ registration: { prefetchJitter: "1 hour" } })
      const at = ((yield* status).nextRefreshAt ?? 0) - start
      assert.closeTo(at, seconds(600 - 30 - 60), 1)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("spreads the refreshes of providers that were registered together", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUpLoaded()
      for (let i = 0; i < 15; i += 1) {
        const provider = `idp-${i}`
        yield* registry.register({ tenant: "acme", provider, jwksUrl: idp.jwksUrl, prefetchJitter: "5 seconds" })
        yield* registry.resolve("acme", provider)
      }
      const leads = (yield* registry.allStatuses)
        .filter(({ provider }) => provider !== "idp")
        .map(({ nextRefreshAt = 0 }) => nextRefreshAt - start)
      for (const lead of leads) {
        assert.isAtLeast(lead, seconds(565))
        assert.isAtMost(lead, seconds(570))
      }
      assert.isAbove(new Set(leads).size, 5)
    }),
  )

  it.effect("revalidates with the validator of the set, and extends its lifetime with a 304", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* TestClock.setTime(start + seconds(570))
      assert.deepStrictEqual([idp.ok, idp.notModified], [1, 1])
      assert.strictEqual(idp.log[1]?.headers["if-none-match"], idp.keys.document.etag)
      const key = yield* answerAtOnce(resolve())
      assert.deepStrictEqual([key.fetchedAt, key.expiresAt], [start + seconds(570), start + seconds(1_170)])
    }),
  )

  it.effect("brings a key before anybody has seen a token of it", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      const { kid } = yield* idp.keys.add()
      yield* TestClock.adjust("10 minutes")
      const requests = idp.requests
      yield* answerAtOnce(resolve(kid))
      assert.strictEqual(idp.requests, requests)
    }),
  )

  it.effect("leaves the set alone when the early refresh fails, also without a stale window", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ registration: { staleWhileError: 0 } })
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(10) - 1)
      assert.isAbove(idp.requests, 1)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("goes on from refresh to refresh", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUpLoaded()
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(arrivals(idp), [0, 570, 1_140, 1_710, 2_280, 2_850, 3_420].map(seconds))
    }),
  )
})
