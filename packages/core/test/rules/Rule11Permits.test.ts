import { assert, describe, it } from "@effect/vitest"
import type { JwksRegistryOptions, ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider, type IdentityProvider } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  openRegistry,
  seconds,
  settle,
  start,
  withRandom,
} from "./support.ts"

/** Two providers behind one registry: one for registrations that do well, one for those that do not. */
const setUp = Effect.fnUntraced(function* (options?: JwksRegistryOptions) {
  yield* TestClock.setTime(start)
  const healthy = yield* ScriptedProvider.make({ issuer: "https://healthy.test", keptRequests: 1_000 })
  const sick = yield* ScriptedProvider.make({ issuer: "https://sick.test", keptRequests: 10_000 })
  const registry = yield* openRegistry([healthy, sick], options)
  const at = (idp: IdentityProvider) => (tenant: string, provider: string, more?: Partial<ProviderRegistration>) =>
    registry.register({ tenant, provider, jwksUrl: `${idp.jwksUrl}?${tenant}/${provider}`, ...more })
  return { healthy, sick, registry, registerHealthy: at(healthy), registerSick: at(sick) }
})

/** Requests that are under way. */
const underWay = (idp: IdentityProvider): number =>
  idp.log.filter(({ status }) => status === undefined).length - idp.abandoned

/** Whose requests arrived, in order. */
const order = (idp: IdentityProvider): ReadonlyArray<string> => idp.log.map(({ url }) => new URL(url).search.slice(1))

const cold = { warm: false }

describe("Rule 11: at most maxConcurrentFetches attempts upstream", () => {
  it.effect.each([1, 2, 3, 4, 7, 16])("%d at a time, whatever the number of tenants", (maxConcurrentFetches) =>
    Effect.gen(function* () {
      const { registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches })
      yield* sick.faults.hold
      for (let i = 0; i < 40; i += 1) yield* registerSick(`tenant-${i}`, "idp")
      yield* settle
      assert.strictEqual(sick.faults.held, maxConcurrentFetches)
      yield* sick.faults.release()
      yield* settle
      for (const { state } of yield* registry.allStatuses) assert.strictEqual(state, "Ready")
    }),
  )

  it.effect("16 by default", () =>
    Effect.gen(function* () {
      const { registerSick, sick } = yield* setUp()
      yield* sick.faults.hold
      for (let i = 0; i < 40; i += 1) yield* registerSick(`tenant-${i}`, "idp")
      yield* settle
      assert.strictEqual(sick.faults.held, 16)
    }),
  )

  it.effect.each([
    [16, 4],
    [8, 2],
    [4, 1],
    [2, 1],
    [1, 1],
  ] as const)("of %d permits one tenant holds at most a quarter: %d", ([maxConcurrentFetches, quarter]) =>
    Effect.gen(function* () {
      const { registerSick, sick } = yield* setUp({ maxConcurrentFetches })
      yield* sick.faults.hold
      for (let i = 0; i < 12; i += 1) yield* registerSick("greedy", `idp-${i}`)
      yield* settle
      assert.strictEqual(sick.faults.held, quarter)
      if (maxConcurrentFetches > quarter) {
        yield* registerSick("modest", "idp")
        yield* settle
        assert.strictEqual(sick.faults.held, quarter + 1)
      }
      yield* sick.faults.release()
      yield* settle
      assert.strictEqual(sick.requests, maxConcurrentFetches > quarter ? 13 : 12)
    }),
  )

  it.effect("a permit is held per attempt, never over a back-off", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* sick.faults.status(503)
      yield* registerSick("a", "idp", { retryPolicy: { initialBackoff: "2 seconds", jitter: "none" } })
      yield* settle
      assert.strictEqual(sick.requests, 1)
      yield* registerHealthy("b", "idp", cold)
      yield* answerAtOnce(registry.resolve("b", "idp"))
      assert.strictEqual(healthy.requests, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(sick.requests, 2)
    }),
  )

  it.effect("a permit comes back from every kind of end", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      const retryPolicy = { maxRetries: 0 }
      const ends = [
        sick.faults.status(500),
        sick.faults.refuse(),
        sick.faults.resetMidway(),
        sick.faults.oversized(Infinity),
        sick.faults.body("{"),
        sick.faults.hang(),
        sick.faults.redirect("/elsewhere"),
      ]
      for (const [i, end] of ends.entries()) {
        yield* sick.faults.heal
        yield* end
        yield* registerSick(`tenant-${i}`, "idp", { ...cold, retryPolicy })
        const caller = yield* begin(Effect.exit(registry.resolve(`tenant-${i}`, "idp")))
        yield* TestClock.adjust("3 seconds")
        yield* answerAtOnce(Fiber.join(caller))
        yield* registry.unregister(`tenant-${i}`, "idp")
      }
      // And from a flight whose provider was unregistered under way.
      yield* sick.faults.heal
      yield* sick.faults.hang()
      yield* registerSick("gone", "idp")
      yield* settle
      yield* registry.unregister("gone", "idp")
      yield* registerHealthy("b", "idp", cold)
      yield* answerAtOnce(registry.resolve("b", "idp"))
      assert.strictEqual(healthy.requests, 1)
    }),
  )
})

