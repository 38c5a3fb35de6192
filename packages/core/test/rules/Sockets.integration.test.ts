/**
 * The rules over real sockets, with the stock fetch client.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  JwksRegistry,
  type JwksEvent,
  type JwksRegistryOptions,
  type JwksRegistryService,
  type ProviderRegistration,
} from "@effect-jwks/core"
import { FakeProvider, TestRegistry, type FakeProviderOptions } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const openRegistry = (options?: JwksRegistryOptions) =>
  Effect.map(Layer.build(TestRegistry.layer(options)), (context) => Context.get(context, JwksRegistry))

/** Starts to wait for the next event of a tag, before something makes it happen. */
const nextEvent = <Tag extends JwksEvent["_tag"]>(registry: JwksRegistryService, tag: Tag) =>
  registry.events.pipe(
    Stream.filter((event): event is Extract<JwksEvent, { readonly _tag: Tag }> => event._tag === tag),
    Stream.runHead,
    Effect.map(Option.getOrThrow),
    Effect.forkChild({ startImmediately: true }),
  )

const setUp = Effect.fnUntraced(function* (
  how: {
    readonly provider?: FakeProviderOptions
    readonly registration?: Partial<ProviderRegistration>
    readonly options?: JwksRegistryOptions
  } = {},
) {
  const idp = yield* FakeProvider.make(how.provider)
  const registry = yield* openRegistry(how.options)
  const registered: ProviderRegistration = {
    tenant: "acme",
    provider: "idp",
    jwksUrl: idp.jwksUrl,
    warm: false,
    ...how.registration,
  }
  yield* registry.register(registered)
  return {
    idp,
    registry,
    resolve: (kid?: string) =>
      Effect.suspend(() => registry.resolveKey("acme", kid ?? idp.keys.current.kid, { provider: "idp" })),
    refresh: registry.refresh("acme", "idp"),
    status: Effect.orDie(registry.providerStatus("acme", "idp")),
  }
})

const quietly = Effect.provideService(References.MinimumLogLevel, "None")

