import { assert, describe, it } from "@effect/vitest"
import type { ResolveError } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  almostOne,
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
  withRandom,
} from "./support.ts"

const once = { retryPolicy: { maxRetries: 0 } } as const

const retryAfterOf = (error: ResolveError): number | undefined =>
  error._tag === "JwksUnavailable" || error._tag === "KeyNotFound"
    ? error.retryAfterMillis
    : assert.fail(`got ${error._tag}: ${error.message}`)

/** Whole hundredths of a second, so that random numbers just below 1 count as 1. */
const rounded = (times: ReadonlyArray<number>): ReadonlyArray<number> =>
  times.map((millis) => Math.round(millis / 10) * 10)

describe("Rule 13: after a failed flight the next starts by timer", () => {
  for (const [name, random, delays] of [
    ["up to 1, 2, 4, ... 60 s", almostOne, [1, 2, 4, 8, 16, 32, 60, 60, 60]],
    ["half of that where the dice say so", 0.5, [0.5, 1, 2, 4, 8, 16, 30, 30, 30]],
  ] as const) {
    it.effect(`full-jitter exponential from 1 s to 60 s, for a provider that never loaded: ${name}`, () =>
      Effect.gen(function* () {
        const { idp } = yield* setUp({ before: (idp) => idp.faults.status(404), registration: once })
        yield* TestClock.adjust(seconds(delays.reduce((sum, delay) => sum + delay, 0) + 1))
        let at = 0
        const expected = [0, ...delays.map((delay) => (at += delay))].map(seconds)
        assert.deepStrictEqual(rounded(arrivals(idp)), expected)
      }).pipe(withRandom(random)),
    )
  }

  it.effect("never later than a minute after the failure, and really spread", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUp({ before: (idp) => idp.faults.status(404), registration: once })
      yield* TestClock.adjust("6 hours")
      const times = arrivals(idp)
      const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0))
      assert.isAtMost(Math.max(...gaps), seconds(60))
      assert.isAtMost(gaps[0] ?? 0, seconds(1))
      assert.isAtMost(gaps[1] ?? 0, seconds(2))
      const late = gaps.slice(7)
      // Full jitter: from 0 to 60 s, 30 on the average. Of some 700 draws, a tenth at least in each fifth.
      for (let fifth = 0; fifth < 5; fifth += 1) {
        const share = late.filter((gap) => gap >= seconds(fifth * 12) && gap <= seconds((fifth + 1) * 12)).length
        assert.isAbove(share, late.length / 10)
      }
    }),
  )

  it.effect("for a failed background refresh, while the set is still fresh", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUpLoaded({ registration: once })
      yield* idp.faults.status(404)
      yield* TestClock.adjust("580 seconds")
      assert.deepStrictEqual(rounded(arrivals(idp)), [0, 570, 571, 573, 577].map(seconds))
      const { failure } = yield* status
      assert.deepInclude(failure, { count: 4, at: start + (arrivals(idp).at(-1) ?? 0) })
      assert.closeTo((failure?.nextAttemptAt ?? 0) - start, seconds(585), 5)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("begins at 1 s again after a success", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUp({ before: (idp) => idp.faults.status(404, { next: 5 }), registration: once })
      yield* TestClock.adjust("31 seconds")
      assert.isTrue((yield* status).usable)
      assert.isUndefined((yield* status).failure)
      const before = idp.requests
      yield* idp.faults.status(404)
      yield* TestClock.adjust("577 seconds")
      const times = arrivals(idp).slice(before)
      assert.deepStrictEqual(
        rounded(times.map((at) => at - (times[0] ?? 0))),
        [0, 1, 3, 7].map(seconds).slice(0, times.length),
      )
      assert.isAtLeast(times.length, 3)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("past the stale window too", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUpLoaded({ registration: { ...once, staleWhileError: "1 minute" } })
      yield* idp.faults.status(404)
      yield* TestClock.adjust("2 hours")
      const before = idp.requests
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(idp.requests, before + 10)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("the background attempt recovers without a caller", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(404, { next: 3 }),
        registration: once,
      })
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(idp.requests, 4)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }).pipe(withRandom(almostOne)),
  )
})