describe("Rule 11: callers who wait go before background work", () => {
  it.effect.each([1, 4, 16])("with %d permits: a caller overtakes warm-ups that came before", (maxConcurrentFetches) =>
    Effect.gen(function* () {
      const { registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches })
      yield* sick.faults.hold
      for (let i = 0; i < maxConcurrentFetches; i += 1) yield* registerSick(`first-${i}`, "idp")
      yield* settle
      for (let i = 0; i < 5; i += 1) yield* registerSick(`background-${i}`, "idp")
      yield* settle
      yield* registerSick("waited-for", "idp", cold)
      const caller = yield* begin(registry.resolve("waited-for", "idp"))
      assert.strictEqual(sick.requests, maxConcurrentFetches)
      yield* sick.faults.release(1)
      yield* settle
      assert.strictEqual(order(sick).at(-1), "waited-for/idp")
      yield* sick.faults.release()
      yield* Fiber.join(caller)
    }),
  )

  it.effect("a caller who joins a queued warm-up takes it to the front", () =>
    Effect.gen(function* () {
      const { registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* sick.faults.hold
      yield* registerSick("first", "idp")
      yield* settle
      for (let i = 0; i < 5; i += 1) yield* registerSick(`background-${i}`, "idp")
      yield* settle
      const caller = yield* begin(registry.resolve("background-3", "idp"))
      yield* sick.faults.release(1)
      yield* settle
      assert.strictEqual(order(sick).at(-1), "background-3/idp")
      yield* sick.faults.release()
      yield* Fiber.join(caller)
    }),
  )
})

