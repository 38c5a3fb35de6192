import { assert, describe, it } from "@effect/vitest"
import type { ResolveError } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  almostOne,
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  minutes,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
  withRandom,
} from "./support.ts"

const unavailable = (error: ResolveError) =>
  error._tag === "JwksUnavailable" ? error : assert.fail(`got ${error._tag}: ${error.message}`)

const once = { retryPolicy: { maxRetries: 0 } }

describe("Rule 5: nothing usable: join the flight, its failure is JwksUnavailable", () => {
  it.effect("waits for the first flight, which the registration has started", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hold })
      const caller = yield* begin(resolve())
      yield* TestClock.adjust("2 seconds")
      assertWaits(caller)
      yield* idp.faults.release()
      assert.deepInclude(yield* Fiber.join(caller), { freshness: "fresh", fetchedAt: start + seconds(2) })
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("fails with what went wrong, after the attempts of one flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(503) })
      const caller = yield* begin(Effect.flip(resolve()))
      yield* TestClock.adjust("750 millis")
      const { provider, reason, retryAfterMillis = 0, tenant } = unavailable(yield* Fiber.join(caller))
      assert.deepStrictEqual([tenant, provider], ["acme", "idp"])
      assert.deepStrictEqual(reason, { _tag: "HttpStatus", url: idp.jwksUrl, status: 503 })
      assert.isAtLeast(retryAfterMillis, 0)
      assert.strictEqual(idp.faults.met, 3)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("fails the whole set the same way", () =>
    Effect.gen(function* () {
      const { resolveSet } = yield* setUp({ before: (idp) => idp.faults.status(404) })
      assert.deepInclude(unavailable(yield* Effect.flip(resolveSet)).reason, { _tag: "HttpStatus", status: 404 })
    }),
  )

  it.effect.each([400, 401, 403, 404, 410])("asks once, not three times, where the answer is a %d", (status) =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(status) })
      const error = unavailable(yield* errorAtOnce(resolve()))
      assert.deepInclude(error.reason, { _tag: "HttpStatus", status })
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect.each([408, 425, 429, 500, 502, 503, 504, 520])(
    "asks again within the flight where the answer is a %d",
    (status) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(status, { next: 2 }) })
        const caller = yield* begin(resolve())
        yield* TestClock.adjust("750 millis")
        assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "fresh")
        assert.strictEqual(idp.requests, 3)
      }),
  )

  it.effect.each(["{", "<html></html>", "[]", '{"keys":{}}', '{"keys":[]}', ""])(
    "asks once, not three times, where the body is %j",
    (body) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.body(body) })
        const error = unavailable(yield* errorAtOnce(resolve()))
        assert.include(["BodyInvalid", "NoUsableKeys"], error.reason._tag)
        assert.strictEqual(idp.requests, 1)
      }),
  )

  it.effect("answers from memory while the failure lasts, and says when to come again", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet } = yield* setUp({
        before: (idp) => idp.faults.status(404),
        registration: once,
      })
      const first = unavailable(yield* errorAtOnce(resolve()))
      yield* TestClock.adjust("400 millis")
      const second = unavailable(yield* errorAtOnce(resolve()))
      assert.deepStrictEqual(second.reason, first.reason)
      assert.closeTo(second.retryAfterMillis ?? 0, 600, 2)
      assert.closeTo(unavailable(yield* errorAtOnce(resolveSet)).retryAfterMillis ?? 0, 600, 2)
      assert.strictEqual(idp.requests, 1)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("joins the next attempt when it starts: the memory ends there", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(404, { next: 1 }) })
      yield* Effect.flip(resolve())
      yield* idp.faults.hold
      yield* TestClock.adjust("1 second")
      assert.strictEqual(idp.requests, 2)
      const caller = yield* begin(resolve())
      assertWaits(caller)
      yield* idp.faults.release()
      assert.strictEqual((yield* Fiber.join(caller)).freshness, "fresh")
      assert.strictEqual(idp.requests, 2)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("remembers a failure no longer than negativeCacheTtl: whoever comes then starts a flight", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUp({
        before: (idp) => idp.faults.status(404),
        registration: { ...once, negativeCacheTtl: "5 seconds" },
      })
      // Failures at 0, 1, 3, 7, 15 and 31 s: the next attempt is 32 s away.
      yield* TestClock.adjust("32 seconds")
      assert.strictEqual(idp.requests, 6)
      const failedAt = (yield* status).failure?.at ?? 0
      yield* TestClock.setTime(failedAt + seconds(5) - 1)
      yield* errorAtOnce(resolve())
      assert.strictEqual(idp.requests, 6)
      yield* TestClock.setTime(failedAt + seconds(5))
      yield* idp.faults.heal
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.strictEqual(idp.requests, 7)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("remembers no failure where negativeCacheTtl is 0", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(404),
        registration: { ...once, negativeCacheTtl: 0 },
      })
      yield* Effect.flip(resolve())
      const requests = idp.requests
      yield* Effect.flip(resolve())
      yield* Effect.flip(resolve())
      assert.strictEqual(idp.requests, requests + 2)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("ends the flight at its deadline, attempts and back-offs included", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hang() })
      const caller = yield* begin(Effect.flip(resolve()))
      yield* TestClock.adjust("7999 millis")
      assertWaits(caller)
      yield* TestClock.adjust("1 millis")
      const { reason } = unavailable(yield* answerAtOnce(Fiber.join(caller)))
      assert.deepInclude(reason, { _tag: "TimedOut" })
      assert.isAtMost(idp.requests, 3)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("ends an attempt at attemptTimeout, and closes its connection", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hang(), registration: once })
      const caller = yield* begin(Effect.flip(resolve()))
      yield* TestClock.adjust("2999 millis")
      assertWaits(caller)
      assert.strictEqual(idp.abandoned, 0)
      yield* TestClock.adjust("1 millis")
      const { reason } = unavailable(yield* answerAtOnce(Fiber.join(caller)))
      assert.deepStrictEqual(reason, {
        _tag: "TimedOut",
        url: idp.jwksUrl,
        limit: "attemptTimeout",
        afterMillis: 3_000,
      })
      assert.strictEqual(idp.abandoned, 1)
    }),
  )

  it.effect("gives up an answer that comes after attemptTimeout", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.delay("4 seconds"), registration: once })
      const caller = yield* begin(Effect.flip(resolve()))
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(unavailable(yield* answerAtOnce(Fiber.join(caller))).reason, { _tag: "TimedOut" })
      assert.strictEqual(idp.abandoned, 1)
    }),
  )

  it.effect("waits past the window too, and fails with the flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ registration: { ...once, staleWhileError: "1 minute" } })
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(11))
      const error = unavailable(yield* Effect.flip(resolve()))
      assert.deepInclude(error.reason, { _tag: "HttpStatus", status: 404 })
    }),
  )

  it.effect("knows an unknown tenant and an unknown provider at once", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUpLoaded()
      const tenant = yield* errorAtOnce(registry.resolveKey("nobody", "1"))
      assert.deepInclude(tenant, { _tag: "NotRegistered", tenant: "nobody" })
      const provider = yield* errorAtOnce(registry.resolveKey("acme", "1", { provider: "other" }))
      assert.deepInclude(provider, { _tag: "NotRegistered", tenant: "acme", provider: "other" })
      assert.deepInclude(yield* errorAtOnce(registry.resolve("acme", "other")), { _tag: "NotRegistered" })
      assert.deepInclude(yield* errorAtOnce(registry.refresh("acme", "other")), { _tag: "NotRegistered" })
      assert.deepInclude(yield* errorAtOnce(registry.providerStatus("nobody", "idp")), { _tag: "NotRegistered" })
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("fetches at the first use where warm is false", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUp({ registration: { warm: false } })
      yield* TestClock.adjust("1 hour")
      yield* settle
      assert.strictEqual(idp.requests, 0)
      assert.strictEqual((yield* status).state, "Empty")
      yield* resolve()
      assert.strictEqual(idp.requests, 1)
      // From then on the timer keeps it fresh.
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(idp.requests, 2)
    }),
  )
})