describe("Rule 13: attempts within a flight", () => {
  it.effect.each([
    { jitter: "none", random: 0.5, expected: [0, 250, 750, 1_750, 3_750, 5_750] },
    { jitter: "full", random: almostOne, expected: [0, 250, 750, 1_750, 3_750, 5_750] },
    { jitter: "full", random: 0.5, expected: [0, 125, 375, 875, 1_875, 2_875] },
    { jitter: "full", random: 0, expected: [0, 0, 0, 0, 0, 0] },
  ] as const)(
    "back off from 250 ms, doubling, to 2 s, with jitter $jitter (random number $random)",
    ({ expected, jitter, random }) =>
      Effect.gen(function* () {
        const { idp } = yield* setUp({
          before: (idp) => idp.faults.status(503, { next: 6 }),
          registration: { retryPolicy: { maxRetries: 5, jitter } },
        })
        yield* TestClock.adjust(expected.at(-1) ?? 0)
        const times = arrivals(idp).slice(0, 6)
        assert.lengthOf(times, 6)
        for (const [i, at] of times.entries()) assert.closeTo(at, expected[i] ?? 0, 5)
      }).pipe(withRandom(random)),
  )

  it.effect("with decorrelated jitter each delay stays between the first backoff and maxBackoff", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUp({
        before: (idp) => idp.faults.status(503),
        registration: {
          retryPolicy: { maxRetries: 10, jitter: "decorrelated", deadline: "60 seconds", maxBackoff: "2 seconds" },
        },
      })
      yield* TestClock.adjust("25 seconds")
      const times = arrivals(idp).slice(0, 11)
      assert.lengthOf(times, 11)
      const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0))
      for (const gap of gaps) {
        assert.isAtLeast(gap, 250)
        assert.isAtMost(gap, 2_000)
      }
      assert.isAbove(new Set(gaps).size, 1)
    }),
  )

  it.effect("are as many as maxRetries says, plus one", () =>
    Effect.gen(function* () {
      for (const maxRetries of [0, 1, 4]) {
        const { idp, resolve } = yield* setUp({
          before: (idp) => idp.faults.status(503),
          registration: { retryPolicy: { maxRetries, jitter: "none" } },
        })
        const caller = yield* begin(Effect.flip(resolve()))
        yield* TestClock.adjust([0, 250, 750, 1_750, 3_750][maxRetries] ?? 0)
        yield* answerAtOnce(Fiber.join(caller))
        assert.strictEqual(idp.requests, maxRetries + 1)
      }
    }).pipe(withRandom(almostOne)),
  )
})

