import { assert, describe, it } from "@effect/vitest"
import { JwksMemory, JwksMetrics } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import { ScriptedStore } from "../persistence/scriptedStore.ts"
import { withSteppedClock } from "../SteppedClock.ts"
import { abandoned, asking, setUpPlatform } from "./requests.ts"
import {
  answerAtOnce,
  arrivals,
  begin,
  collectEvents,
  errorAtOnce,
  hours,
  minutes,
  seconds,
  settle,
  start,
  tagged,
} from "./support.ts"

const many = Array.from({ length: 100 }, (_, n) => n)

describe("A registry for one request", () => {
  it.effect("answers from what an earlier one has fetched, with the very same objects", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform()
      const first = yield* ask()
      const second = yield* answerAtOnce(ask())
      assert.strictEqual(second, first)
      assert.strictEqual(second.jwk, first.jwk)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("asks nobody for what it does not need: not at registration, and not between requests", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform()
      const { end } = yield* request()
      yield* settle
      yield* end
      assert.strictEqual(idp.requests, 0)
      yield* ask()
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("is not deceived by a wall clock that was set back (rule 9)", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { ask, idp } = yield* setUpPlatform()
        yield* ask()
        stepWall(-hours(24))
        yield* answerAtOnce(ask())
        assert.strictEqual(idp.requests, 1)
        yield* TestClock.adjust("1 hour")
        yield* ask()
        assert.strictEqual(idp.requests, 2)
      }),
    ),
  )

  it.effect("answers nothing once it is closed, while others over its memory do", () =>
    Effect.gen(function* () {
      const { ask, request } = yield* setUpPlatform()
      const { end, registry, resolve } = yield* request()
      const { kid } = yield* resolve()
      yield* end
      for (const options of [undefined, { provider: "idp" }, { provider: "idp", alg: "ES256" }]) {
        const error = yield* errorAtOnce(registry.resolveKey("acme", kid, options))
        assert.deepInclude(error, { _tag: "JwksUnavailable", reason: { _tag: "RegistryClosed" } })
      }
      yield* answerAtOnce(ask())
    }),
  )

  it.effect("does nothing by timer but what a flight needs, also where it lives on", () =>
    Effect.gen(function* () {
      const { idp, request } = yield* setUpPlatform()
      const { resolve } = yield* request()
      yield* resolve()
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1)
      assert.strictEqual((yield* resolve()).freshness, "fresh")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("refuses what is no memory", () =>
    Effect.gen(function* () {
      const { request } = yield* setUpPlatform()
      const error = yield* Effect.flip(request({ memory: Object.create(null) }))
      assert.deepStrictEqual(error.issues, [{ field: "memory", rule: "must be what JwksMemory.make() gives" }])
    }),
  )
})

describe("Requests at the same time", () => {
  it.effect("have one of them fetch, and take what it brings without waiting for it", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform()
      yield* idp.faults.hold
      const asked = yield* Effect.forEach(many, () => asking(ask()))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(idp.requests, 1)
      yield* idp.faults.release()
      yield* TestClock.adjust("100 millis")
      const answers = yield* Effect.forEach(asked, Fiber.join)
      assert.strictEqual(new Set(answers).size, 1)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("all learn of a failure, once", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform({ registration: { retryPolicy: { maxRetries: 0 } } })
      yield* idp.faults.hang()
      const asked = yield* Effect.forEach(many, () => asking(Effect.flip(ask())))
      yield* TestClock.adjust("4 seconds")
      const errors = yield* Effect.forEach(asked, Fiber.join)
      assert.deepStrictEqual(new Set(errors.map(({ _tag }) => _tag)), new Set(["JwksUnavailable"]))
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("do not wait longer than a second or two for one that the platform has thrown away", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform()
      yield* idp.faults.hang({ next: 1 })
      const { resolve } = yield* request().pipe(Effect.provideService(Clock.Clock, yield* abandoned))
      yield* asking(resolve())
      const asked = yield* Effect.forEach(many, () => asking(ask()))
      yield* TestClock.adjust("1200 millis")
      yield* Effect.forEach(asked, Fiber.join)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("share the budget for unknown kids, and what was proven: 100 made-up kids are two requests", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform()
      yield* ask()
      yield* idp.faults.hold
      const asked = yield* Effect.forEach(many, (n) => asking(Effect.flip(ask(`made-up-${n}`))))
      for (let i = 0; i < 3; i++) {
        yield* idp.faults.release(1)
        yield* TestClock.adjust("200 millis")
      }
      const errors = yield* Effect.forEach(asked, Fiber.join)
      assert.deepStrictEqual(new Set(errors.map((error) => "confirmed" in error && error.confirmed)), new Set([true]))
      assert.strictEqual(idp.requests, 3)

      yield* idp.faults.heal
      // Known already, by whichever request asks.
      assert.include(yield* errorAtOnce(ask("made-up-7")), { confirmed: true })
      // The bucket is empty for all.
      assert.include(yield* errorAtOnce(ask("another")), { confirmed: false })
      assert.strictEqual(idp.requests, 3)
      yield* TestClock.adjust("30 seconds")
      yield* errorAtOnce(ask("another"))
      assert.strictEqual(idp.requests, 4)
    }),
  )

  it.effect("are all answered after a rotation, by one request", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform()
      yield* ask()
      const { kid } = yield* idp.keys.rotate()
      yield* idp.faults.hold
      const asked = yield* Effect.forEach(many, () => asking(ask(kid)))
      yield* idp.faults.release()
      yield* TestClock.adjust("200 millis")
      for (const fiber of asked) assert.strictEqual((yield* Fiber.join(fiber)).kid, kid)
      assert.isAtMost(idp.requests, 3)
    }),
  )

  it.effect("never take an older set for a newer one, whichever comes last", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform()
      const old = idp.keys.current.kid
      yield* idp.faults.holdNext(1)
      const slow = yield* request().pipe(Effect.provideService(Clock.Clock, yield* abandoned))
      const late = yield* asking(slow.resolve(old))
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust("2 seconds")
      yield* ask(kid)
      // What was answered with the old key arrives now.
      yield* idp.faults.release()
      yield* settle
      yield* Effect.exit(Fiber.join(late))
      assert.strictEqual((yield* answerAtOnce(ask(kid))).kid, kid)
      // The third is that of the late flight, which found that its answer was outdated.
      assert.strictEqual(idp.requests, 3)
    }),
  )
})

