import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import {
  almostOne,
  answerAtOnce,
  errorAtOnce,
  hours,
  minutes,
  seconds,
  setUpLoaded,
  start,
  withRandom,
} from "./support.ts"

const expiry = start + minutes(10)

describe("Rule 3: expired, and the last attempt failed: the stale answer at once", () => {
  it.effect(
    "serves the stored set from the end of its lifetime to the end of the window, and not a millisecond longer",
    () =>
      Effect.gen(function* () {
        const { idp, resolve, resolveSet } = yield* setUpLoaded()
        yield* idp.faults.status(404)
        yield* TestClock.setTime(expiry - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
        yield* TestClock.setTime(expiry)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        yield* TestClock.setTime(expiry + hours(1) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        assert.strictEqual((yield* answerAtOnce(resolveSet)).freshness, "stale")
        yield* TestClock.setTime(expiry + hours(1))
        const error = yield* Effect.flip(resolve())
        assert.strictEqual(error._tag, "JwksUnavailable")
        assert.strictEqual((yield* Effect.flip(resolveSet))._tag, "JwksUnavailable")
      }),
  )

  it.effect("keeps the times of the stale set, and the same frozen object on every hit", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet } = yield* setUpLoaded()
      yield* idp.faults.refuse()
      yield* TestClock.setTime(expiry + minutes(30))
      const key = yield* answerAtOnce(resolve())
      assert.deepInclude(key, { freshness: "stale", fetchedAt: start, expiresAt: expiry })
      assert.isFrozen(key)
      assert.strictEqual(yield* answerAtOnce(resolve()), key)
      const set = yield* answerAtOnce(resolveSet)
      assert.deepInclude(set, { freshness: "stale", fetchedAt: start, expiresAt: expiry })
      assert.isFrozen(set)
      assert.strictEqual(yield* answerAtOnce(resolveSet), set)
    }),
  )

  it.effect("answers at once while a retry hangs: nobody waits for a retry cycle", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(503, { next: 3 })
      yield* idp.faults.hang()
      yield* TestClock.setTime(expiry + seconds(90))
      assert.isAbove(idp.faults.met, 3)
      for (let i = 0; i < 20; i += 1) {
        yield* TestClock.adjust("700 millis")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      }
    }),
  )

  it.effect("goes on trying in the background, and recovers without a caller", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      yield* TestClock.setTime(expiry + minutes(5))
      const failed = idp.requests
      yield* TestClock.adjust("5 minutes")
      // A flight of three attempts at least once a minute.
      assert.isAtLeast(idp.requests, failed + 4 * 3)
      yield* idp.faults.heal
      yield* TestClock.adjust("70 seconds")
      const { failure, fetchedAt } = yield* status
      assert.isUndefined(failure)
      assert.isAbove(fetchedAt ?? 0, expiry + minutes(10))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("goes on with the background attempts after the window, and recovers then too", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      yield* TestClock.setTime(expiry + hours(3))
      const failed = idp.requests
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(idp.requests, failed + 9 * 3)
      yield* idp.faults.heal
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect.each([
    { name: "a 404", inject: "status" },
    { name: "a refused connection", inject: "refuse" },
    { name: "an HTML page", inject: "html" },
    { name: "a set without a usable key", inject: "empty" },
    { name: "a timeout", inject: "hang" },
    { name: "a redirect that is not allowed", inject: "redirect" },
  ] as const)("covers $name", ({ inject }) =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* {
        status: idp.faults.status(404),
        refuse: idp.faults.refuse(),
        html: idp.faults.body("<html></html>", { contentType: "text/html" }),
        empty: idp.faults.body('{"keys":[]}'),
        hang: idp.faults.hang(),
        redirect: idp.faults.redirect("http://169.254.169.254/"),
      }[inject]
      yield* TestClock.setTime(expiry + minutes(1))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
    }),
  )

  it.effect("serves nothing stale where staleWhileError is 0", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded({ registration: { staleWhileError: 0 } })
      yield* idp.faults.status(404)
      yield* TestClock.setTime(expiry - 1)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      yield* TestClock.setTime(expiry)
      assert.isFalse((yield* status).usable)
      assert.strictEqual((yield* errorAtOnce(resolve()))._tag, "JwksUnavailable")
    }).pipe(withRandom(almostOne)),
  )

  it.effect("is not forbidden by must-revalidate", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({
        provider: { response: { cacheControl: "max-age=600, must-revalidate, proxy-revalidate" } },
      })
      yield* idp.faults.status(503)
      yield* TestClock.setTime(expiry + minutes(59))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
    }),
  )

  it.effect("refuses a stale answer to whoever does not want one", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.setTime(expiry - 1)
      assert.strictEqual((yield* answerAtOnce(resolve(undefined, { allowStale: false }))).freshness, "fresh")
      yield* TestClock.setTime(expiry + minutes(1))
      const error = yield* Effect.flip(resolve(undefined, { allowStale: false }))
      assert.deepInclude(error, { _tag: "JwksUnavailable" })
      if (error._tag === "JwksUnavailable") assert.deepInclude(error.reason, { _tag: "HttpStatus", status: 404 })
      // Others still get theirs.
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
    }),
  )

  it.effect("says in the status until when the set is served", () =>
    Effect.gen(function* () {
      const { idp, status } = yield* setUpLoaded({ registration: { staleWhileError: "20 minutes" } })
      assert.strictEqual((yield* status).staleUntil, expiry + minutes(20))
      yield* idp.faults.status(404)
      yield* TestClock.setTime(expiry + minutes(20) - 1)
      assert.deepInclude(yield* status, { usable: true, freshness: "stale", staleUntil: expiry + minutes(20) })
      yield* TestClock.setTime(expiry + minutes(20))
      assert.deepInclude(yield* status, { usable: false })
    }),
  )
})