describe("Over a socket", () => {
  it.live("1,000 cold callers are one request on one connection", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp()
      const keys = yield* Effect.all(
        Array.from({ length: 1_000 }, () => resolve()),
        { concurrency: "unbounded" },
      )
      assert.strictEqual(new Set(keys).size, 1)
      assert.deepStrictEqual([idp.requests, idp.connections.opened], [1, 1])
    }).pipe(quietly),
  )

  it.live("1,000 callers who come while the answer is held back are one request", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp()
      yield* idp.faults.hold
      const callers = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 1_000 }, () => resolve()),
          { concurrency: "unbounded" },
        ),
      )
      yield* idp.faults.awaitHeld(1)
      const late = yield* Effect.forkChild(resolve())
      yield* Effect.yieldNow
      yield* idp.faults.release()
      assert.lengthOf(yield* Fiber.join(callers), 1_000)
      yield* Fiber.join(late)
      assert.strictEqual(idp.requests, 1)
    }).pipe(quietly),
  )

  it.live("a rotation is found by the first token of the new key", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp()
      const old = idp.keys.current
      yield* resolve()
      const { kid, thumbprint } = yield* idp.keys.rotate({ keepOld: false })
      const keys = yield* Effect.all(
        Array.from({ length: 100 }, () => resolve(kid)),
        { concurrency: "unbounded" },
      )
      for (const key of keys) assert.strictEqual(key.thumbprint, thumbprint)
      assert.strictEqual(idp.requests, 2)
      const error = yield* Effect.flip(resolve(old.kid))
      assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: true })
    }).pipe(quietly),
  )

  it.live("a revalidation is a 304 without a body", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUp()
      assert.strictEqual((yield* refresh)._tag, "Updated")
      const before = yield* status
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.deepStrictEqual([idp.ok, idp.notModified], [1, 1])
      const after = yield* status
      assert.deepStrictEqual(after.keys, before.keys)
      assert.isAtLeast(after.fetchedAt ?? 0, before.fetchedAt ?? Infinity)
    }).pipe(quietly),
  )

  it.live("a hanging provider costs attemptTimeout, and its connection is closed", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        registration: { retryPolicy: { attemptTimeout: "150 millis", maxRetries: 1, initialBackoff: "1 millis" } },
      })
      yield* idp.faults.hang()
      const before = yield* Clock.currentTimeMillis
      const error = yield* Effect.flip(resolve())
      const took = (yield* Clock.currentTimeMillis) - before
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") {
        assert.deepInclude(error.reason, { _tag: "TimedOut", limit: "attemptTimeout", afterMillis: 150 })
      }
      assert.isAtLeast(took, 295)
      assert.isBelow(took, 3_000)
      yield* idp.awaitAbandoned(2)
    }).pipe(quietly),
  )

  it.live("the deadline ends a flight, whatever attemptTimeout says", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({
        registration: { retryPolicy: { attemptTimeout: "200 millis", deadline: "300 millis", initialBackoff: 0 } },
      })
      yield* idp.faults.hang()
      const before = yield* Clock.currentTimeMillis
      yield* Effect.flip(resolve())
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 1_500)
      assert.isAtMost(idp.requests, 2)
    }).pipe(quietly),
  )

  it.live("a reset half-way through the body is tried again", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ registration: { retryPolicy: { initialBackoff: "1 millis" } } })
      yield* idp.faults.resetMidway({ next: 1 })
      yield* idp.faults.truncated({ next: 1 })
      assert.strictEqual((yield* resolve()).freshness, "fresh")
      assert.strictEqual(idp.requests, 3)
    }).pipe(quietly),
  )

  it.live("a reset half-way through the body does not cost the set", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUp({ registration: { retryPolicy: { maxRetries: 0 } } })
      yield* resolve()
      yield* idp.faults.resetMidway()
      const error = yield* Effect.flip(refresh)
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, "TransportFailed")
      assert.strictEqual((yield* resolve()).freshness, "fresh")
    }).pipe(quietly),
  )

  it.live("an endless body is cut at the limit", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ registration: { maxResponseBytes: 100_000 } })
      yield* idp.faults.oversized(Infinity)
      const error = yield* Effect.flip(resolve())
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") {
        assert.deepInclude(error.reason, { _tag: "BodyTooLarge", limitBytes: 100_000 })
      }
      // The exchange is over: the client has closed it.
      yield* idp.awaitResponses(1)
    }).pipe(quietly),
  )

  it.live("a redirect is followed hop by hop, and never to a refused address", () =>
    Effect.gen(function* () {
      const other = yield* FakeProvider.make()
      const { idp, registry, resolve } = yield* setUp({ options: { allowPrivateAddresses: ["127.0.0.1"] } })
      yield* idp.faults.redirect(other.jwksUrl)
      const { kid } = other.keys.current
      assert.strictEqual((yield* resolve(kid)).kid, kid)
      assert.deepStrictEqual([idp.requests, other.requests], [1, 1])
      yield* idp.faults.redirect(`http://localhost:${other.port}/jwks`)
      const error = yield* Effect.flip(registry.refresh("acme", "idp"))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, "AddressRefused")
      assert.strictEqual(other.requests, 1)
    }).pipe(quietly),
  )

  it.live("the close of the layer ends the request that is under way, and answers whoever waits", () =>
    Effect.gen(function* () {
      const idp = yield* FakeProvider.make()
      yield* idp.faults.hang()
      const scope = yield* Scope.make()
      const registry = yield* Scope.provide(openRegistry(), scope)
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      const caller = yield* Effect.forkChild(Effect.flip(registry.resolve("acme", "idp")))
      yield* idp.faults.awaitMet(1)
      yield* Scope.close(scope, Exit.void)
      const error = yield* Fiber.join(caller)
      assert.deepInclude(error, { _tag: "JwksUnavailable", reason: { _tag: "RegistryClosed" } })
      yield* idp.awaitAbandoned(1)
    }).pipe(quietly),
  )
})

