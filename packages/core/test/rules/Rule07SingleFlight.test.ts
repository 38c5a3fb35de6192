import { assert, describe, it } from "@effect/vitest"
import type { ResolveError } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  minutes,
  openClosableRegistry,
  openRegistry,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
} from "./support.ts"

const together = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>) =>
  Effect.all(
    Array.from({ length: count }, () => effect),
    { concurrency: "unbounded" },
  )

describe("Rule 7: any number of callers share one flight per provider", () => {
  it.effect("10,000 cold callers cause exactly one request", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hold })
      const callers = yield* begin(together(10_000, resolve()))
      assertWaits(callers)
      yield* idp.faults.release()
      const keys = yield* Fiber.join(callers)
      assert.lengthOf(keys, 10_000)
      assert.strictEqual(new Set(keys).size, 1)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect(
    "10,000 cold callers at a provider that answers at once, and that nobody has warmed, cause exactly one request",
    () =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({ registration: { warm: false } })
        yield* together(10_000, resolve())
        assert.strictEqual(idp.requests, 1)
      }),
  )

  it.effect("the failure of a flight is shared too", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        before: ({ faults }) => Effect.andThen(faults.hold, faults.status(404)),
      })
      const callers = yield* begin(together(1_000, Effect.flip(resolve())))
      assertWaits(callers)
      yield* idp.faults.release()
      const errors = yield* answerAtOnce(Fiber.join(callers))
      assert.lengthOf(errors, 1_000)
      for (const { _tag } of errors) assert.strictEqual(_tag, "JwksUnavailable")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("callers of resolveKey, resolve and refresh meet in one flight", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve, resolveSet } = yield* setUp({ before: (idp) => idp.faults.hold })
      const callers = [
        yield* begin(Effect.asVoid(resolve())),
        yield* begin(Effect.asVoid(resolveSet)),
        yield* begin(Effect.asVoid(refresh)),
      ]
      yield* idp.faults.release()
      for (const caller of callers) yield* answerAtOnce(Fiber.join<void, unknown>(caller))
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("each provider has a flight of its own", () =>
    Effect.gen(function* () {
      const { idp, registry, resolve } = yield* setUp({ before: (idp) => idp.faults.hold })
      yield* registry.register({ tenant: "other", provider: "idp", jwksUrl: idp.jwksUrl })
      const callers = yield* Effect.all([begin(resolve()), begin(registry.resolve("other", "idp"))])
      assert.strictEqual(idp.faults.held, 2)
      yield* idp.faults.release()
      yield* Fiber.joinAll(callers)
    }),
  )

  it.effect("the interruption of the caller who started the flight does not cancel it", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hold, registration: { warm: false } })
      const first = yield* begin(resolve())
      const second = yield* begin(resolve())
      assert.strictEqual(idp.requests, 1)
      yield* Fiber.interrupt(first)
      assertWaits(second)
      assert.strictEqual(idp.abandoned, 0)
      yield* idp.faults.release()
      assert.strictEqual((yield* Fiber.join(second)).freshness, "fresh")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("the interruption of every caller does not cancel it, and leaves nothing stuck", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* setUp({
        before: (idp) => idp.faults.hold,
        registration: { warm: false },
      })
      const callers = yield* begin(together(100, resolve()))
      yield* Fiber.interrupt(callers)
      assert.strictEqual((yield* status).state, "Loading")
      yield* idp.faults.release()
      yield* settle
      assert.strictEqual((yield* status).state, "Ready")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.deepStrictEqual([idp.requests, idp.abandoned], [1, 0])
    }),
  )

  it.effect("a caller's timeout ends the caller's wait alone", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.hold })
      const caller = yield* begin(
        Effect.timeoutOrElse(resolve(), { duration: "100 millis", orElse: () => Effect.succeed("gave up") }),
      )
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* answerAtOnce(Fiber.join(caller)), "gave up")
      yield* idp.faults.release()
      assert.strictEqual((yield* resolve()).fetchedAt, start + 100)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("a flight that failed while nobody waited is followed by the next one", () =>
    Effect.gen(function* () {
      const { resolve, status } = yield* setUp({ before: (idp) => idp.faults.status(404, { next: 1 }) })
      yield* settle
      assert.strictEqual((yield* status).state, "Empty")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )
})

