import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  arrivals,
  assertWaits,
  begin,
  errorAtOnce,
  minutes,
  seconds,
  setUp,
  setUpLoaded,
  start,
} from "./support.ts"

describe("Rule 10: background refresh is driven by timers", () => {
  it.effect("keeps a set fresh for a day without a single resolve", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1 + Math.floor(86_400 / 570))
      assert.deepInclude(yield* status, { usable: true, freshness: "fresh" })
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("keeps each provider to its own pace", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUpLoaded()
      yield* registry.register({
        tenant: "acme",
        provider: "short",
        jwksUrl: `${idp.jwksUrl}?short`,
        maxTtl: "100 seconds",
        prefetchJitter: 0,
      })
      yield* registry.resolve("acme", "short")
      yield* TestClock.adjust("10 minutes")
      const short = idp.log.filter(({ url }) => url.endsWith("?short")).map(({ at }) => at - start)
      assert.deepStrictEqual(short, [0, 80, 160, 240, 320, 400, 480, 560].map(seconds))
      assert.strictEqual(idp.requests - short.length, 2)
    }),
  )

  it.effect("survives a lifetime longer than timers of the platform can be", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({
        provider: { response: { cacheControl: `max-age=${30 * 86_400}` } },
        registration: { maxTtl: "30 days" },
      })
      yield* TestClock.adjust("29 days")
      assert.strictEqual(idp.requests, 1)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("a manual refresh moves the next background refresh", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded()
      yield* TestClock.adjust("9 minutes")
      yield* refresh
      assert.strictEqual((yield* status).nextRefreshAt, start + seconds(540 + 570))
      yield* TestClock.adjust(seconds(570) - 1)
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(idp.requests, 3)
    }),
  )
})

describe("Rule 10: with idleAfter, providers that no resolve has used are left to expire", () => {
  const idle = { options: { idleAfter: "1 hour" } } as const

  it.effect("stops refreshing an hour after the last resolve", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUpLoaded(idle)
      yield* TestClock.adjust("1 hour")
      const requests = idp.requests
      assert.isAtLeast(requests, 6)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, requests)
      assert.isFalse((yield* status).usable)
    }),
  )

  it.effect("never stops for a provider that is used", () =>
    Effect.gen(function* () {
      const { resolve } = yield* setUpLoaded(idle)
      for (let i = 0; i < 24; i += 1) {
        yield* TestClock.adjust("55 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }
    }),
  )

  it.effect("a return inside the stale window follows rule 4", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ options: { idleAfter: "1 minute" } })
      yield* TestClock.adjust("20 minutes")
      assert.strictEqual(idp.requests, 1)
      yield* idp.faults.hold
      const caller = yield* begin(resolve())
      assertWaits(caller)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "stale")
    }),
  )

  it.effect("a return past the window follows rule 5", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ options: { idleAfter: "1 minute" } })
      yield* TestClock.adjust("1 day")
      yield* idp.faults.hold
      const caller = yield* begin(resolve())
      yield* TestClock.adjust("2 seconds")
      assertWaits(caller)
      yield* idp.faults.release()
      assert.strictEqual((yield* Fiber.join(caller)).freshness, "fresh")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("refreshes by timer again after a return", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded(idle)
      yield* TestClock.adjust("1 day")
      const requests = idp.requests
      yield* resolve()
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual(idp.requests, requests + 4)
      yield* TestClock.adjust("1 day")
      assert.isAtMost(idp.requests, requests + 8)
    }),
  )

  it.effect("an unknown kid is a use as well", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded(idle)
      yield* TestClock.adjust("55 minutes")
      yield* errorAtOnce(resolve("ghost"))
      yield* TestClock.adjust("30 minutes")
      assert.isAbove(arrivals(idp).at(-1) ?? 0, minutes(70))
    }),
  )

  it.effect("a provider that nobody ever used is fetched once and left alone", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUp({ options: { idleAfter: "5 minutes" } })
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1)
    }),
  )
})
