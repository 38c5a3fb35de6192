import { assert, describe, it } from "@effect/vitest"
import type { ResolveError } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import {
  almostOne,
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  minutes,
  seconds,
  settle,
  setUpLoaded,
  start,
  withRandom,
} from "./support.ts"

const notFound = (error: ResolveError) =>
  error._tag === "KeyNotFound" ? error : assert.fail(`got ${error._tag}: ${error.message}`)

/** What the error says, without its stack. */
const said = (error: ResolveError) => {
  const { confirmed, dropped, kid, provider, retryAfterMillis, tenant } = notFound(error)
  return { tenant, provider, kid, confirmed, dropped, retryAfterMillis }
}

const proven = { tenant: "acme", provider: "idp", confirmed: true, dropped: undefined, retryAfterMillis: undefined }

const aTokenlessBucket = Effect.fnUntraced(function* (how?: Parameters<typeof setUpLoaded>[0]) {
  const world = yield* setUpLoaded(how)
  yield* errorAtOnce(world.resolve("spent-1"))
  yield* errorAtOnce(world.resolve("spent-2"))
  assert.strictEqual(world.idp.requests, 3)
  return world
})

describe("Rule 6: an unknown kid on a usable set", () => {
  it.effect("revalidates once, and says that the provider does not know the kid", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      const error = yield* errorAtOnce(resolve("ghost"))
      assert.deepStrictEqual(said(error), { ...proven, kid: "ghost" })
      assert.deepStrictEqual([idp.requests, idp.notModified], [2, 1])
    }),
  )

  it.effect("answers the request that brought the new kid from the new set", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* TestClock.adjust("1 minute")
      const { kid, thumbprint } = yield* idp.keys.rotate()
      const key = yield* answerAtOnce(resolve(kid))
      assert.deepInclude(key, { kid, thumbprint, freshness: "fresh", fetchedAt: start + minutes(1) })
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("sends Cache-Control: no-cache with the forced revalidation, and with no other request", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* errorAtOnce(resolve("ghost"))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(
        idp.log.map(({ headers }) => headers["cache-control"]),
        [undefined, "no-cache", undefined],
      )
    }),
  )

  it.effect("looks up an unknown kid once per 30 s; look-ups do not extend that", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* errorAtOnce(resolve("ghost"))
      for (const wait of [seconds(10), seconds(10), seconds(10) - 1]) {
        yield* TestClock.adjust(wait)
        assert.deepStrictEqual(said(yield* errorAtOnce(resolve("ghost"))), { ...proven, kid: "ghost" })
      }
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(said(yield* errorAtOnce(resolve("ghost"))), { ...proven, kid: "ghost" })
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("remembers nothing where negativeCacheTtl is 0: each question takes a token", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ registration: { negativeCacheTtl: 0 } })
      assert.isTrue(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      assert.isTrue(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      assert.isFalse(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("has 2 tokens, and gets one back every 30 s", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      const ask = (kid: string) => Effect.map(errorAtOnce(resolve(kid)), (error) => notFound(error).confirmed)
      assert.deepStrictEqual([yield* ask("a"), yield* ask("b"), yield* ask("c")], [true, true, false])
      yield* TestClock.adjust(seconds(30) - 1)
      assert.isFalse(yield* ask("d"))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* ask("e"), yield* ask("f")], [true, false])
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual([yield* ask("g"), yield* ask("h"), yield* ask("i")], [true, true, false])
      assert.strictEqual(idp.requests, 6)
    }),
  )

  it.effect("obeys the registration's kidRefresh", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ registration: { kidRefresh: { burst: 5, every: "1 minute" } } })
      for (let i = 0; i < 10; i += 1) yield* errorAtOnce(resolve(`ghost-${i}`))
      assert.strictEqual(idp.requests, 1 + 5)
      yield* TestClock.adjust(minutes(1) - 1)
      yield* errorAtOnce(resolve("early"))
      assert.strictEqual(idp.requests, 1 + 5)
      yield* TestClock.adjust("1 millis")
      yield* errorAtOnce(resolve("in time"))
      assert.strictEqual(idp.requests, 1 + 6)
    }),
  )

  it.effect("without a token: not confirmed, when to come again, nothing upstream, nothing remembered", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* aTokenlessBucket()
      yield* TestClock.adjust("10 seconds")
      const { kid } = yield* idp.keys.rotate()
      assert.deepStrictEqual(said(yield* errorAtOnce(resolve(kid))), {
        ...proven,
        kid,
        confirmed: false,
        retryAfterMillis: seconds(20),
      })
      assert.strictEqual(idp.requests, 3)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve(kid))).kid, kid)
      assert.strictEqual(idp.requests, 4)
    }),
  )

  it.effect("does not hurt valid tokens while a flood empties the bucket", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* aTokenlessBucket()
      for (let i = 0; i < 100; i += 1) {
        yield* errorAtOnce(resolve(`ghost-${i}`))
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("makes one attempt: a failure is not confirmed, not remembered and not retried at once", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      const error = notFound(yield* errorAtOnce(resolve("ghost")))
      assert.isFalse(error.confirmed)
      assert.isAbove(error.retryAfterMillis ?? 0, 0)
      assert.strictEqual(idp.requests, 2)
      assert.isTrue((yield* status).usable)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      yield* idp.faults.heal
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("does not ask while backing off after a failure", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      yield* errorAtOnce(resolve("ghost"))
      yield* TestClock.adjust("500 millis")
      const { confirmed, retryAfterMillis = 0 } = notFound(yield* errorAtOnce(resolve("other")))
      assert.isFalse(confirmed)
      assert.closeTo(retryAfterMillis, 500, 2)
      assert.strictEqual(idp.requests, 2)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("a timeout is not a proof: an outage must not look like a wrong token", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.hang()
      const caller = yield* begin(Effect.flip(resolve("ghost")))
      yield* TestClock.adjust("2999 millis")
      assertWaits(caller)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(notFound(yield* answerAtOnce(Fiber.join(caller))).confirmed)
      assert.strictEqual(idp.requests, 2)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("a body that is no key set is no proof either", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.body("<html></html>", { next: 1 })
      assert.isFalse(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
    }),
  )

  it.effect("shares one revalidation among callers who ask together, for one kid or for many", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.hold
      const callers = yield* begin(
        Effect.all(
          Array.from({ length: 200 }, (_, i) => Effect.flip(resolve(`ghost-${i % 100}`))),
          { concurrency: "unbounded" },
        ),
      )
      assertWaits(callers)
      yield* idp.faults.release(1)
      yield* settle
      yield* idp.faults.release()
      for (const error of yield* Fiber.join(callers)) assert.isTrue(notFound(error).confirmed)
      // Whoever came after the request had left may have asked once more, all of them together.
      assert.isAtMost(idp.requests, 3)
    }),
  )

  it.effect("takes no earlier request as a proof: whoever joined an earlier flight starts one more", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.holdNext(1)
      yield* TestClock.setTime(start + seconds(570))
      assert.strictEqual(idp.faults.held, 1)
      // The background refresh has left with the old document; the rotation comes after it.
      const { kid } = yield* idp.keys.rotate()
      const caller = yield* begin(resolve(kid))
      assertWaits(caller)
      assert.strictEqual(idp.requests, 2)
      yield* idp.faults.release()
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).kid, kid)
      assert.strictEqual(idp.requests, 3)
      assert.strictEqual(idp.log[2]?.headers["cache-control"], "no-cache")
    }),
  )

  it.effect("takes the answer of an earlier flight, if it holds the key", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      const { kid } = yield* idp.keys.rotate()
      yield* idp.faults.holdNext(1)
      yield* TestClock.setTime(start + seconds(570))
      const caller = yield* begin(resolve(kid))
      yield* idp.faults.release()
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).kid, kid)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("starts one more flight, not two, and shares it", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.hold
      yield* TestClock.setTime(start + seconds(570))
      const callers = yield* begin(
        Effect.all(
          Array.from({ length: 50 }, (_, i) => Effect.flip(resolve(`ghost-${i}`))),
          { concurrency: "unbounded" },
        ),
      )
      yield* idp.faults.release(1)
      yield* idp.faults.awaitHeld(1)
      assertWaits(callers)
      yield* idp.faults.release()
      for (const error of yield* answerAtOnce(Fiber.join(callers))) assert.isTrue(notFound(error).confirmed)
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("takes the second flight as a proof for everybody who joined the first, however soon it is over", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.holdNext(1)
      yield* TestClock.setTime(start + seconds(570))
      const callers = yield* begin(
        Effect.all(
          Array.from({ length: 50 }, (_, i) => Effect.flip(resolve(`ghost-${i}`))),
          { concurrency: "unbounded" },
        ),
      )
      yield* idp.faults.release()
      for (const error of yield* answerAtOnce(Fiber.join(callers))) assert.isTrue(notFound(error).confirmed)
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("confirms nothing without a token for the second flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({ registration: { kidRefresh: { burst: 1, every: "1 hour" } } })
      yield* errorAtOnce(resolve("spent"))
      yield* idp.faults.holdNext(1)
      yield* TestClock.setTime(start + seconds(570))
      const { kid } = yield* idp.keys.rotate()
      const caller = yield* begin(Effect.flip(resolve(kid)))
      yield* idp.faults.release()
      const { confirmed, retryAfterMillis } = notFound(yield* answerAtOnce(Fiber.join(caller)))
      assert.deepStrictEqual([confirmed, retryAfterMillis], [false, seconds(3_600 - 570)])
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect.each([
    { change: { use: "enc" }, reason: "NotForSignatures" },
    { change: { key_ops: ["encrypt"] }, reason: "NotForSignatures" },
    { change: { crv: "secp256k1" }, reason: "UnsupportedCurve" },
    { change: { kty: "XYZ" }, reason: "UnsupportedKeyType" },
    { change: { alg: "none" }, reason: "AlgorithmMismatch" },
    { change: { alg: "HS256" }, reason: "AlgorithmMismatch" },
    { change: { alg: "ES512" }, reason: "AlgorithmMismatch" },
    { change: { d: "AQ" }, reason: "PrivateKey" },
    { change: { x: "AQ" }, reason: "InvalidPoint" },
    { change: { x: "?" }, reason: "InvalidEncoding" },
  ] as const)("says why a published key can not be used, without a flight: $reason", ({ change, reason }) =>
    Effect.gen(function* () {
      const [good, bad] = staticKeys(2)
      const { idp, resolve } = yield* setUpLoaded({
        before: (idp) => idp.keys.publishRaw({ keys: [good, { ...bad, ...change }] }),
      })
      assert.strictEqual(notFound(yield* errorAtOnce(resolve("static-2"))).dropped, reason)
      assert.strictEqual(notFound(yield* errorAtOnce(resolve("static-2"))).dropped, reason)
      yield* answerAtOnce(resolve("static-1"))
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("says that the key does not fit the alg, without a flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      assert.strictEqual(
        notFound(yield* errorAtOnce(resolve(undefined, { alg: "RS256" }))).dropped,
        "AlgorithmMismatch",
      )
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("forgets the absences when the set changes, and keeps them when it does not", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded({ registration: { negativeCacheTtl: "10 minutes" } })
      yield* errorAtOnce(resolve("ghost"))
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      yield* errorAtOnce(resolve("ghost"))
      assert.strictEqual(idp.requests, 3)
      yield* idp.keys.rotate()
      assert.strictEqual((yield* refresh)._tag, "Updated")
      assert.isTrue(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      assert.strictEqual(idp.requests, 5)
    }),
  )

  it.effect("finds a kid that was proven absent as soon as a refresh has brought it", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded({ registration: { negativeCacheTtl: "10 minutes" } })
      yield* errorAtOnce(resolve("coming"))
      yield* idp.keys.add({ kid: "coming" })
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve("coming"))).kid, "coming")
    }),
  )

  it.effect("remembers 1,024 kids, and not more", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({
        provider: { response: { cacheControl: "max-age=86400" } },
        registration: { negativeCacheTtl: "1 day", kidRefresh: { burst: 1, every: "1 second" }, defaultTtl: "1 day" },
      })
      const askAll = Effect.fnUntraced(function* (from: number, to: number) {
        const before = idp.requests
        for (let i = from; i < to; i += 1) {
          yield* TestClock.adjust("1 second")
          yield* Effect.flip(resolve(`ghost-${i}`))
        }
        return idp.requests - before
      })
      assert.strictEqual(yield* askAll(0, 1_024), 1_024)
      assert.strictEqual(yield* askAll(0, 1_024), 0)
      assert.strictEqual(yield* askAll(1_024, 1_100), 76)
      assert.isAtLeast(yield* askAll(0, 1_100), 76)
    }),
  )

  it.effect("does not ask for a kid on a stale set while the provider is down", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(20))
      const requests = idp.requests
      assert.isFalse(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      assert.strictEqual(idp.requests, requests)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("counts kids of one provider only", () =>
    Effect.gen(function* () {
      const { idp, registry, resolve } = yield* aTokenlessBucket()
      yield* registry.register({ tenant: "acme", provider: "second", jwksUrl: idp.jwksUrl })
      yield* registry.resolve("acme", "second")
      assert.isFalse(notFound(yield* errorAtOnce(resolve("ghost"))).confirmed)
      const error = yield* errorAtOnce(registry.resolveKey("acme", "ghost", { provider: "second" }))
      assert.isTrue(notFound(error).confirmed)
    }),
  )

  it.effect("100,000 unknown kids in a minute cause 4 requests, and valid tokens pass all the while", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      setFlagsFromString("--expose-gc")
      const collectGarbage = runInNewContext("gc") as () => void
      const padding = "x".repeat(200)
      const flood = Effect.fnUntraced(function* (from: number, to: number) {
        for (let i = from; i < to; i += 1) {
          // A fresh string each time: a kid that is kept keeps its text.
          notFound(yield* Effect.flip(resolve(`${padding}${i}`.slice(0))))
          if (i % 1_000 === 999) {
            yield* resolve()
            yield* TestClock.adjust("600 millis")
          }
        }
      })
      yield* flood(0, 10_000)
      collectGarbage()
      const before = process.memoryUsage().heapUsed
      yield* flood(10_000, 100_000)
      collectGarbage()
      const grown = process.memoryUsage().heapUsed - before
      // 2 at once, one after 30 s and one after 60 s.
      assert.strictEqual(
        yield* Effect.map(
          Effect.clockWith((clock) => clock.currentTimeMillis),
          (now) => now - start,
        ),
        minutes(1),
      )
      assert.isAtLeast(idp.requests, 1 + 3)
      assert.isAtMost(idp.requests, 1 + 4)
      // Kept kids would take more than 20 MB.
      assert.isBelow(grown, 5_000_000)
    }),
  )
})
