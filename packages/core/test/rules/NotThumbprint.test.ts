/**
 * `notThumbprint`: the signature check with that key failed; look once for another key under this kid,
 * on the same budget as an unknown kid.
 */
import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, assertWaits, begin, errorAtOnce, setUpLoaded, type SetUp } from "./support.ts"

const [first, second, another] = staticKeys(3).map((key) => ({ ...key, kid: "1" }))

/** A provider that held `first` under kid 1 when it was last asked. */
const loaded = Effect.fnUntraced(function* (how: SetUp = {}) {
  const world = yield* setUpLoaded({ ...how, before: (idp) => idp.keys.publishRaw({ keys: [first] }) })
  const { thumbprint } = yield* world.resolve("1")
  return {
    ...world,
    thumbprint,
    publish: (...keys: ReadonlyArray<unknown>) => world.idp.keys.publishRaw({ keys }),
    look: world.resolve("1", { notThumbprint: thumbprint }),
  }
})

describe("notThumbprint", () => {
  it.effect("finds the key that the kid names now, with one forced revalidation", () =>
    Effect.gen(function* () {
      const { idp, look, publish, resolve } = yield* loaded()
      yield* publish(second)
      assert.strictEqual((yield* answerAtOnce(look)).jwk.x, second?.x)
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual(idp.log[1]?.headers["cache-control"], "no-cache")
      assert.strictEqual((yield* answerAtOnce(resolve("1"))).jwk.x, second?.x)
    }),
  )

  it.effect("asks nobody where the held set has another key already", () =>
    Effect.gen(function* () {
      const { idp, look, publish, refresh } = yield* loaded()
      yield* publish(second)
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(look)).jwk.x, second?.x)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("tells two keys of one kid apart without a flight", () =>
    Effect.gen(function* () {
      const { idp, look, publish, refresh, resolve } = yield* loaded()
      yield* publish(first, second)
      yield* refresh
      assert.deepInclude(yield* errorAtOnce(resolve("1")), { _tag: "KeyAmbiguous" })
      assert.strictEqual((yield* answerAtOnce(look)).jwk.x, second?.x)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("is ambiguous where two others are left", () =>
    Effect.gen(function* () {
      const { look, publish, refresh } = yield* loaded()
      yield* publish(first, second, another)
      yield* refresh
      const error = yield* errorAtOnce(look)
      if (error._tag === "KeyAmbiguous") assert.lengthOf(error.thumbprints, 2)
      else assert.fail(error._tag)
    }),
  )

  it.effect("confirms that there is no other key, and remembers that", () =>
    Effect.gen(function* () {
      const { idp, look } = yield* loaded()
      assert.deepInclude(yield* errorAtOnce(look), { _tag: "KeyNotFound", kid: "1", confirmed: true })
      assert.deepInclude(yield* errorAtOnce(look), { _tag: "KeyNotFound", confirmed: true })
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("does not hide the key from callers who have no complaint", () =>
    Effect.gen(function* () {
      const { look, resolve } = yield* loaded()
      yield* errorAtOnce(look)
      assert.strictEqual((yield* answerAtOnce(resolve("1"))).jwk.x, first?.x)
    }),
  )

  it.effect("spends the same budget as unknown kids", () =>
    Effect.gen(function* () {
      const { idp, look, resolve } = yield* loaded()
      yield* errorAtOnce(resolve("a"))
      yield* errorAtOnce(resolve("b"))
      const error = yield* errorAtOnce(look)
      assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: false })
      assert.isAbove(error._tag === "KeyNotFound" ? (error.retryAfterMillis ?? 0) : 0, 0)
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("a flood of bad signatures causes no more than the budget", () =>
    Effect.gen(function* () {
      const { idp, look } = yield* loaded()
      for (let i = 0; i < 60; i += 1) {
        for (let n = 0; n < 20; n += 1) yield* Effect.flip(look)
        yield* TestClock.adjust("1 second")
      }
      assert.isAtMost(idp.requests, 1 + 2 + 2)
    }),
  )

  it.effect("does not confirm what it could not ask", () =>
    Effect.gen(function* () {
      const { idp, look } = yield* loaded()
      yield* idp.faults.status(503)
      assert.deepInclude(yield* errorAtOnce(look), { _tag: "KeyNotFound", confirmed: false })
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("joins the flight under way, and shares one among callers", () =>
    Effect.gen(function* () {
      const { idp, look, publish } = yield* loaded()
      yield* idp.faults.hold
      yield* publish(second)
      const callers = yield* begin(
        Effect.all(
          Array.from({ length: 100 }, () => look),
          { concurrency: "unbounded" },
        ),
      )
      assertWaits(callers)
      yield* idp.faults.release()
      for (const key of yield* answerAtOnce(Fiber.join(callers))) assert.strictEqual(key.jwk.x, second?.x)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("finds a key that was proven the only one before, once a refresh has brought it", () =>
    Effect.gen(function* () {
      const { look, publish, refresh } = yield* loaded({ registration: { negativeCacheTtl: "10 minutes" } })
      yield* errorAtOnce(look)
      yield* publish(second)
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(look)).jwk.x, second?.x)
    }),
  )

  it.effect("of a key that the provider never had changes nothing", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* loaded()
      const key = yield* answerAtOnce(resolve("1", { notThumbprint: "some-other-key" }))
      assert.strictEqual(key.jwk.x, first?.x)
      assert.strictEqual(idp.requests, 1)
    }),
  )
})