describe("An outage, with connections that are refused", () => {
  it.live("says so when cold, and recovers by its own timer when the provider comes back on its port", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      const { jwksUrl, port } = yield* Scope.provide(FakeProvider.make(), first)
      yield* Scope.close(first, Exit.void)
      const registry = yield* openRegistry()
      yield* registry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl,
        warm: false,
        retryPolicy: { maxRetries: 0 },
      })
      const error = yield* Effect.flip(registry.resolve("acme", "idp"))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") {
        assert.deepInclude(error.reason, { _tag: "TransportFailed", detail: "ECONNREFUSED" })
      }
      const recovered = yield* nextEvent(registry, "RefreshRecovered")
      const second = yield* FakeProvider.make({ port })
      yield* Fiber.join(recovered)
      assert.strictEqual((yield* registry.resolveKey("acme", second.keys.current.kid)).freshness, "fresh")
    }).pipe(quietly),
  )

  it.live("serves the stale set of a second's lifetime in real time, then a fresh one", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      const idp = yield* Scope.provide(FakeProvider.make({ response: { cacheControl: "max-age=1" } }), first)
      const registry = yield* openRegistry()
      // Only strictHttp lets a set live for less than 30 s.
      yield* registry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl: idp.jwksUrl,
        strictHttp: true,
        retryPolicy: { maxRetries: 0 },
      })
      const { kid } = idp.keys.current
      const key = yield* registry.resolveKey("acme", kid)
      yield* Scope.close(first, Exit.void)
      yield* Effect.sleep(Math.max(0, key.expiresAt - (yield* Clock.currentTimeMillis) + 1))
      const stale = yield* registry.resolveKey("acme", kid)
      assert.deepStrictEqual([stale.freshness, stale.fetchedAt], ["stale", key.fetchedAt])
      const recovered = yield* nextEvent(registry, "RefreshRecovered")
      const second = yield* FakeProvider.make({ port: idp.port })
      yield* Fiber.join(recovered)
      assert.strictEqual((yield* registry.resolveKey("acme", second.keys.current.kid)).freshness, "fresh")
    }).pipe(quietly),
  )

  it.effect(
    "lasts for an hour on the registry's clock: stale to the end of the window, then unavailable, then back",
    () =>
      Effect.gen(function* () {
        const first = yield* Scope.make()
        const idp = yield* Scope.provide(FakeProvider.make(), first)
        const registry = yield* openRegistry()
        yield* registry.register({
          tenant: "acme",
          provider: "idp",
          jwksUrl: idp.jwksUrl,
          prefetchJitter: 0,
          retryPolicy: { maxRetries: 0 },
        })
        const resolve = registry.resolveKey("acme", idp.keys.current.kid)
        const { expiresAt } = yield* resolve
        yield* Scope.close(first, Exit.void)
        const failed = yield* nextEvent(registry, "RefreshFailed")
        yield* TestClock.setTime(expiresAt - 30_000)
        assert.deepInclude((yield* Fiber.join(failed)).reason, { _tag: "TransportFailed", detail: "ECONNREFUSED" })
        yield* TestClock.setTime(expiresAt)
        assert.strictEqual((yield* resolve).freshness, "stale")
        yield* TestClock.setTime(expiresAt + 3_600_000 - 1)
        assert.strictEqual((yield* resolve).freshness, "stale")
        yield* TestClock.setTime(expiresAt + 3_600_000)
        // Whatever attempt is under way, it can only fail.
        assert.strictEqual((yield* Effect.flip(resolve))._tag, "JwksUnavailable")
        const second = yield* FakeProvider.make({ port: idp.port })
        yield* registry.refresh("acme", "idp")
        assert.strictEqual((yield* registry.resolveKey("acme", second.keys.current.kid)).freshness, "fresh")
      }).pipe(quietly),
  )

  it.live("of one provider does not hold up another", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp()
      const hanging = yield* FakeProvider.make()
      yield* hanging.faults.hang()
      for (let i = 0; i < 40; i += 1) {
        yield* registry.register({
          tenant: `tenant-${i}`,
          provider: "hanging",
          jwksUrl: hanging.jwksUrl,
          retryPolicy: { attemptTimeout: "300 millis" },
        })
      }
      yield* hanging.awaitRequests(16)
      const before = yield* Clock.currentTimeMillis
      yield* registry.resolveKey("acme", idp.keys.current.kid)
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 300 + 700)
    }).pipe(quietly),
  )
})