describe("Rule 7: closing the layer ends the flights, and every waiter gets a typed error", () => {
  it.effect("cold waiters of every kind get RegistryClosed, and the request is given up", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      yield* idp.faults.hang()
      const { close, registry } = yield* openClosableRegistry([idp])
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      const waiting = [
        yield* begin(Effect.flip(registry.resolveKey("acme", "1"))),
        yield* begin(Effect.flip(registry.resolveKey("acme", "1", { provider: "idp" }))),
        yield* begin(Effect.flip(registry.resolve("acme", "idp"))),
        yield* begin(Effect.flip(registry.refresh("acme", "idp"))),
      ]
      for (const fiber of waiting) assertWaits(fiber)
      yield* close
      for (const fiber of waiting) {
        const error = yield* answerAtOnce(Fiber.join<ResolveError, unknown>(fiber))
        assert.strictEqual(error._tag, "JwksUnavailable")
        if (error._tag === "JwksUnavailable") assert.deepStrictEqual(error.reason, { _tag: "RegistryClosed" })
      }
      yield* idp.awaitAbandoned(1)
    }),
  )

  it.effect("10,000 waiters get theirs", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      yield* idp.faults.hang()
      const { close, registry } = yield* openClosableRegistry([idp])
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      const waiting = yield* begin(together(10_000, Effect.flip(registry.resolve("acme", "idp"))))
      yield* close
      assert.lengthOf(yield* answerAtOnce(Fiber.join(waiting)), 10_000)
    }),
  )

  it.effect("waiters for a permit and waiters between two attempts get theirs", () =>
    Effect.gen(function* () {
      const [hanging, queued, retrying] = yield* Effect.all([
        ScriptedProvider.make({ issuer: "https://hanging.test" }),
        ScriptedProvider.make({ issuer: "https://queued.test" }),
        ScriptedProvider.make({ issuer: "https://retrying.test" }),
      ])
      yield* retrying.faults.status(503)
      const { close, registry } = yield* openClosableRegistry([hanging, queued, retrying], { maxConcurrentFetches: 1 })
      const retryPolicy = { initialBackoff: "2 seconds", jitter: "none" } as const
      yield* registry.register({ tenant: "a", provider: "retrying", jwksUrl: retrying.jwksUrl, retryPolicy })
      yield* settle
      yield* hanging.faults.hang()
      yield* registry.register({ tenant: "b", provider: "hanging", jwksUrl: hanging.jwksUrl })
      yield* hanging.awaitRequests(1)
      yield* registry.register({ tenant: "c", provider: "queued", jwksUrl: queued.jwksUrl })
      const waiting = yield* Effect.all([
        begin(Effect.flip(registry.resolve("a", "retrying"))),
        begin(Effect.flip(registry.resolve("c", "queued"))),
      ])
      for (const fiber of waiting) assertWaits(fiber)
      assert.deepStrictEqual([retrying.requests, queued.requests], [1, 0])
      yield* close
      for (const fiber of waiting) {
        assert.deepInclude(yield* answerAtOnce(Fiber.join(fiber)), { _tag: "JwksUnavailable" })
      }
      // A permit that comes back at the close starts nothing any more.
      assert.deepStrictEqual([retrying.requests, queued.requests], [1, 0])
    }),
  )

  it.effect("later calls get RegistryClosed, cold and warm, and cause no request", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      const { close, registry } = yield* openClosableRegistry([idp])
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      yield* registry.register({ tenant: "acme", provider: "cold", jwksUrl: idp.jwksUrl, warm: false })
      const { kid } = idp.keys.current
      yield* registry.resolveKey("acme", kid, { provider: "idp" })
      yield* close
      const requests = idp.requests
      const errors = yield* Effect.all([
        errorAtOnce(registry.resolve("acme", "cold")),
        errorAtOnce(registry.resolveKey("acme", kid, { provider: "cold" })),
        errorAtOnce(registry.resolveKey("acme", kid, { provider: "idp" })),
        errorAtOnce(registry.resolveKey("acme", kid)),
        errorAtOnce(registry.resolve("acme", "idp")),
        errorAtOnce(registry.refresh("acme", "idp")),
      ])
      for (const error of errors) {
        assert.strictEqual(error._tag, "JwksUnavailable")
        if (error._tag === "JwksUnavailable") assert.deepStrictEqual(error.reason, { _tag: "RegistryClosed" })
      }
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, requests)
    }),
  )

  it.effect("ends warmUp, which waits for a provider that hangs", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      yield* idp.faults.hang()
      const { close, registry } = yield* openClosableRegistry([idp])
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      const warming = yield* begin(registry.warmUp({ timeout: "1 hour" }))
      assertWaits(warming)
      yield* close
      const results = yield* answerAtOnce(Fiber.join(warming))
      assert.notStrictEqual(results[0]?.outcome, "usable")
    }),
  )
})

describe("Rule 7: a late answer never overwrites a newer one", () => {
  it.effect("the answer of an older generation is ignored", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve } = yield* setUp({ before: (idp) => idp.faults.holdNext(1) })
      const old = idp.keys.current
      yield* idp.faults.awaitHeld(1)
      yield* idp.keys.rotate({ keepOld: false })
      yield* registerAgain({ jwksUrl: `${idp.jwksUrl}?v=2` })
      assert.strictEqual((yield* resolve()).kid, idp.keys.current.kid)
      yield* idp.faults.release()
      yield* settle
      assert.strictEqual((yield* answerAtOnce(resolve())).kid, idp.keys.current.kid)
      const error = yield* errorAtOnce(resolve(old.kid))
      assert.strictEqual(error._tag, "KeyNotFound")
    }),
  )

  it.effect("an attempt that timed out brings nothing any more", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.delay("5 seconds", { next: 1 }) })
      const old = idp.keys.current
      yield* idp.faults.awaitMet(1)
      yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve())).kid, idp.keys.current.kid)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve())).kid, idp.keys.current.kid)
      assert.strictEqual((yield* errorAtOnce(resolve(old.kid)))._tag, "KeyNotFound")
    }),
  )

  it.effect("two registries do not share a flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      const other = yield* openRegistry([idp])
      yield* other.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      yield* other.resolve("acme", "idp")
      yield* resolve()
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("a flood of refreshes at the moment of expiry is one request", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      yield* TestClock.setTime(start + minutes(10) - seconds(30) - 1)
      yield* idp.faults.hold
      const callers = yield* begin(together(500, refresh))
      yield* TestClock.adjust("2 seconds")
      yield* answerAtOnce(resolve())
      yield* idp.faults.release()
      yield* Fiber.join(callers)
      assert.strictEqual(idp.requests, 2)
    }),
  )
})
