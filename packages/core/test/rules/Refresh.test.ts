import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, assertWaits, begin, minutes, seconds, setUp, setUpLoaded, start } from "./support.ts"

describe("refresh revalidates now, or joins the flight under way", () => {
  it.effect("says what was added, removed and changed under one kid, by thumbprint", () =>
    Effect.gen(function* () {
      const [a, b, c, d] = staticKeys(4)
      const { idp, refresh, resolve } = yield* setUpLoaded({
        before: (idp) => idp.keys.publishRaw({ keys: [a, b, { ...c, kid: "moves" }] }),
      })
      const thumbprintOf = (kid: string) => Effect.map(resolve(kid), ({ thumbprint }) => thumbprint)
      const [removed, from] = [yield* thumbprintOf("static-2"), yield* thumbprintOf("moves")]
      yield* TestClock.adjust("1 minute")
      const e = staticKeys(1, { from: 5 })[0]
      yield* idp.keys.publishRaw({ keys: [a, { ...d, kid: "moves" }, e] })
      const outcome = yield* answerAtOnce(refresh)
      const [added, to] = [yield* thumbprintOf("static-5"), yield* thumbprintOf("moves")]
      assert.strictEqual(outcome._tag, "Updated")
      if (outcome._tag !== "Updated") return
      assert.strictEqual(outcome.expiresAt, start + minutes(11))
      assert.deepStrictEqual([...outcome.changed], [{ kid: "moves", from, to }])
      assert.include(outcome.added, added)
      assert.include(outcome.removed, removed)
      // Whether a key that changed hands also counts as added and removed is left open.
      assert.deepStrictEqual(
        [...outcome.added].filter((thumbprint) => thumbprint !== to),
        [added],
      )
      assert.deepStrictEqual(
        [...outcome.removed].filter((thumbprint) => thumbprint !== from),
        [removed],
      )
    }),
  )

  it.effect("says NotModified for a 304, with the new expiry", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* answerAtOnce(refresh), { _tag: "NotModified", expiresAt: start + minutes(11) })
      assert.strictEqual(idp.notModified, 1)
    }),
  )

  it.effect("names no change where a 200 brings the same keys", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded({ provider: { response: { etag: "none", lastModified: false } } })
      const outcome = yield* answerAtOnce(refresh)
      assert.strictEqual(idp.ok, 2)
      if (outcome._tag === "Updated") {
        assert.deepStrictEqual([outcome.added, outcome.removed, outcome.changed], [[], [], []])
      }
    }),
  )

  it.effect("counts every key of the first set as added", () =>
    Effect.gen(function* () {
      const { refresh } = yield* setUp({
        before: (idp) => idp.keys.publishRaw({ keys: staticKeys(5) }),
        registration: { warm: false },
      })
      const outcome = yield* answerAtOnce(refresh)
      assert.deepInclude(outcome, { _tag: "Updated", expiresAt: start + minutes(10) })
      if (outcome._tag === "Updated") assert.lengthOf(outcome.added, 5)
    }),
  )

  it.effect("asks long before the refresh point, and sends Cache-Control: no-cache", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      yield* refresh
      yield* refresh
      assert.strictEqual(idp.requests, 3)
      assert.deepStrictEqual(
        idp.log.map(({ headers }) => headers["cache-control"]),
        [undefined, "no-cache", "no-cache"],
      )
    }),
  )

  it.effect("joins the background refresh", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      yield* idp.faults.hold
      yield* TestClock.setTime(start + seconds(570))
      const caller = yield* begin(refresh)
      assertWaits(caller)
      yield* idp.faults.release()
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller)))._tag, "NotModified")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("fails with what went wrong, and leaves the set alone", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(403)
      const error = yield* Effect.flip(refresh)
      assert.deepInclude(error, { _tag: "JwksUnavailable", tenant: "acme", provider: "idp" })
      if (error._tag === "JwksUnavailable") {
        assert.deepStrictEqual(error.reason, { _tag: "HttpStatus", url: idp.jwksUrl, status: 403 })
      }
      yield* answerAtOnce(resolve())
    }),
  )

  it.effect("takes the attempts of a whole flight", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      yield* idp.faults.status(503, { next: 2 })
      const caller = yield* begin(refresh)
      yield* TestClock.adjust("750 millis")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller)))._tag, "NotModified")
      assert.strictEqual(idp.requests, 4)
    }),
  )

  it.effect("the interruption of its caller does not cancel it", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded()
      yield* TestClock.adjust("1 minute")
      yield* idp.faults.hold
      const caller = yield* begin(refresh)
      yield* Fiber.interrupt(caller)
      yield* idp.faults.release()
      yield* begin(Effect.void)
      assert.strictEqual((yield* status).fetchedAt, start + minutes(1))
      assert.strictEqual(idp.abandoned, 0)
    }),
  )

  it.effect("brings back a provider that was idle", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded({ options: { idleAfter: "5 minutes" } })
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1)
      yield* refresh
      assert.isTrue((yield* status).usable)
    }),
  )
})
