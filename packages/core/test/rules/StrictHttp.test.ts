/**
 * `strictHttp`: RFC 9111 to the letter.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ResponseSettings } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  minutes,
  seconds,
  setUp,
  setUpLoaded,
  start,
  type SetUp,
} from "./support.ts"

const strict = (response: ResponseSettings, more: SetUp = {}): SetUp => ({
  ...more,
  provider: { response },
  registration: { strictHttp: true, ...more.registration },
})

describe("strictHttp: no clamp up to minTtl", () => {
  it.effect.each([
    ["max-age=15", 15],
    ["max-age=600", 600],
    ["max-age=31536000", 86_400],
  ] as const)("%s", ([cacheControl, lifetime]) =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded(strict({ cacheControl }))
      assert.strictEqual((yield* status).expiresAt, start + seconds(lifetime))
    }),
  )

  it.effect("a lifetime of 15 s is refreshed after 12, and stays fresh", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded(strict({ cacheControl: "max-age=15" }))
      yield* TestClock.adjust(seconds(12) - 1)
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(idp.requests, 2)
      for (let i = 0; i < 30; i += 1) {
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }
    }),
  )

  it.effect("Age leaves what it leaves", () =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded(strict({ cacheControl: "max-age=300", age: 295 }))
      assert.strictEqual((yield* status).expiresAt, start + seconds(5))
    }),
  )

  it.effect("a response that says nothing has the default", () =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded(strict({ cacheControl: undefined }))
      assert.strictEqual((yield* status).expiresAt, start + minutes(10))
    }),
  )
})

describe("strictHttp: no-store is gone once its flight's waiters are answered", () => {
  it.effect("answers the waiters, of the key and of the set, and holds nothing", () =>
    Effect.gen(function* () {
      const { idp, resolve, resolveSet, status } = yield* setUp(
        strict({ cacheControl: "no-store" }, { before: (idp) => idp.faults.hold }),
      )
      const { kid } = idp.keys.current
      const callers = [yield* begin(resolve(kid)), yield* begin(resolve(kid))]
      const setCaller = yield* begin(resolveSet)
      yield* idp.faults.release()
      for (const caller of callers) assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).kid, kid)
      assert.lengthOf((yield* answerAtOnce(Fiber.join(setCaller))).jwks.keys, 1)
      assert.strictEqual(idp.requests, 1)
      assert.deepInclude(yield* status, { usable: false, keys: [] })
    }),
  )

  it.effect("fetches again for the next caller, and shares that among callers", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(strict({ cacheControl: "no-store" }, { registration: { warm: false } }))
      yield* answerAtOnce(resolve())
      yield* answerAtOnce(resolve())
      assert.strictEqual(idp.requests, 2)
      yield* idp.faults.hold
      const callers = yield* begin(
        Effect.all(
          Array.from({ length: 100 }, () => resolve()),
          { concurrency: "unbounded" },
        ),
      )
      assertWaits(callers)
      yield* idp.faults.release()
      yield* answerAtOnce(Fiber.join(callers))
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("sends no validators of what it may not keep", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(strict({ cacheControl: "no-store" }, { registration: { warm: false } }))
      yield* answerAtOnce(resolve())
      yield* answerAtOnce(resolve())
      for (const { headers } of idp.log) {
        assert.notProperty(headers, "if-none-match")
        assert.notProperty(headers, "if-modified-since")
      }
    }),
  )

  it.effect("has nothing to serve in an outage", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(strict({ cacheControl: "no-store" }, { registration: { warm: false } }))
      yield* answerAtOnce(resolve())
      yield* idp.faults.status(404)
      assert.deepInclude(yield* errorAtOnce(resolve()), { _tag: "JwksUnavailable" })
    }),
  )
})

describe("strictHttp: no-cache is validated before each use", () => {
  it.effect("asks the provider each time, with the validator, and answers from the set", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(strict({ cacheControl: "no-cache" }, { registration: { warm: false } }))
      for (let i = 0; i < 4; i += 1) assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.deepStrictEqual([idp.ok, idp.notModified], [1, 3])
    }),
  )

  it.effect("waits for the answer", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(
        strict({ cacheControl: "no-cache, max-age=600" }, { registration: { warm: false } }),
      )
      yield* answerAtOnce(resolve())
      yield* idp.faults.hold
      const old = idp.keys.current
      yield* idp.keys.rotate({ keepOld: false })
      const caller = yield* begin(Effect.exit(resolve(old.kid)))
      assertWaits(caller)
      yield* idp.faults.release()
      const exit = yield* answerAtOnce(Fiber.join(caller))
      assert.strictEqual(exit._tag, "Failure")
    }),
  )

  it.effect("sees a revocation at the next use", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp(strict({ cacheControl: "no-cache" }, { registration: { warm: false } }))
      yield* answerAtOnce(resolve())
      yield* idp.keys.rotate({ keepOld: false })
      assert.strictEqual((yield* answerAtOnce(resolve())).kid, idp.keys.current.kid)
    }),
  )
})

describe("strictHttp: must-revalidate forbids rule 3", () => {
  it.effect("serves nothing stale", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded(strict({ cacheControl: "max-age=600, must-revalidate" }))
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(10) - 1)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      yield* TestClock.setTime(start + minutes(10))
      assert.isFalse((yield* status).usable)
      assert.deepInclude(yield* Effect.flip(resolve()), { _tag: "JwksUnavailable" })
    }),
  )

  it.effect("without it the stale window is there", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded(strict({ cacheControl: "max-age=600" }))
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(30))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
    }),
  )

  it.effect("recovers with a 304", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded(strict({ cacheControl: "max-age=600, must-revalidate" }))
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(30))
      yield* idp.faults.heal
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.strictEqual(idp.ok, 1)
    }),
  )
})

describe("Without strictHttp", () => {
  it.effect("no-store and no-cache live minTtl, and are served like any set", () =>
    Effect.gen(function* () {
      for (const cacheControl of ["no-store", "no-cache"]) {
        const { idp, resolve } = yield* setUpLoaded({ provider: { response: { cacheControl } } })
        yield* Effect.replicateEffect(answerAtOnce(resolve()), 10)
        assert.strictEqual(idp.requests, 1)
        yield* TestClock.adjust("48 seconds")
        assert.strictEqual(idp.requests, 2)
        yield* idp.faults.status(404)
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      }
    }),
  )
})
