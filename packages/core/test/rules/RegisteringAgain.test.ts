import { assert, describe, it } from "@effect/vitest"
import type { ProviderRegistration } from "@effect-jwks/core"
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
  openRegistry,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
} from "./support.ts"

describe("Registering does no I/O on the caller's time", () => {
  it.effect("returns at once, whatever the provider does, and fetches in the background", () =>
    Effect.gen(function* () {
      const { idp, registered, registry } = yield* setUp({
        before: (idp) => idp.faults.hang(),
        register: false,
      })
      yield* answerAtOnce(registry.register(registered))
      assert.strictEqual(idp.requests, 1)
      assert.strictEqual((yield* registry.providerStatus("acme", "idp")).state, "Loading")
    }),
  )

  it.effect("fetches nothing at all where warm is false, until the first use", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ registration: { warm: false } })
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 0)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )
})

describe("Registering again keeps the set only if URL, issuer and every transport setting are unchanged", () => {
  const https = { requireHttps: true }
  const kept: ReadonlyArray<readonly [string, Partial<ProviderRegistration>]> = [
    ["nothing", {}],
    ["the lead", { refreshEarly: "1 minute" }],
    ["the jitter", { prefetchJitter: "1 second" }],
    ["the stale window", { staleWhileError: "2 hours" }],
    ["the memory of absent kids", { negativeCacheTtl: "1 minute" }],
    ["the budget for unknown kids", { kidRefresh: { burst: 9 } }],
    ["the clamps", { minTtl: "2 minutes", maxTtl: "2 hours" }],
    ["the grace", { removedKeyGrace: "1 minute" }],
    ["the algorithms", { algorithms: ["ES256", "RS256"] }],
    ["warm", { warm: false }],
  ]
  for (const [what, change] of kept) {
    it.effect(`keeps it when it changes ${what}`, () =>
      Effect.gen(function* () {
        const { idp, registerAgain, resolve } = yield* setUpLoaded({ registration: https })
        yield* TestClock.adjust("1 minute")
        yield* idp.faults.hang()
        yield* registerAgain(change)
        const key = yield* answerAtOnce(resolve())
        assert.deepInclude(key, { freshness: "fresh", fetchedAt: start })
      }),
    )
  }

  const dropped: ReadonlyArray<readonly [string, Partial<ProviderRegistration>]> = [
    ["the URL", { jwksUrl: "https://idp.test/jwks?v=2" }],
    ["the issuer", { issuer: "https://idp.test/other" }],
    ["requireHttps", { requireHttps: false }],
    ["allowedDomains", { allowedDomains: ["idp.test"] }],
    ["maxRedirects", { maxRedirects: 0 }],
  ]
  for (const [what, change] of dropped) {
    it.effect(`drops it when it changes ${what}, and fetches anew`, () =>
      Effect.gen(function* () {
        const { idp, registerAgain, resolve, status } = yield* setUpLoaded({ registration: https })
        yield* TestClock.adjust("1 minute")
        yield* idp.faults.hold
        yield* registerAgain(change)
        assert.deepInclude(yield* status, { usable: false, state: "Loading", keys: [] })
        const caller = yield* begin(resolve())
        assertWaits(caller)
        yield* idp.faults.release()
        assert.strictEqual((yield* Fiber.join(caller)).fetchedAt, start + minutes(1))
        // No validators of the set that is gone.
        assert.notProperty(idp.log.at(-1)?.headers ?? {}, "if-none-match")
      }),
    )
  }
})