describe("Rule 13: Retry-After is a floor for every next attempt", () => {
  it.effect("within the deadline the same flight waits for it", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, retryAfter: "5 seconds" }),
      })
      const caller = yield* begin(resolve())
      yield* TestClock.adjust("4999 millis")
      assertWaits(caller)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "fresh")
    }).pipe(withRandom(almostOne)),
  )

  it.effect.each([429, 503])(
    "beyond the deadline it ends the flight at once, and holds the next one back (%d)",
    (status) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({
          before: (idp) => idp.faults.status(status, { next: 1, retryAfter: "2 minutes" }),
        })
        assert.closeTo(retryAfterOf(yield* errorAtOnce(resolve())) ?? 0, minutes(2), 1)
        yield* TestClock.adjust(minutes(2) - 1)
        assert.strictEqual(idp.requests, 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(idp.requests, 2)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }),
  )

  it.effect("is remembered longer than negativeCacheTtl", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, retryAfter: "5 minutes" }),
        registration: { negativeCacheTtl: "1 second" },
      })
      yield* errorAtOnce(resolve())
      for (let minute = 1; minute < 5; minute += 1) {
        yield* TestClock.adjust("1 minute")
        assert.closeTo(retryAfterOf(yield* errorAtOnce(resolve())) ?? 0, minutes(5 - minute), 1)
      }
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect.each(["3600", "86400", "99999999999"])("is capped at 10 min: %s s", (value) =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, headers: { "retry-after": value } }),
      })
      assert.isAtMost(retryAfterOf(yield* errorAtOnce(resolve())) ?? Infinity, minutes(10))
      yield* TestClock.adjust(minutes(10) - 1)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("may be a date", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) =>
          idp.faults.status(503, {
            next: 1,
            headers: { "retry-after": new Date(start + seconds(90)).toUTCString() },
          }),
      })
      yield* errorAtOnce(resolve())
      yield* TestClock.adjust(seconds(90) - 1)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect.each(["soon", "-5", "", new Date(0).toUTCString(), "NaN", "Infinity"])(
    "is ignored where it says nothing: %j",
    (value) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({
          before: (idp) => idp.faults.status(503, { next: 1, headers: { "retry-after": value } }),
        })
        const caller = yield* begin(resolve())
        yield* TestClock.adjust("250 millis")
        yield* answerAtOnce(Fiber.join(caller))
        assert.strictEqual(idp.requests, 2)
      }),
  )

  it.effect("holds back the background refreshes of a set, which is served meanwhile", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      yield* idp.faults.status(503, { next: 1, retryAfter: "10 minutes" })
      yield* TestClock.setTime(start + seconds(570 + 600) - 1)
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual((yield* status).failure?.nextAttemptAt, start + seconds(570 + 600))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("holds back forced revalidations", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(429, { next: 1, retryAfter: "3 minutes" })
      assert.isAtLeast(retryAfterOf(yield* errorAtOnce(resolve("ghost"))) ?? 0, minutes(3) - 1)
      yield* TestClock.adjust("2 minutes")
      const error = yield* errorAtOnce(resolve("other"))
      assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: false })
      assert.closeTo(retryAfterOf(error) ?? 0, minutes(1), 1)
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust("61 seconds")
      assert.deepInclude(yield* errorAtOnce(resolve("other")), { _tag: "KeyNotFound", confirmed: true })
    }),
  )

  it.effect("comes with a status that is not retried, too", () =>
    Effect.gen(function* () {
      const { idp } = yield* setUp({
        before: (idp) => idp.faults.status(403, { next: 1, retryAfter: "2 minutes" }),
      })
      yield* TestClock.adjust(minutes(2) - 1)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("outlasts a refresh that failed without one", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, retryAfter: "10 minutes" }),
      })
      yield* TestClock.adjust("1 minute")
      yield* idp.faults.status(404, { next: 1 })
      yield* Effect.flip(refresh)
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust(minutes(9) - 1)
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("does not hold back refresh", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, retryAfter: "10 minutes" }),
      })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* refresh)._tag, "Updated")
      assert.strictEqual(idp.requests, 2)
    }),
  )
})

describe("Rule 13: refresh ignores memory, back-off and budget", () => {
  it.effect("asks while a failure is remembered", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUp({ before: (idp) => idp.faults.status(404), registration: once })
      yield* errorAtOnce(resolve())
      yield* Effect.flip(refresh)
      yield* Effect.flip(refresh)
      assert.strictEqual(idp.requests, 3)
      yield* idp.faults.heal
      yield* answerAtOnce(refresh)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }).pipe(withRandom(almostOne)),
  )

  it.effect("asks without a token", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      for (const kid of ["a", "b", "c"]) yield* errorAtOnce(resolve(kid))
      assert.strictEqual(idp.requests, 3)
      const { kid } = yield* idp.keys.rotate()
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve(kid))).kid, kid)
      assert.strictEqual(idp.requests, 4)
    }),
  )

  it.effect("takes no token either", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      for (let i = 0; i < 5; i += 1) yield* refresh
      for (const kid of ["a", "b"]) assert.deepInclude(yield* errorAtOnce(resolve(kid)), { confirmed: true })
      assert.strictEqual(idp.requests, 8)
    }),
  )
})
