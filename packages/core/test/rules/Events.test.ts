/**
 * Every event but those of snapshots: each with tenant, provider and time.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry, type JwksEvent } from "@effect-jwks/core"
import { ScriptedProvider, staticKeys } from "@effect-jwks/testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  almostOne,
  answerAtOnce,
  collectEvents,
  errorAtOnce,
  hours,
  minutes,
  openClosableRegistry,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
  tagged,
  withRandom,
  type SetUp,
} from "./support.ts"

const who = { tenant: "acme", provider: "idp" }

/** A registry whose events are collected from before the registration. */
const watched = Effect.fnUntraced(function* (how: SetUp = {}) {
  const world = yield* setUp({ ...how, register: false })
  const events = yield* collectEvents(world.registry)
  yield* world.registry.register(world.registered)
  yield* settle
  return { ...world, events }
})

/** A loaded provider whose events are collected from now on. */
const watchedLoaded = Effect.fnUntraced(function* (how: SetUp = {}) {
  const world = yield* setUpLoaded(how)
  return { ...world, events: yield* collectEvents(world.registry) }
})

describe("events", () => {
  it.effect("ProviderRegistered: a new one, and one that replaces another; without the query of the URL", () =>
    Effect.gen(function* () {
      const { events, registerAgain } = yield* watched({
        registration: { jwksUrl: "https://idp.test/jwks?key=secret" },
      })
      yield* TestClock.adjust("1 second")
      yield* registerAgain({ maxTtl: "1 hour" })
      yield* settle
      const common = { ...who, _tag: "ProviderRegistered", url: "https://idp.test/jwks" } as const
      assert.deepStrictEqual(tagged(events, "ProviderRegistered"), [
        { ...common, replaced: false, time: start },
        { ...common, replaced: true, time: start + seconds(1) },
      ])
      assert.notInclude(JSON.stringify(events), "secret")
    }),
  )

  it.effect("ProviderUnregistered: once for each provider that there was", () =>
    Effect.gen(function* () {
      const { events, idp, registry } = yield* watchedLoaded()
      yield* registry.register({ tenant: "acme", provider: "b", jwksUrl: idp.jwksUrl })
      yield* registry.register({ tenant: "acme", provider: "c", jwksUrl: idp.jwksUrl })
      yield* TestClock.adjust("1 second")
      yield* registry.unregister("acme", "idp")
      yield* registry.unregister("acme", "idp")
      yield* registry.unregisterTenant("acme")
      yield* settle
      const gone = tagged(events, "ProviderUnregistered")
      assert.sameMembers(
        gone.map(({ provider }) => provider),
        ["idp", "b", "c"],
      )
      for (const event of gone) assert.deepInclude(event, { tenant: "acme", time: start + seconds(1) })
    }),
  )

  it.effect("RefreshSucceeded: with the number of keys, how long it took, and until when it holds", () =>
    Effect.gen(function* () {
      const { events, idp, refresh } = yield* watched({ before: (idp) => idp.faults.delay("200 millis") })
      yield* TestClock.adjust("200 millis")
      yield* idp.faults.heal
      yield* TestClock.adjust("1 minute")
      yield* refresh
      yield* settle
      const common = { ...who, _tag: "RefreshSucceeded", keys: 1 } as const
      assert.deepStrictEqual(tagged(events, "RefreshSucceeded"), [
        {
          ...common,
          notModified: false,
          durationMillis: 200,
          expiresAt: start + 200 + minutes(10),
          time: start + 200,
        },
        {
          ...common,
          notModified: true,
          durationMillis: 0,
          expiresAt: start + 200 + minutes(11),
          time: start + 200 + minutes(1),
        },
      ])
    }),
  )

  it.effect("RefreshFailed: once per failed flight, with the reason, the count and the next attempt", () =>
    Effect.gen(function* () {
      const { events, idp } = yield* watched({ before: (idp) => idp.faults.status(503) })
      yield* TestClock.adjust("1800 millis")
      yield* settle
      const failed = tagged(events, "RefreshFailed")
      assert.lengthOf(failed, 1)
      const reason = { _tag: "HttpStatus", url: idp.jwksUrl, status: 503 } as const
      assert.deepInclude(failed[0], { ...who, _tag: "RefreshFailed", count: 1, reason })
      assert.closeTo(failed[0]?.durationMillis ?? 0, 750, 2)
      assert.closeTo(failed[0]?.time ?? 0, start + 750, 2)
      assert.closeTo(failed[0]?.nextAttemptAt ?? 0, start + 1_750, 3)
      yield* TestClock.adjust("800 millis")
      assert.deepInclude(tagged(events, "RefreshFailed")[1], { count: 2, reason })
    }).pipe(withRandom(almostOne)),
  )

  it.effect("RefreshRecovered: the first success after failures, with their number", () =>
    Effect.gen(function* () {
      const { events, refresh } = yield* watched({
        before: (idp) => idp.faults.status(404, { next: 3 }),
        registration: { retryPolicy: { maxRetries: 0 } },
      })
      yield* TestClock.adjust("8 seconds")
      yield* refresh
      yield* settle
      const recovered = tagged(events, "RefreshRecovered")
      assert.lengthOf(recovered, 1)
      assert.deepInclude(recovered[0], { ...who, failures: 3 })
      assert.lengthOf(tagged(events, "RefreshFailed"), 3)
    }).pipe(withRandom(almostOne)),
  )

  it.effect("KeysChanged: thumbprints that appeared, vanished, or changed under their kid", () =>
    Effect.gen(function* () {
      const [a, b, c] = staticKeys(3)
      const { events, idp, refresh, resolve } = yield* watched({
        before: (idp) => idp.keys.publishRaw({ keys: [a, { ...b, kid: "moves" }] }),
      })
      const first = (yield* resolve("static-1")).thumbprint
      const from = (yield* resolve("moves")).thumbprint
      yield* TestClock.adjust("1 second")
      yield* idp.keys.publishRaw({ keys: [a, { ...c, kid: "moves" }] })
      yield* refresh
      yield* settle
      const to = (yield* resolve("moves")).thumbprint
      const [initial, change, ...more] = tagged(events, "KeysChanged")
      assert.isEmpty(more)
      assert.sameMembers([...(initial?.added ?? [])], [first, from])
      assert.deepStrictEqual([initial?.removed, initial?.changed], [[], []])
      assert.deepStrictEqual(change?.changed, [{ kid: "moves", from, to }])
      assert.deepInclude(change, { ...who, time: start + seconds(1) })
    }),
  )

  it.effect("KeysChanged: not for a 304, nor for a 200 with the same keys", () =>
    Effect.gen(function* () {
      const { events, idp, refresh } = yield* watchedLoaded()
      yield* refresh
      yield* idp.respondWith({ etag: "none", lastModified: false })
      yield* refresh
      yield* settle
      assert.deepStrictEqual(
        tagged(events, "RefreshSucceeded").map(({ notModified }) => notModified),
        [true, false],
      )
      assert.isEmpty(tagged(events, "KeysChanged"))
    }),
  )

  it.effect("KeyDropped: once for each key of the document that is newly unusable", () =>
    Effect.gen(function* () {
      const secret = { kty: "oct", k: "AAAA", kid: "secret" }
      const { events, idp, refresh } = yield* watched({
        before: (idp) => idp.keys.publish([secret, { kty: "EC", crv: "secp256k1", x: "AA", y: "AA" }]),
      })
      yield* idp.respondWith({ etag: "none", lastModified: false })
      yield* refresh
      yield* refresh
      yield* idp.keys.publish([{ kty: "future", kid: "f" }])
      yield* TestClock.adjust("1 second")
      yield* refresh
      yield* settle
      assert.deepStrictEqual(tagged(events, "KeyDropped"), [
        { ...who, _tag: "KeyDropped", kid: "secret", reason: "SymmetricKey", time: start },
        { ...who, _tag: "KeyDropped", reason: "UnsupportedCurve", time: start },
        { ...who, _tag: "KeyDropped", kid: "f", reason: "UnsupportedKeyType", time: start + seconds(1) },
      ])
      assert.notInclude(JSON.stringify(events), "AAAA")
    }),
  )

  it.effect("KeyDropped: sixteen at the most after a flight, and how many more there are", () =>
    Effect.gen(function* () {
      const { idp, refresh, registry } = yield* setUpLoaded()
      const events = yield* collectEvents(registry)
      const entries = (from: number) => Array.from({ length: 100 }, (_, i) => ({ kty: "oct", kid: `${from + i}` }))
      for (const from of [1_000, 2_000]) {
        yield* idp.keys.publishRaw({ keys: [idp.keys.current.publicJwk, ...entries(from)] })
        yield* refresh
        yield* settle
        const told = tagged(events, "KeyDropped").slice(-16)
        assert.deepStrictEqual(
          told.map(({ kid }) => kid),
          Array.from({ length: 16 }, (_, i) => `${from + i}`),
        )
        assert.deepStrictEqual(
          told.map(({ more }) => more),
          [...Array.from({ length: 15 }, () => undefined), 84],
        )
      }
      assert.lengthOf(tagged(events, "KeyDropped"), 32)
    }),
  )

  it.effect("StaleServing and StaleEnded: once around an outage, by a good refresh", () =>
    Effect.gen(function* () {
      const { events, idp, resolve } = yield* watchedLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.setTime(start + minutes(10) - 1)
      yield* resolve()
      yield* settle
      assert.isEmpty(tagged(events, "StaleServing"))
      yield* TestClock.adjust("5 minutes")
      yield* Effect.replicateEffect(answerAtOnce(resolve()), 10)
      yield* TestClock.adjust("5 minutes")
      yield* Effect.replicateEffect(answerAtOnce(resolve()), 10)
      yield* settle
      const serving = tagged(events, "StaleServing")
      assert.lengthOf(serving, 1)
      assert.deepInclude(serving[0], { ...who, until: start + minutes(10) + hours(1) })
      assert.isEmpty(tagged(events, "StaleEnded"))
      yield* idp.faults.heal
      yield* TestClock.adjust("61 seconds")
      yield* answerAtOnce(resolve())
      yield* settle
      const ended = tagged(events, "StaleEnded")
      assert.lengthOf(ended, 1)
      assert.deepInclude(ended[0], { ...who, recovered: true })
    }),
  )

  it.effect.each(["max-age=0", "no-cache", "no-store"])(
    "StaleEnded: by a good refresh, also where the set is fetched for each question: %s",
    (cacheControl) =>
      Effect.gen(function* () {
        const strict = { registration: { strictHttp: true }, provider: { response: { cacheControl: "max-age=60" } } }
        const { events, idp, registry, resolve } = yield* watchedLoaded(strict)
        yield* idp.faults.status(404)
        yield* TestClock.adjust("2 minutes")
        yield* answerAtOnce(resolve())
        yield* settle
        assert.lengthOf(tagged(events, "StaleServing"), 1)
        yield* idp.faults.heal
        yield* idp.respondWith({ cacheControl })
        yield* registry.refresh("acme", "idp")
        yield* settle
        assert.deepStrictEqual(
          tagged(events, "StaleEnded").map(({ recovered }) => recovered),
          [true],
        )
      }),
  )

  it.effect("StaleEnded: not while callers wait for a permit that does not come", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const [sick, idp] = [
        yield* ScriptedProvider.make({ issuer: "https://sick.test" }),
        yield* ScriptedProvider.make({ issuer: "https://good.test" }),
      ]
      const { registry } = yield* openClosableRegistry([sick, idp], {
        maxConcurrentFetches: 1,
        idleAfter: "5 minutes",
      })
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      yield* registry.resolve("acme", "idp")
      // Idle: it has expired, and nobody tried to fetch it.
      yield* TestClock.adjust("20 minutes")
      const events = yield* collectEvents(registry)
      yield* sick.faults.hang()
      const retryPolicy = { attemptTimeout: "12 seconds", deadline: "12 seconds", maxRetries: 0 } as const
      yield* registry.register({ tenant: "other", provider: "sick", jwksUrl: sick.jwksUrl, retryPolicy })
      yield* settle
      const before = idp.requests
      const asked = yield* Effect.forkChild(registry.resolve("acme", "idp"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(asked)).freshness, "stale")
      yield* TestClock.adjust("7500 millis")
      yield* settle
      assert.strictEqual(idp.requests, before)
      assert.lengthOf(tagged(events, "StaleServing"), 1)
      assert.isEmpty(tagged(events, "StaleEnded"))
    }),
  )

  it.effect("StaleEnded: by the end of the window", () =>
    Effect.gen(function* () {
      const { events, idp, resolve } = yield* watchedLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.adjust("15 minutes")
      yield* answerAtOnce(resolve())
      yield* TestClock.adjust("1 hour")
      yield* Effect.flip(resolve())
      yield* settle
      const ended = tagged(events, "StaleEnded")
      assert.lengthOf(ended, 1)
      assert.deepInclude(ended[0], { ...who, recovered: false })
    }),
  )

  it.effect("UnknownKid: once per look-up upstream", () =>
    Effect.gen(function* () {
      const { events, resolve } = yield* watchedLoaded()
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 5; i += 1) yield* errorAtOnce(resolve("ghost"))
      yield* settle
      assert.deepStrictEqual(tagged(events, "UnknownKid"), [
        { ...who, _tag: "UnknownKid", kid: "ghost", confirmed: true, time: start + seconds(1) },
      ])
    }),
  )

  it.effect("UnknownKid: a flood is told, but floods nobody", () =>
    Effect.gen(function* () {
      const { events, resolve } = yield* watchedLoaded()
      for (let i = 0; i < 500; i += 1) yield* Effect.flip(resolve(`ghost-${i}`))
      yield* settle
      const unknown = tagged(events, "UnknownKid")
      assert.isTrue(unknown.some(({ confirmed }) => !confirmed))
      assert.isAtMost(unknown.length, 4)
    }),
  )

  it.effect("come in order, each with tenant, provider and time", () =>
    Effect.gen(function* () {
      const { events, idp, refresh, registry, resolve } = yield* watched()
      yield* idp.keys.publish([{ kty: "?" }])
      yield* TestClock.adjust("1 second")
      yield* refresh
      yield* errorAtOnce(resolve("ghost"))
      yield* idp.faults.status(404)
      yield* TestClock.adjust("2 hours")
      yield* Effect.flip(resolve())
      yield* idp.faults.heal
      yield* TestClock.adjust("2 minutes")
      yield* registry.unregister("acme", "idp")
      yield* settle
      const tags: ReadonlyArray<JwksEvent["_tag"]> = [
        "ProviderRegistered",
        "KeysChanged",
        "RefreshSucceeded",
        "KeyDropped",
        "UnknownKid",
        "RefreshFailed",
        "RefreshRecovered",
        "ProviderUnregistered",
      ]
      for (const tag of tags) assert.isNotEmpty(tagged(events, tag), tag)
      assert.strictEqual(events[0]?._tag, "ProviderRegistered")
      assert.strictEqual(events.at(-1)?._tag, "ProviderUnregistered")
      for (const [i, event] of events.entries()) {
        assert.deepInclude(event, who)
        assert.isAtLeast(event.time, events[i - 1]?.time ?? start)
      }
    }),
  )

  it.effect("reach every subscriber, from when it subscribed", () =>
    Effect.gen(function* () {
      const { events, refresh, registry } = yield* watchedLoaded()
      const late: Array<JwksEvent> = []
      yield* refresh
      yield* JwksRegistry.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => void late.push(event))),
        Effect.provideService(JwksRegistry, registry),
        Effect.forkScoped({ startImmediately: true }),
      )
      yield* settle
      yield* refresh
      yield* settle
      assert.lengthOf(tagged(events, "RefreshSucceeded"), 2)
      assert.lengthOf(tagged(late, "RefreshSucceeded"), 1)
    }),
  )

  it.effect("wait for nobody: a subscriber that does not read loses the oldest", () =>
    Effect.gen(function* () {
      const { refresh, registry, resolve } = yield* setUpLoaded({ options: { eventBuffer: 4 } })
      const seen: Array<JwksEvent> = []
      const gate = yield* Deferred.make<void>()
      yield* registry.events.pipe(
        Stream.runForEach((event) =>
          Effect.andThen(
            Deferred.await(gate),
            Effect.sync(() => void seen.push(event)),
          ),
        ),
        Effect.forkScoped({ startImmediately: true }),
      )
      yield* settle
      for (let i = 0; i < 100; i += 1) {
        yield* TestClock.adjust("1 second")
        yield* answerAtOnce(refresh)
      }
      yield* answerAtOnce(resolve())
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      const times = tagged(seen, "RefreshSucceeded").map(({ time }) => time)
      assert.include(times, start + seconds(100))
      assert.notInclude(times, start + seconds(50))
    }),
  )

  it.effect("end with the registry", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      const { close, registry } = yield* openClosableRegistry([idp])
      const reading = yield* Effect.forkChild(Stream.runCollect(registry.events))
      yield* settle
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      yield* settle
      yield* close
      const events = yield* answerAtOnce(Fiber.join(reading))
      assert.strictEqual(events[0]?._tag, "ProviderRegistered")
    }),
  )
})