describe("A request that was taken for lost", () => {
  it.effect("puts no late answer in the place of a newer one, nor a late failure", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform({ registration: { retryPolicy: { maxRetries: 0 } } })
      yield* idp.faults.status(503, { next: 1 })
      yield* idp.faults.holdNext(1)
      const slow = yield* request().pipe(Effect.provideService(Clock.Clock, yield* abandoned))
      const late = yield* asking(slow.resolve())
      yield* TestClock.adjust("2 seconds")
      const key = yield* ask()
      yield* idp.faults.release()
      yield* settle
      // It has the set as well, whoever brought it.
      assert.strictEqual(yield* Fiber.join(late), key)
      const [status] = yield* Effect.flatMap(request(), ({ registry }) => registry.allStatuses)
      assert.notProperty(status, "failure")
      assert.strictEqual(idp.requests, 2)
    }),
  )
})

describe("A refresh between requests", () => {
  const life = { response: { cacheControl: "max-age=600" } }

  it.effect(
    "is begun by whoever comes past the refresh point, who does not wait for it; by nobody else meanwhile",
    () =>
      Effect.gen(function* () {
        const { ask, idp, request } = yield* setUpPlatform({ provider: life })
        const first = yield* ask()
        yield* TestClock.adjust("572 seconds")
        yield* idp.faults.hold
        const flying = yield* request()
        assert.strictEqual(yield* answerAtOnce(flying.resolve()), first)
        assert.strictEqual(idp.requests, 2)
        for (let i = 0; i < 10; i++) assert.strictEqual(yield* answerAtOnce(ask()), first)
        assert.strictEqual(idp.requests, 2)
        // The platform waits for its end, and that for the flight.
        const ending = yield* begin(flying.end)
        assert.isUndefined(ending.pollUnsafe())
        yield* idp.faults.release()
        yield* Fiber.join(ending)
        const next = yield* answerAtOnce(ask())
        assert.strictEqual(next.expiresAt, first.expiresAt + seconds(572))
        assert.strictEqual(idp.requests, 2)
        assert.strictEqual(idp.notModified, 1)
      }),
  )

  it.effect("is begun by the next one, where the platform has thrown the first away", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform({ provider: life })
      yield* ask()
      yield* TestClock.adjust("572 seconds")
      yield* idp.faults.hang({ next: 1 })
      const { resolve } = yield* request().pipe(Effect.provideService(Clock.Clock, yield* abandoned))
      yield* answerAtOnce(resolve())
      yield* answerAtOnce(ask())
      assert.strictEqual(idp.requests, 2)
      yield* TestClock.adjust("1 second")
      yield* answerAtOnce(ask())
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("keeps to the provider's own deadline when its request ends", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform({ provider: life })
      yield* ask()
      yield* TestClock.adjust("572 seconds")
      yield* idp.faults.hang()
      const { end, registry, resolve } = yield* request()
      yield* answerAtOnce(resolve())
      const ending = yield* begin(end)
      const error = yield* Effect.flip(registry.resolveKey("acme", "later"))
      assert.propertyVal(error, "_tag", "JwksUnavailable")
      yield* TestClock.adjust("8 seconds")
      yield* Fiber.join(ending)
    }),
  )

  it.effect("is asked for again after a back-off, which the failures of all requests make longer", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform({ provider: life, registration: { retryPolicy: { maxRetries: 0 } } })
      yield* ask()
      yield* TestClock.adjust("601 seconds")
      yield* idp.faults.status(503)
      const before = idp.requests
      for (let i = 0; i < 3_000; i++) {
        const { freshness } = yield* answerAtOnce(ask())
        assert.strictEqual(freshness, "stale")
        yield* TestClock.adjust("100 millis")
      }
      // Every 30 s on average once the back-off has grown, not once per request.
      assert.isBelow(idp.requests - before, 25)
      yield* idp.faults.heal
      yield* TestClock.adjust("1 minute")
      yield* ask()
      assert.strictEqual((yield* ask()).freshness, "fresh")
    }),
  )

  it.effect("is also begun where a tenant has several providers and none is named", () =>
    Effect.gen(function* () {
      const other = yield* ScriptedProvider.make()
      const { given, idp, request, registered } = yield* setUpPlatform({ provider: life })
      const two = { ...given, providers: [registered, { ...registered, provider: "other", jwksUrl: other.jwksUrl }] }
      const once = Effect.flatMap(request(two), ({ end, resolve }) => Effect.ensuring(resolve(), end))
      yield* once
      yield* TestClock.adjust("572 seconds")
      yield* once
      yield* once
      assert.strictEqual(idp.requests, 2)
    }),
  )
})