describe("Registering again runs key policy and clamps over the held set", () => {
  it.effect("keys that do not fit any more are gone at once, and come back with the old policy", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve, resolveSet, status } = yield* setUpLoaded({
        provider: {
          keys: {
            keys: [
              { alg: "ES256", kid: "ec" },
              { alg: "EdDSA", kid: "ed" },
            ],
            spareKeys: 0,
          },
        },
      })
      yield* idp.faults.hang()
      assert.lengthOf((yield* resolveSet).jwks.keys, 2)
      yield* registerAgain({ algorithms: ["ES256"] })
      assert.deepStrictEqual(
        (yield* resolveSet).jwks.keys.map(({ kid }) => kid),
        ["ec"],
      )
      assert.deepInclude(yield* errorAtOnce(resolve("ed")), { _tag: "KeyNotFound", dropped: "AlgorithmNotAllowed" })
      assert.deepInclude((yield* status).dropped, { kid: "ed", reason: "AlgorithmNotAllowed" })
      yield* registerAgain({})
      yield* answerAtOnce(resolve("ed"))
    }),
  )

  it.effect("minRsaBits holds for keys that are there already", () =>
    Effect.gen(function* () {
      const { registerAgain, resolve } = yield* setUpLoaded({
        provider: {
          keys: { keys: [{ alg: "ES256" }, { alg: "RS256", kid: "rsa" }], spareKeys: 0 },
        },
      })
      yield* answerAtOnce(resolve("rsa"))
      yield* registerAgain({ minRsaBits: 3_072 })
      assert.deepInclude(yield* errorAtOnce(resolve("rsa")), { _tag: "KeyNotFound", dropped: "RsaModulusTooSmall" })
    }),
  )

  it.effect("a shorter maxTtl shortens the lifetime, and the window moves with it", () =>
    Effect.gen(function* () {
      const { registerAgain, status } = yield* setUpLoaded()
      yield* TestClock.adjust("1 minute")
      yield* registerAgain({ maxTtl: "5 minutes", staleWhileError: "10 minutes" })
      const { expiresAt, fetchedAt, nextRefreshAt, staleUntil } = yield* status
      assert.deepStrictEqual(
        { fetchedAt, expiresAt, staleUntil, nextRefreshAt },
        {
          fetchedAt: start,
          expiresAt: start + minutes(5),
          staleUntil: start + minutes(15),
          nextRefreshAt: start + seconds(270),
        },
      )
    }),
  )

  it.effect("a maxTtl that has passed already ends the set: the next caller joins a flight", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve } = yield* setUpLoaded()
      yield* TestClock.adjust("8 minutes")
      yield* idp.faults.hold
      yield* registerAgain({ maxTtl: "2 minutes" })
      const caller = yield* begin(resolve())
      assertWaits(caller)
      yield* idp.faults.release()
      assert.strictEqual((yield* Fiber.join(caller)).fetchedAt, start + minutes(8))
    }),
  )

  it.effect("times only get shorter", () =>
    Effect.gen(function* () {
      const { registerAgain, status } = yield* setUpLoaded({ registration: { staleWhileError: "10 minutes" } })
      const before = yield* status
      yield* registerAgain({ minTtl: "1 hour", maxTtl: "2 hours", staleWhileError: "2 hours" })
      const after = yield* status
      assert.deepStrictEqual([after.expiresAt, after.staleUntil], [before.expiresAt, before.staleUntil])
    }),
  )

  it.effect("staleWhileError 0 ends the stale answers at once", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.adjust("15 minutes")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      yield* registerAgain({ staleWhileError: 0 })
      assert.strictEqual((yield* Effect.flip(resolve()))._tag, "JwksUnavailable")
    }),
  )
})