describe("Rule 11: a flight that got no permit is not the provider's failure", () => {
  it.effect("says NoPermit at its deadline, remembers nothing, and gets its turn later", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* sick.faults.hang({ next: 1 })
      yield* registerSick("a", "idp", {
        retryPolicy: { attemptTimeout: "12 seconds", deadline: "12 seconds", maxRetries: 0 },
      })
      yield* settle
      yield* registerHealthy("b", "idp", cold)
      const caller = yield* begin(Effect.flip(registry.resolve("b", "idp")))
      yield* TestClock.adjust("7999 millis")
      assertWaits(caller)
      yield* TestClock.adjust("1 millis")
      const error = yield* answerAtOnce(Fiber.join(caller))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") {
        assert.deepStrictEqual(error.reason, { _tag: "NoPermit", waitedMillis: seconds(8) })
      }
      assert.isUndefined((yield* registry.providerStatus("b", "idp")).failure)
      // No memory of a failure: the next caller queues, and is served when the permit comes back.
      const next = yield* begin(registry.resolve("b", "idp"))
      assertWaits(next)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(next))).freshness, "fresh")
      assert.strictEqual(healthy.requests, 1)
    }),
  )

  it.effect("does not count as the failed attempt after which rule 3 would serve stale answers to everybody", () =>
    Effect.gen(function* () {
      const { registerHealthy, registerSick, registry, sick, healthy } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* registerHealthy("b", "idp")
      yield* registry.resolve("b", "idp")
      yield* sick.faults.hang({ next: 1 })
      const attemptTimeout = "60 seconds"
      yield* TestClock.setTime(start + seconds(560))
      yield* registerSick("a", "idp", { retryPolicy: { attemptTimeout, deadline: attemptTimeout, maxRetries: 0 } })
      yield* settle
      yield* TestClock.setTime(start + seconds(599))
      const status = yield* registry.providerStatus("b", "idp")
      assert.deepInclude(status, { usable: true, refreshErrors: 0 })
      assert.isUndefined(status.failure)
      yield* TestClock.setTime(start + seconds(640))
      assert.strictEqual((yield* answerAtOnce(registry.resolve("b", "idp"))).freshness, "fresh")
      assert.isAtLeast(healthy.requests, 2)
    }),
  )
})

describe("Rule 11: providers whose last attempt timed out share a quarter of the permits", () => {
  it.effect("30 of 30 tenants that never answer hold 4 of 16, from their second attempt on", () =>
    Effect.gen(function* () {
      const { registerSick, sick } = yield* setUp()
      yield* sick.faults.hang()
      for (let i = 0; i < 30; i += 1) yield* registerSick(`tenant-${i}`, "idp")
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(new Set(order(sick)).size, 30)
      let most = 0
      for (let i = 0; i < 600; i += 1) {
        yield* TestClock.adjust("100 millis")
        most = Math.max(most, underWay(sick))
      }
      assert.strictEqual(most, 4)
    }),
  )

  it.effect("a provider that answers again leaves that quarter", () =>
    Effect.gen(function* () {
      const { registerSick, registry, sick } = yield* setUp()
      yield* sick.faults.hang()
      for (let i = 0; i < 30; i += 1) yield* registerSick(`tenant-${i}`, "idp")
      yield* TestClock.adjust("30 seconds")
      yield* sick.faults.heal
      yield* TestClock.adjust("3 minutes")
      for (const { failure, usable } of yield* registry.allStatuses) {
        assert.isTrue(usable)
        assert.isUndefined(failure)
      }
      yield* sick.faults.hold
      const refreshes = yield* begin(
        Effect.all(
          Array.from({ length: 30 }, (_, i) => registry.refresh(`tenant-${i}`, "idp")),
          { concurrency: "unbounded" },
        ),
      )
      assert.strictEqual(sick.faults.held, 16)
      yield* sick.faults.release()
      yield* Fiber.join(refreshes)
    }),
  )
})

