/**
 * Listing, looking at and refreshing providers.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ProviderDetail, ProviderPage } from "@effect-jwks/admin"
import type { ProviderStatus } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import {
  failedStatus,
  openAdmin,
  openAdminOn,
  ownMetrics,
  settle,
  statusOf,
  toldRegistry,
} from "./support/OpenAdmin.ts"

const { freshness: _, ...unloaded } = statusOf({ tenant: "bolt", provider: "idle", state: "Empty", usable: false })

const noNextAttempt: ProviderStatus["failure"] = {
  reason: { _tag: "TimedOut", url: "https://idp.test/jwks", limit: "deadline", afterMillis: 5_000 },
  at: 40,
  count: 1,
  nextAttemptAt: Number.POSITIVE_INFINITY,
}

const fleet: ReadonlyArray<ProviderStatus> = [
  statusOf({ tenant: "cone", provider: "b", expiresAt: 300, requests: 10, hits: 5, refreshes: 4, notModified: 1 }),
  statusOf({
    tenant: "acme",
    provider: "okta",
    url: "https://ACME.okta.test/keys",
    expiresAt: 100,
    requests: 8,
    hits: 8,
  }),
  failedStatus(statusOf({ tenant: "bolt", provider: "down", refreshes: 9, notModified: 9 }), 3),
  unloaded,
  statusOf({ tenant: "acme", provider: "auth0", freshness: "stale", expiresAt: 50, failure: noNextAttempt }),
  failedStatus(statusOf({ tenant: "cone", provider: "a" }), 12),
]

const openFleet = Effect.gen(function* () {
  const { registry } = yield* toldRegistry(fleet)
  const { ask, json } = yield* openAdminOn(registry)
  const list = (query: string) => json<ProviderPage>(`/api/providers${query}`)
  const names = (query: string) =>
    Effect.map(list(query), ({ items }) => items.map(({ provider, tenant }) => `${tenant}/${provider}`).join(" "))
  return { ask, list, names }
})

describe("The list", () => {
  it.effect("is by tenant and then by provider, with its counts", () =>
    Effect.gen(function* () {
      const { list } = yield* openFleet
      yield* TestClock.setTime(5_000)
      const { items, ...page } = yield* list("")
      assert.deepStrictEqual(page, {
        now: 5_000,
        total: 6,
        counts: { fresh: 2, stale: 1, failed: 2, waiting: 1 },
        offset: 0,
      })
      assert.deepStrictEqual(items[0], {
        tenant: "acme",
        provider: "auth0",
        url: "https://idp.test/jwks",
        state: "Ready",
        health: "stale",
        keys: 0,
        dropped: 0,
        expiresAt: 50,
        failure: {
          reason: "TimedOut",
          message: "https://idp.test/jwks did not answer within its deadline of 5000 ms",
          at: 40,
          count: 1,
        },
        requests: 0,
        hits: 0,
        misses: 0,
        stale: 0,
        refreshes: 0,
        refreshErrors: 0,
        notModified: 0,
      })
    }),
  )

  it.effect.each<[string, string]>([
    ["", "acme/auth0 acme/okta bolt/down bolt/idle cone/a cone/b"],
    ["?order=desc", "cone/b cone/a bolt/idle bolt/down acme/okta acme/auth0"],
    ["?sort=health", "bolt/down cone/a acme/auth0 bolt/idle acme/okta cone/b"],
    ["?sort=health&order=desc", "acme/okta cone/b bolt/idle acme/auth0 bolt/down cone/a"],
    ["?sort=expiry", "acme/auth0 acme/okta cone/b bolt/down bolt/idle cone/a"],
    ["?sort=expiry&order=desc", "cone/b acme/okta acme/auth0 bolt/down bolt/idle cone/a"],
    ["?sort=failures&order=desc", "cone/a bolt/down acme/auth0 acme/okta bolt/idle cone/b"],
    ["?sort=requests&order=desc", "cone/b acme/okta acme/auth0 bolt/down bolt/idle cone/a"],
    ["?sort=hitRatio", "cone/b acme/okta acme/auth0 bolt/down bolt/idle cone/a"],
    ["?sort=notModifiedRatio&order=desc", "bolt/down cone/b acme/auth0 acme/okta bolt/idle cone/a"],
    ["?tenant=acme", "acme/auth0 acme/okta"],
    ["?tenant=ac", ""],
    ["?search=OKTA", "acme/okta"],
    ["?search=acme.OKTA.test", "acme/okta"],
    ["?search=e", "acme/auth0 acme/okta bolt/down bolt/idle cone/a cone/b"],
    ["?search=&tenant=&health=failed", "bolt/down cone/a"],
    ["?health=waiting", "bolt/idle"],
    ["?limit=2&offset=1", "acme/okta bolt/down"],
    ["?offset=99", ""],
  ])("%s gives %s", ([query, expected]) =>
    Effect.gen(function* () {
      const { names } = yield* openFleet
      assert.strictEqual(yield* names(query), expected)
    }),
  )

  it.effect("counts by health what search and tenant let through, and in total what all filters do", () =>
    Effect.gen(function* () {
      const { list } = yield* openFleet
      const { counts, items, total } = yield* list("?tenant=cone&health=failed&limit=1")
      assert.deepStrictEqual({ counts, total }, { counts: { fresh: 1, stale: 0, failed: 1, waiting: 0 }, total: 1 })
      assert.lengthOf(items, 1)
    }),
  )

  it.effect.each([
    "?limit=0",
    "?limit=501",
    "?limit=1.5",
    "?limit=x",
    "?limit=",
    "?limit=1&limit=2",
    "?offset=-1",
    "?health=well",
    "?sort=color",
    "?order=up",
  ])("%s is a bad request, told without what was written", (query) =>
    Effect.gen(function* () {
      const { ask } = yield* openFleet
      const response = yield* ask(`/api/providers${query}`)
      assert.strictEqual(response.status, 400)
      const name = /\w+/.exec(query)?.[0] ?? ""
      assert.deepStrictEqual(yield* Effect.promise(() => response.json()), {
        _tag: "BadRequest",
        message: `query: ${name} can not be used; see openapi.json`,
      })
    }),
  )
})

describe("One provider", () => {
  it.effect("shows its keys with public members, what was dropped, its failures and its events", () =>
    Effect.gen(function* () {
      const { idp, json, register, registry } = yield* openAdmin()
      const [bare] = staticKeys(1)
      yield* idp.keys.publish([
        { ...bare, kid: "extra", internal: { secret: "note" } },
        { kty: "oct", k: "c2VjcmV0", kid: "shared" },
      ])
      yield* register("idp")
      yield* settle
      yield* idp.faults.status(404)
      yield* TestClock.adjust("10 minutes")
      yield* Effect.ignore(registry.refresh("acme", "idp"))
      yield* settle
      const before = yield* registry.providerStatus("acme", "idp")
      const detail = yield* json<ProviderDetail>("/api/providers/acme/idp")
      assert.strictEqual(detail.url, idp.jwksUrl)
      assert.strictEqual(detail.health, "stale")
      assert.deepStrictEqual(
        detail.keyList.map(({ kid }) => kid),
        [idp.keys.current.kid, "extra"],
      )
      const { x, y, ...others } = detail.keyList[1]?.jwk ?? assert.fail("no jwk")
      assert.deepStrictEqual([x, y], [bare?.x, bare?.y])
      assert.deepStrictEqual(others, { kty: "EC", crv: "P-256", use: "sig", alg: "ES256", kid: "extra" })
      assert.deepStrictEqual(detail.droppedList, [{ kid: "shared", reason: "SymmetricKey" }])
      assert.isNotEmpty(detail.errors)
      assert.deepStrictEqual(detail.errors[0], {
        at: detail.failure?.at ?? 0,
        reason: "HttpStatus",
        message: `${idp.jwksUrl} answered with status 404`,
      })
      assert.include(
        detail.events.map(({ tag }) => tag),
        "KeysChanged",
      )
      assert.isAbove(detail.events[0]?.id ?? 0, detail.events[1]?.id ?? 0)
      // Looking is no resolve: it counts nothing, and keeps nothing awake.
      const after = yield* registry.providerStatus("acme", "idp")
      assert.deepStrictEqual([after.requests, after.hits], [before.requests, before.hits])
    }).pipe(ownMetrics),
  )

  it.effect("has no keys to show when it can not answer, and forgets its failures with its registration", () =>
    Effect.gen(function* () {
      const { idp, json, register, registry } = yield* openAdmin()
      yield* idp.faults.status(404)
      yield* register("idp")
      yield* settle
      assert.isNotEmpty((yield* json<ProviderDetail>("/api/providers/acme/idp")).errors)
      yield* registry.unregister("acme", "idp")
      yield* idp.faults.heal
      yield* register("idp")
      yield* settle
      const detail = yield* json<ProviderDetail>("/api/providers/acme/idp")
      assert.deepStrictEqual(detail.errors, [])
      assert.strictEqual(detail.health, "fresh")
    }).pipe(ownMetrics),
  )

  it.effect("is found under any name that a URL can hold", () =>
    Effect.gen(function* () {
      const { json, register } = yield* openAdmin()
      for (const name of ["a/b", "%2F", "a?b#c", ":x", "*", "a;b", "x".repeat(128), "~!@$&'()+,="]) {
        yield* register(name, name)
        const path = `/api/providers/${encodeURIComponent(name)}/${encodeURIComponent(name)}`
        const { provider, tenant } = yield* json<ProviderDetail>(path)
        assert.deepStrictEqual([tenant, provider], [name, name])
        yield* json(`${path}/refresh`, { method: "POST" })
      }
    }).pipe(ownMetrics),
  )
})

describe("A forced refresh", () => {
  const refresh = (ask: Effect.Success<ReturnType<typeof openAdmin>>["ask"], provider: string) =>
    Effect.gen(function* () {
      const response = yield* ask(`/api/providers/acme/${provider}/refresh`, { method: "POST" })
      return { status: response.status, body: yield* Effect.promise(() => response.json()) }
    })

  it.effect("says what changed, that nothing did, that there is no such provider, or why it failed", () =>
    Effect.gen(function* () {
      const { ask, idp, register } = yield* openAdmin()
      yield* register("idp")
      yield* settle
      assert.deepStrictEqual(yield* refresh(ask, "idp"), {
        status: 200,
        body: { _tag: "NotModified", expiresAt: 600_000 },
      })
      const { kid, thumbprint } = yield* idp.keys.rotate()
      const { body, status } = yield* refresh(ask, "idp")
      assert.strictEqual(status, 200)
      assert.deepInclude(body, { _tag: "Updated", added: [thumbprint] }, kid)
      assert.deepStrictEqual(yield* refresh(ask, "nobody"), {
        status: 404,
        body: {
          _tag: "NotRegistered",
          message: 'tenant "acme" has no provider "nobody"; register it first',
          tenant: "acme",
          provider: "nobody",
        },
      })
      yield* idp.faults.status(404)
      const unavailable = yield* refresh(ask, "idp")
      assert.strictEqual(unavailable.status, 503)
      assert.deepInclude(unavailable.body, {
        _tag: "JwksUnavailable",
        message: `no keys of provider idp of tenant acme: ${idp.jwksUrl} answered with status 404`,
        reason: { _tag: "HttpStatus", url: idp.jwksUrl, status: 404 },
      })
    }).pipe(ownMetrics),
  )
})