describe("Each register and unregister starts a new generation", () => {
  it.effect("waiters of an older flight move to the new one", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const [one, two] = yield* Effect.all([
        ScriptedProvider.make({ issuer: "https://one.test", keys: { keys: [{ kid: "1" }] } }),
        ScriptedProvider.make({ issuer: "https://two.test", keys: { keys: [{ kid: "1" }] } }),
      ])
      const registry = yield* openRegistry([one, two])
      yield* one.faults.hold
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: one.jwksUrl })
      const caller = yield* begin(registry.resolveKey("acme", "1", { provider: "idp" }))
      const anyProvider = yield* begin(registry.resolveKey("acme", "1"))
      const setCaller = yield* begin(registry.resolve("acme", "idp"))
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: two.jwksUrl })
      for (const fiber of [caller, anyProvider]) {
        assert.strictEqual((yield* answerAtOnce(Fiber.join(fiber))).thumbprint, two.keys.current.thumbprint)
      }
      assert.strictEqual((yield* answerAtOnce(Fiber.join(setCaller))).jwks.keys[0]?.x, two.keys.current.publicJwk.x)
      yield* one.faults.release()
      yield* settle
      const key = yield* registry.resolveKey("acme", "1", { provider: "idp" })
      assert.strictEqual(key.thumbprint, two.keys.current.thumbprint)
    }),
  )

  it.effect("waiters move on even when nothing was changed", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve } = yield* setUp({ before: (idp) => idp.faults.holdNext(1) })
      const caller = yield* begin(resolve())
      yield* registerAgain({})
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "fresh")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("waiters get NotRegistered when the provider is unregistered", () =>
    Effect.gen(function* () {
      const { idp, refresh, registry, resolve, resolveSet } = yield* setUp({ before: (idp) => idp.faults.hold })
      const callers = [
        yield* begin(Effect.flip(resolve("1"))),
        yield* begin(Effect.flip(resolveSet)),
        yield* begin(Effect.flip(refresh)),
      ]
      assert.isTrue(yield* registry.unregister("acme", "idp"))
      for (const caller of callers) {
        assert.deepInclude(yield* answerAtOnce(Fiber.join<unknown, unknown>(caller)), { _tag: "NotRegistered" })
      }
      yield* idp.faults.release()
      yield* settle
      assert.deepInclude(yield* errorAtOnce(resolve()), { _tag: "NotRegistered" })
    }),
  )

  it.effect("waiters get NotRegistered when the tenant is unregistered", () =>
    Effect.gen(function* () {
      const { registry, resolve } = yield* setUp({ before: (idp) => idp.faults.hang() })
      const named = yield* begin(Effect.flip(resolve("1")))
      const anyProvider = yield* begin(Effect.flip(registry.resolveKey("acme", "1")))
      assert.strictEqual(yield* registry.unregisterTenant("acme"), 1)
      assert.deepInclude(yield* answerAtOnce(Fiber.join(named)), { _tag: "NotRegistered" })
      assert.deepInclude(yield* answerAtOnce(Fiber.join(anyProvider)), { _tag: "NotRegistered" })
    }),
  )

  it.effect("an older flight commits nothing, though it was the same URL: neither a set nor a failure", () =>
    Effect.gen(function* () {
      const { idp, registered, registry, status } = yield* setUp({ before: (idp) => idp.faults.holdNext(1) })
      yield* registry.unregister("acme", "idp")
      yield* idp.faults.hang()
      yield* registry.register({ ...registered, warm: false })
      yield* idp.faults.release()
      yield* settle
      assert.deepInclude(yield* status, { state: "Empty", usable: false, refreshes: 0, refreshErrors: 0 })
    }),
  )

  it.effect("a failure of the old generation does not hold back the new one", () =>
    Effect.gen(function* () {
      const { registerAgain, resolve } = yield* setUp({
        before: (idp) => idp.faults.status(503, { next: 1, retryAfter: "10 minutes" }),
      })
      assert.deepInclude(yield* errorAtOnce(resolve()), { _tag: "JwksUnavailable" })
      yield* registerAgain({ jwksUrl: "https://idp.test/jwks?v=2" })
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
    }),
  )

  it.effect("the timers of the old generation are gone", () =>
    Effect.gen(function* () {
      const { idp, registered, registry } = yield* setUpLoaded()
      for (let i = 0; i < 20; i += 1) yield* registry.register({ ...registered, refreshEarly: 2_000 + i })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("a refused registration leaves the old one as it was", () =>
    Effect.gen(function* () {
      const { idp, registerAgain, resolve, status } = yield* setUpLoaded()
      yield* Effect.flip(registerAgain({ jwksUrl: "ftp://idp.test/jwks" }))
      yield* Effect.flip(registerAgain({ maxTtl: "1 second" }))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.strictEqual((yield* status).url, idp.jwksUrl)
    }),
  )
})

describe("unregister and unregisterTenant", () => {
  it.effect("unregister says whether there was one", () =>
    Effect.gen(function* () {
      const { registry, resolve } = yield* setUpLoaded()
      assert.isFalse(yield* registry.unregister("acme", "other"))
      assert.isFalse(yield* registry.unregister("other", "idp"))
      assert.isTrue(yield* registry.unregister("acme", "idp"))
      assert.isFalse(yield* registry.unregister("acme", "idp"))
      assert.deepInclude(yield* errorAtOnce(resolve("1")), { _tag: "NotRegistered", tenant: "acme" })
      assert.isEmpty(yield* registry.allStatuses)
    }),
  )

  it.effect("unregister ends the background work", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUpLoaded()
      yield* registry.unregister("acme", "idp")
      yield* TestClock.adjust("1 day")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("unregister gives up the request that is under way", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ before: (idp) => idp.faults.hang() })
      yield* settle
      yield* registry.unregister("acme", "idp")
      yield* idp.awaitAbandoned(1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("unregisterTenant says how many there were, and touches no other tenant", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUpLoaded()
      for (const provider of ["b", "c"]) yield* registry.register({ tenant: "acme", provider, jwksUrl: idp.jwksUrl })
      for (const tenant of ["acm", "acme2", "acme|idp"]) {
        yield* registry.register({ tenant, provider: "idp", jwksUrl: idp.jwksUrl })
      }
      yield* settle
      assert.strictEqual(yield* registry.unregisterTenant("acme"), 3)
      assert.strictEqual(yield* registry.unregisterTenant("acme"), 0)
      assert.strictEqual(yield* registry.unregisterTenant("nobody"), 0)
      assert.sameMembers(
        (yield* registry.allStatuses).map(({ tenant }) => tenant),
        ["acm", "acme2", "acme|idp"],
      )
      yield* answerAtOnce(registry.resolve("acme2", "idp"))
    }),
  )

  it.effect("a provider that is registered after it was unregistered begins anew", () =>
    Effect.gen(function* () {
      const { idp, registered, registry, resolve, status } = yield* setUpLoaded()
      yield* resolve()
      yield* registry.unregister("acme", "idp")
      yield* idp.faults.hold
      yield* registry.register(registered)
      yield* settle
      assert.deepInclude(yield* status, { state: "Loading", usable: false, hits: 0, requests: 0 })
    }),
  )
})