describe("What requests remember", () => {
  it.effect("is a failed first fetch, for as long as one registry would", () =>
    Effect.gen(function* () {
      const { ask, idp } = yield* setUpPlatform()
      yield* idp.faults.status(404, { next: 1, retryAfter: "20 seconds" })
      yield* Effect.flip(ask())
      for (let i = 0; i < 5; i++) {
        const error = yield* errorAtOnce(ask())
        assert.propertyVal(error, "_tag", "JwksUnavailable")
        assert.propertyVal(error, "retryAfterMillis", seconds(20))
      }
      assert.strictEqual(idp.requests, 1)
      yield* TestClock.adjust("20 seconds")
      yield* ask()
      assert.deepStrictEqual(arrivals(idp), [0, seconds(20)])
    }),
  )

  it.effect("is in no other request until that registers it, and is there as soon as it does", () =>
    Effect.gen(function* () {
      const { idp, registered, request } = yield* setUpPlatform()
      const one = yield* request({ providers: [] })
      yield* one.registry.register(registered)
      yield* one.resolve()
      const other = yield* request({ providers: [] })
      assert.propertyVal(yield* errorAtOnce(other.resolve()), "_tag", "NotRegistered")
      yield* other.registry.register({ ...registered })
      yield* answerAtOnce(other.resolve())
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("is told as registered once", () =>
    Effect.gen(function* () {
      const { registered, request } = yield* setUpPlatform({ options: { providers: [] } })
      const tags = Effect.gen(function* () {
        const { registry } = yield* request()
        const events = yield* collectEvents(registry)
        yield* registry.register(registered)
        yield* settle
        return events.map(({ _tag }) => _tag)
      })
      assert.deepStrictEqual(yield* tags, ["ProviderRegistered"])
      assert.deepStrictEqual(yield* tags, [])
    }),
  )

  it.effect("stays with a registration that changes nothing but the key policy, which runs over it again", () =>
    Effect.gen(function* () {
      const { ask, idp, registered, request } = yield* setUpPlatform()
      yield* ask()
      const stricter = yield* request({ providers: [{ ...registered, algorithms: ["RS256"] }] })
      // The only key is of another kind: nothing of the set is usable.
      yield* Effect.flip(stricter.resolve())
      assert.strictEqual(idp.requests, 2)
      const shorter = yield* request({ providers: [{ ...registered, maxTtl: "1 minute" }] })
      yield* shorter.resolve()
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("is nothing where the registration names another URL, or the registry has other rules for URLs", () =>
    Effect.gen(function* () {
      const { ask, idp, registered, request } = yield* setUpPlatform()
      yield* ask()
      const guarded = yield* request({ allowedDomains: ["test"], providers: [registered] })
      yield* guarded.resolve()
      assert.strictEqual(idp.requests, 2)
      const moved = yield* request({ providers: [{ ...registered, jwksUrl: `${idp.jwksUrl}?moved` }] })
      yield* moved.resolve()
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("goes when a request unregisters the provider, whoever had registered it", () =>
    Effect.gen(function* () {
      const { ask, idp, request } = yield* setUpPlatform()
      yield* ask()
      const working = yield* request()
      const admin = yield* request({ providers: [] })
      assert.isTrue(yield* admin.registry.unregister("acme", "idp"))
      assert.isFalse(yield* admin.registry.unregister("acme", "idp"))
      // A request that had it goes on with it.
      yield* answerAtOnce(working.resolve())
      assert.strictEqual(idp.requests, 1)
      // The next one registers it anew.
      yield* ask()
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual(yield* admin.registry.unregisterTenant("acme"), 1)
      yield* ask()
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("counts for all of them, once where two read it at a time", () =>
    Effect.gen(function* () {
      const { ask, request } = yield* setUpPlatform({ metrics: JwksMetrics.layer })
      const hits = Effect.map(
        Metric.snapshot,
        (series) =>
          series.flatMap((one) =>
            one.id === "jwks_cache_hits_total" && one.type === "Counter" ? [Number(one.state.count)] : [],
          )[0],
      )
      yield* ask()
      const [one, other] = [yield* request(), yield* request()]
      yield* Effect.all([one.resolve(), one.resolve(), other.resolve()])
      yield* Effect.all([one.registry.allStatuses, other.registry.allStatuses])
      assert.strictEqual(yield* hits, 3)
      yield* one.end
      assert.strictEqual(yield* hits, 3)
      yield* other.end
      const [status] = yield* Effect.flatMap(request(), ({ registry }) => registry.allStatuses)
      assert.deepInclude(status, { hits: 3, misses: 1, refreshes: 1, state: "Ready", usable: true })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())),
  )
})

it.effect("Stale serving is told once, however many requests have to wait for a provider that hangs", () =>
  Effect.gen(function* () {
    const { ask, idp, request } = yield* setUpPlatform()
    yield* ask()
    yield* TestClock.adjust("15 minutes")
    yield* idp.faults.hang()
    const listening = Effect.fnUntraced(function* () {
      const opened = yield* request()
      return { ...opened, events: yield* collectEvents(opened.registry) }
    })
    const first = yield* listening()
    yield* asking(first.resolve())
    yield* TestClock.adjust("1100 millis")
    const second = yield* listening()
    yield* asking(Effect.exit(second.resolve("ghost")))
    yield* TestClock.adjust("300 millis")
    const third = yield* listening()
    yield* asking(Effect.exit(third.registry.resolveKey("acme", idp.keys.current.kid, { allowStale: false })))
    yield* TestClock.adjust("300 millis")
    const told = [first, second, third].flatMap(({ events }) =>
      events.map(({ _tag }) => _tag).filter((tag) => tag.startsWith("Stale")),
    )
    assert.deepStrictEqual(told, ["StaleServing"])
  }),
)

describe("Snapshots of requests", () => {
  const withStore = (store: ScriptedStore) => ({
    persistence: store.layer,
    options: { snapshotKey: "of all isolates" },
  })

  it.effect("are written by the time that the platform has waited for the end", () =>
    Effect.gen(function* () {
      const store = new ScriptedStore()
      const { ask, idp } = yield* setUpPlatform(withStore(store))
      yield* ask()
      assert.strictEqual(store.stored.size, 1)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("are what another isolate starts from, without a request", () =>
    Effect.gen(function* () {
      const store = new ScriptedStore()
      const { ask, idp, request } = yield* setUpPlatform(withStore(store))
      yield* ask()
      yield* TestClock.adjust("1 minute")
      const elsewhere = yield* request({ memory: JwksMemory.make() })
      const events = yield* collectEvents(elsewhere.registry)
      assert.strictEqual((yield* elsewhere.resolve()).fetchedAt, start)
      yield* settle
      assert.strictEqual(tagged(events, "SnapshotRestored").length, 1)
      assert.strictEqual(idp.requests, 1)
      yield* elsewhere.end
      // Revalidated within minTtl, by whoever asks then.
      yield* TestClock.adjust(minutes(1))
    }),
  )

  it.effect("are not written for a provider that was unregistered meanwhile", () =>
    Effect.gen(function* () {
      const store = new ScriptedStore()
      const { idp, request } = yield* setUpPlatform(withStore(store))
      yield* idp.faults.hold
      const slow = yield* request()
      const asked = yield* asking(slow.resolve())
      const admin = yield* request()
      yield* admin.registry.unregister("acme", "idp")
      yield* admin.end
      yield* idp.faults.release()
      yield* Fiber.join(asked)
      yield* slow.end
      assert.strictEqual(store.stored.size, 0)
    }),
  )
})