describe("Rule 11: one provider that hangs delays no other", () => {
  const places = { first: 0, "in the middle": 100, last: 200 } as const

  /** 200 providers of 20 tenants that never answer, and a cold one of `ours` that comes after `position` of them. */
  const amongHanging = Effect.fnUntraced(function* (how: {
    readonly position: number
    readonly ours: string
    readonly waiting: boolean
    /** Whether the 200 are known to hang when the cold one comes. */
    readonly known: boolean
  }) {
    const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp()
    yield* sick.faults.hang()
    const registerHanging = (i: number) =>
      registerSick(`tenant-${i % 20}`, `idp-${i}`, how.waiting && !how.known ? cold : {})
    const waitForHanging = (i: number) => Effect.forkChild(registry.resolve(`tenant-${i % 20}`, `idp-${i}`))
    if (how.known) {
      for (let i = 0; i < 200; i += 1) yield* registerHanging(i)
      // Each of them has timed out once by now, and its failure is not remembered any more.
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(new Set(order(sick)).size, 200)
    }
    const ask = Effect.fnUntraced(function* (from: number, to: number) {
      for (let i = from; i < to; i += 1) {
        if (!how.known) yield* registerHanging(i)
        if (how.waiting) yield* waitForHanging(i)
      }
      yield* settle
    })
    yield* ask(0, how.position)
    const asked = yield* Clock.currentTimeMillis
    yield* registerHealthy(how.ours, "ours", cold)
    const caller = yield* begin(Effect.andThen(registry.resolve(how.ours, "ours"), Clock.currentTimeMillis))
    yield* ask(how.position, 200)
    assert.isAtMost(underWay(sick), 16)
    return { caller, healthy, registry, delay: Effect.map(answerAtOnce(Fiber.join(caller)), (at) => at - asked) }
  })

  for (const [place, position] of Object.entries(places)) {
    for (const ours of ["ours", "tenant-7"]) {
      for (const waiting of [true, false]) {
        for (const known of [true, false]) {
          // Nothing tells one of many waiting callers of its tenant from those after it: see below.
          if (ours === "tenant-7" && waiting && !known && place === "in the middle") continue
          const whose = ours === "ours" ? "a tenant of its own" : "one of the 20 tenants"
          const which = `${known ? "known to hang" : "never tried before"}, ${waiting ? "with waiting callers" : "in the background"}`
          it.effect(
            `200 providers of 20 tenants that never answer (${which}) delay a cold one that comes ${place}, in ${whose}, by at most one attemptTimeout`,
            () =>
              Effect.gen(function* () {
                const { delay, healthy } = yield* amongHanging({ position, ours, waiting, known })
                yield* TestClock.adjust("3 seconds")
                assert.isAtMost(yield* delay, seconds(3))
                assert.strictEqual(healthy.requests, 1)
              }),
          )
        }
      }
    }
  }

  it.effect(
    "among 200 that were never tried, with waiting callers, a cold one in one of their tenants that comes in the middle is not lost",
    () =>
      Effect.gen(function* () {
        const { registry } = yield* amongHanging({ position: 100, ours: "tenant-7", waiting: true, known: false })
        yield* TestClock.adjust("30 seconds")
        const again = yield* begin(registry.resolve("tenant-7", "ours"))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* answerAtOnce(Fiber.join(again))).freshness, "fresh")
      }),
  )

  it.effect("once they have timed out they delay nobody at all", () =>
    Effect.gen(function* () {
      const { registerHealthy, registerSick, registry, sick } = yield* setUp()
      yield* sick.faults.hang()
      for (let i = 0; i < 200; i += 1) yield* registerSick(`tenant-${i % 20}`, `idp-${i}`)
      yield* TestClock.adjust("2 minutes")
      for (let i = 0; i < 20; i += 1) {
        yield* TestClock.adjust("777 millis")
        yield* registerHealthy(`late-${i}`, "idp", cold)
        yield* answerAtOnce(registry.resolve(`late-${i}`, "idp"))
      }
    }),
  )

  it.effect("a set that is held stays fresh beside them", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp()
      yield* healthy.respondWith({ cacheControl: "max-age=100" })
      yield* registerHealthy("tenant-7", "ours")
      const { kid } = healthy.keys.current
      yield* registry.resolveKey("tenant-7", kid, { provider: "ours" })
      yield* sick.faults.hang()
      for (let i = 0; i < 200; i += 1) yield* registerSick(`tenant-${i % 20}`, `idp-${i}`)
      for (let i = 0; i < 30; i += 1) {
        yield* TestClock.adjust("10 seconds")
        const { freshness } = yield* answerAtOnce(registry.resolveKey("tenant-7", kid, { provider: "ours" }))
        assert.strictEqual(freshness, "fresh")
      }
      assert.strictEqual(healthy.requests, 1 + 3)
    }),
  )

  it.effect("an unknown kid of a healthy provider is looked up beside them", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp()
      yield* registerHealthy("ours", "ours")
      yield* registry.resolve("ours", "ours")
      yield* sick.faults.hang()
      for (let i = 0; i < 200; i += 1) yield* registerSick(`tenant-${i % 20}`, `idp-${i}`)
      yield* TestClock.adjust("2 minutes")
      const { kid } = yield* healthy.keys.rotate()
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("ours", kid, { provider: "ours" }))).kid, kid)
    }),
  )

  it.effect("one that hangs and is asked for all the time delays nobody", () =>
    Effect.gen(function* () {
      const { registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 4 })
      yield* sick.faults.hang()
      yield* registerSick("a", "sick")
      for (let i = 0; i < 30; i += 1) {
        yield* Effect.forkChild(Effect.exit(registry.resolve("a", "sick")))
        yield* TestClock.adjust("1 second")
        yield* registerHealthy(`b-${i}`, "idp", cold)
        yield* answerAtOnce(registry.resolve(`b-${i}`, "idp"))
      }
    }),
  )

  it.effect("one flight holds one permit, however many wait for it", () =>
    Effect.gen(function* () {
      const { healthy, registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 4 })
      yield* sick.faults.hang()
      yield* registerSick("a", "sick")
      const callers = yield* Effect.forEach(Array.from({ length: 1_000 }), () =>
        Effect.forkChild(Effect.exit(registry.resolve("a", "sick"))),
      )
      yield* settle
      yield* registerHealthy("b", "idp", cold)
      yield* answerAtOnce(registry.resolve("b", "idp"))
      assert.deepStrictEqual([sick.requests, healthy.requests], [1, 1])
      yield* Fiber.interruptAll(callers)
    }),
  )

  it.effect("slow ones that answer in the end do not starve the others either", () =>
    Effect.gen(function* () {
      const { registerHealthy, registerSick, registry, sick } = yield* setUp()
      yield* sick.faults.delay("2900 millis")
      for (let i = 0; i < 200; i += 1) yield* registerSick(`tenant-${i % 20}`, `idp-${i}`)
      yield* settle
      yield* registerHealthy("ours", "idp", cold)
      const caller = yield* begin(registry.resolve("ours", "idp"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "fresh")
    }),
  )

  it.effect("a deadline includes queueing", () =>
    Effect.gen(function* () {
      const { registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* sick.faults.hang()
      yield* registerSick("a", "idp", { retryPolicy: { attemptTimeout: "6 seconds", deadline: "6 seconds" } })
      yield* settle
      yield* registerSick("b", "idp", cold)
      const caller = yield* begin(Effect.flip(registry.resolve("b", "idp")))
      yield* TestClock.adjust("7999 millis")
      assertWaits(caller)
      yield* TestClock.adjust("1 millis")
      const error = yield* answerAtOnce(Fiber.join(caller))
      assert.strictEqual(error._tag, "JwksUnavailable")
    }).pipe(withRandom(0.5)),
  )

  it.effect("a permit that somebody waits for in vain is not lost", () =>
    Effect.gen(function* () {
      const { registerHealthy, registerSick, registry, sick } = yield* setUp({ maxConcurrentFetches: 1 })
      yield* sick.faults.hold
      yield* registerSick("a", "idp")
      yield* settle
      for (let i = 0; i < 20; i += 1) yield* registerSick(`queued-${i}`, "idp")
      yield* settle
      for (let i = 0; i < 20; i += 1) yield* registry.unregister(`queued-${i}`, "idp")
      yield* sick.faults.release()
      yield* settle
      yield* registerHealthy("b", "idp", cold)
      yield* answerAtOnce(registry.resolve("b", "idp"))
      assert.deepInclude(yield* errorAtOnce(registry.resolve("queued-1", "idp")), { _tag: "NotRegistered" })
    }),
  )
})
