/**
 * Providers that are registered by their issuer alone: where the metadata are looked for, what they may
 * say, how long they count, and what happens when the JWK Set moves.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwksEvent, JwksRegistryOptions, ProviderRegistration, UnavailableReason } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import type { IdentityProvider, ScriptedProviderOptions } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, begin, errorAtOnce, hours, minutes, openStrictRegistry, settle, start } from "./support.ts"

const issuer = "https://idp.test"

interface SetUp {
  readonly provider?: ScriptedProviderOptions
  readonly registration?: Partial<ProviderRegistration>
  readonly options?: JwksRegistryOptions
  readonly others?: ReadonlyArray<IdentityProvider>
  /** Before the registration. */
  readonly before?: (idp: IdentityProvider) => Effect.Effect<unknown>
}

/** A provider that is registered by its issuer, and a registry that has just asked it for nothing yet. */
const setUp = Effect.fnUntraced(function* ({ before, options, others = [], provider, registration }: SetUp = {}) {
  yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make({ issuer, keptRequests: 1_000, ...provider })
  yield* before?.(idp) ?? Effect.void
  const registry = yield* openStrictRegistry([idp, ...others], options)
  const register = registry.register({
    tenant: "acme",
    provider: "idp",
    issuer: provider?.issuer ?? issuer,
    prefetchJitter: 0,
    ...registration,
  })
  const resolve = registry.resolve("acme", "idp")
  return {
    idp,
    registry,
    register,
    resolve,
    refresh: registry.refresh("acme", "idp"),
    status: registry.providerStatus("acme", "idp"),
    /** Registers, and tells why the first flight fails. */
    reason: Effect.andThen(
      register,
      Effect.map(errorAtOnce(resolve), (error): UnavailableReason =>
        error._tag === "JwksUnavailable" ? error.reason : assert.fail(`got ${error._tag}`),
      ),
    ),
  }
})

const asked = (provider: IdentityProvider) => provider.log.map(({ url }) => url)

const registered = (more: SetUp = {}) =>
  Effect.tap(setUp(more), ({ register, resolve }) => Effect.andThen(register, resolve))

const oneRetry = { maxRetries: 1, initialBackoff: 0, jitter: "none" } as const

describe("The metadata", () => {
  it.effect("are looked for as OpenID Connect Discovery says", () =>
    Effect.gen(function* () {
      const { idp, resolve, status } = yield* registered()
      assert.strictEqual((yield* resolve).jwks.keys.length, 1)
      assert.deepStrictEqual(asked(idp), [`${issuer}/.well-known/openid-configuration`, idp.jwksUrl])
      assert.strictEqual((yield* status).url, idp.jwksUrl)
    }),
  )

  for (const [given, openId, oauth] of [
    [
      "https://idp.test/tenant/1",
      "https://idp.test/tenant/1/.well-known/openid-configuration",
      "https://idp.test/.well-known/oauth-authorization-server/tenant/1",
    ],
    [
      "https://idp.test/tenant/",
      "https://idp.test/tenant/.well-known/openid-configuration",
      "https://idp.test/.well-known/oauth-authorization-server/tenant",
    ],
    [
      "https://idp.test/",
      "https://idp.test/.well-known/openid-configuration",
      "https://idp.test/.well-known/oauth-authorization-server",
    ],
  ] as const) {
    it.effect(`of ${given} are looked for at the OpenID form, and on 404 at that of RFC 8414`, () =>
      Effect.gen(function* () {
        const first = yield* registered({ provider: { issuer: given } })
        assert.deepStrictEqual(asked(first.idp), [openId, first.idp.jwksUrl])
        const second = yield* registered({ provider: { issuer: given, discovery: "oauth" } })
        assert.deepStrictEqual(asked(second.idp), [openId, oauth, second.idp.jwksUrl])
      }),
    )
  }

  it.effect("that are nowhere are DiscoveryFailed", () =>
    Effect.gen(function* () {
      const { idp, reason } = yield* setUp({ provider: { discovery: "none" } })
      assert.deepStrictEqual(yield* reason, {
        _tag: "DiscoveryFailed",
        url: `${issuer}/.well-known/openid-configuration`,
        rule: "there are no metadata, neither of OpenID Connect Discovery nor of RFC 8414 (404)",
      })
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("are not looked for elsewhere on any other status than 404", () =>
    Effect.gen(function* () {
      for (const status of [401, 403, 410, 500, 503]) {
        const { idp, reason } = yield* setUp({
          before: (idp) => idp.faults.status(status, { only: "discovery" }),
          registration: { retryPolicy: oneRetry },
        })
        assert.deepStrictEqual(yield* reason, {
          _tag: "HttpStatus",
          url: `${issuer}/.well-known/openid-configuration`,
          status,
        })
        // 5xx is transient, and transient failures of discovery are retried as all others.
        assert.strictEqual(idp.requests, status >= 500 ? 2 : 1, `requests after ${status}`)
      }
    }),
  )

  it.effect("are not asked when jwksUrl is given as well", () =>
    Effect.gen(function* () {
      const { idp } = yield* registered({ registration: { jwksUrl: "https://idp.test/jwks" } })
      assert.deepStrictEqual(asked(idp), [idp.jwksUrl])
    }),
  )

  it.effect("are followed through redirects, under the same rules", () =>
    Effect.gen(function* () {
      const { idp } = yield* registered({
        before: (idp) =>
          idp.faults.redirect(`${issuer}/.well-known/openid-configuration?v=2`, 302, { next: 1, only: "discovery" }),
      })
      assert.strictEqual(idp.requests, 3)
      const refused = yield* setUp({
        before: (idp) => idp.faults.redirect("https://127.0.0.1/", 302, { only: "discovery" }),
      })
      assert.strictEqual((yield* refused.reason)._tag, "AddressRefused")
    }),
  )

  it.effect("are kept for the next attempt of the flight, when the JWK Set fails", () =>
    Effect.gen(function* () {
      const { idp } = yield* registered({
        before: (idp) => idp.faults.status(500, { next: 1, only: "jwks" }),
        registration: { retryPolicy: oneRetry },
      })
      assert.deepStrictEqual(idp.requestsFor, { discovery: 1, jwks: 2, other: 0 })
    }),
  )
})

describe("The metadata may not", () => {
  const discoveryUrl = `${issuer}/.well-known/openid-configuration`
  const failed = (rule: string) => ({ _tag: "DiscoveryFailed" as const, url: discoveryUrl, rule })
  const notPlain = failed("jwks_uri holds a fragment, a backslash, white space or control characters")

  for (const [what, metadata, reason] of [
    ["be about another issuer", { issuer: "https://other.test" }, failed("the metadata are about another issuer")],
    ["spell the issuer with a slash more", { issuer: `${issuer}/` }, failed("the metadata are about another issuer")],
    ["spell the issuer in capitals", { issuer: "https://IDP.test" }, failed("the metadata are about another issuer")],
    ["name no issuer", { issuer: undefined }, failed("the metadata name no issuer")],
    ["name several issuers", { issuer: [issuer] }, failed("the metadata name no issuer")],
    ["have no jwks_uri", { jwks_uri: undefined }, failed("the metadata have no jwks_uri")],
    ["have a list as jwks_uri", { jwks_uri: ["https://idp.test/jwks"] }, failed("the metadata have no jwks_uri")],
    ["have a relative jwks_uri", { jwks_uri: "/jwks" }, failed("jwks_uri is no absolute URL")],
    [
      "lead to http",
      { jwks_uri: "http://idp.test/jwks" },
      { _tag: "UrlRefused", url: "http://idp.test/jwks", rule: "https is required" },
    ],
    [
      "lead to a file",
      { jwks_uri: "file:///etc/passwd" },
      { _tag: "UrlRefused", url: "file:", rule: "only https and http are spoken" },
    ],
    [
      "hide the host behind userinfo",
      { jwks_uri: "https://idp.test@evil.test/jwks" },
      { _tag: "UrlRefused", url: "https://evil.test/jwks", rule: "a URL with userinfo is not fetched" },
    ],
    ["hold a line break", { jwks_uri: "https://idp.test/jw\nks" }, notPlain],
    ["hold a fragment", { jwks_uri: "https://idp.test/jwks#x" }, notPlain],
    ["hold a backslash", { jwks_uri: "https:\\\\idp.test\\jwks" }, notPlain],
    [
      "lead to the metadata service of a cloud",
      { jwks_uri: "https://169.254.169.254/latest" },
      {
        _tag: "AddressRefused",
        host: "169.254.169.254",
        rule: "cloud metadata address (169.254.169.254/32)",
      },
    ],
  ] as const) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const given = yield* setUp({ before: (idp) => idp.publishMetadata(metadata) })
        assert.deepStrictEqual(yield* given.reason, reason)
        assert.strictEqual(given.idp.requestsFor.jwks, 0)
        // No lie is worth a retry.
        assert.strictEqual(given.idp.requests, 1)
      }),
    )
  }

  for (const [what, body, rule] of [
    ["be HTML", "<html>", "the body is not JSON, or nests too deeply"],
    ["be a list", "[]", "the body is not a JSON object"],
    ["be anything but UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "the body is not UTF-8 text"],
  ] as const) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const { reason } = yield* setUp({ before: (idp) => idp.faults.body(body, { only: "discovery" }) })
        assert.deepStrictEqual(yield* reason, failed(rule))
      }),
    )
  }

  it.effect("be larger than maxResponseBytes", () =>
    Effect.gen(function* () {
      const { reason } = yield* setUp({
        before: (idp) => idp.faults.oversized(5_000, { only: "discovery" }),
        registration: { maxResponseBytes: 4_000 },
      })
      assert.deepStrictEqual(yield* reason, { _tag: "BodyTooLarge", url: discoveryUrl, limitBytes: 4_000 })
    }),
  )

  it.effect("lead out of the allowed domains", () =>
    Effect.gen(function* () {
      const elsewhere = yield* ScriptedProvider.make({ issuer: "https://keys.test" })
      const { reason } = yield* setUp({
        others: [elsewhere],
        before: (idp) => idp.publishMetadata({ jwks_uri: elsewhere.jwksUrl }),
        registration: { allowedDomains: ["idp.test"] },
      })
      assert.deepStrictEqual(yield* reason, {
        _tag: "UrlRefused",
        url: elsewhere.jwksUrl,
        rule: "the host is in no allowed domain",
      })
      assert.strictEqual(elsewhere.requests, 0)
    }),
  )

  it.effect("lead from https to http, even where http is allowed", () =>
    Effect.gen(function* () {
      const { reason } = yield* setUp({
        before: (idp) => idp.publishMetadata({ jwks_uri: "http://idp.test/jwks" }),
        options: { requireHttps: false },
        registration: { requireHttps: false },
      })
      assert.strictEqual((yield* reason)._tag, "UrlRefused")
    }),
  )

  it.effect("be answered with a 304 that nobody asked for", () =>
    Effect.gen(function* () {
      const { reason } = yield* setUp({ before: (idp) => idp.faults.status(304, { only: "discovery" }) })
      assert.strictEqual((yield* reason)._tag, "BodyInvalid")
    }),
  )
})

describe("An issuer", () => {
  for (const [given, rule] of [
    ["https://idp.test/?tenant=1", "must have no query where jwksUrl is discovered from it"],
    [
      "http://idp.test",
      "https is required: write https, or set requireHttps to false both here and in the registry's options",
    ],
  ] as const) {
    it.effect(`${given} is refused`, () =>
      Effect.gen(function* () {
        const { register } = yield* setUp({ registration: { issuer: given } })
        assert.deepStrictEqual((yield* Effect.flip(register)).issues, [{ field: "issuer", rule }])
      }),
    )
  }

  it.effect("out of the allowed domains is refused", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp({ options: { allowedDomains: ["example.com"] } })
      assert.deepStrictEqual((yield* Effect.flip(register)).issues, [
        { field: "issuer", rule: "the host is in no allowed domain" },
      ])
    }),
  )
})

describe("What the metadata said counts", () => {
  it.effect("as long as their own headers say, whatever those of the JWK Set say", () =>
    Effect.gen(function* () {
      const { idp } = yield* registered({
        provider: { response: { cacheControl: "max-age=3600" } },
        registration: { minTtl: "1 minute", maxTtl: "10 minutes" },
      })
      assert.deepStrictEqual(idp.requestsFor, { discovery: 1, jwks: 1, other: 0 })
      // The set is renewed 30 s before its 10 minutes are over; so are the metadata at the next flight after theirs.
      yield* TestClock.adjust("570 seconds")
      yield* settle
      assert.deepStrictEqual(idp.requestsFor, { discovery: 1, jwks: 2, other: 0 })
      yield* TestClock.adjust("570 seconds")
      yield* settle
      assert.deepStrictEqual(idp.requestsFor, { discovery: 2, jwks: 3, other: 0 })
    }),
  )

  it.effect("for minTtl at least, and is then revalidated", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* registered({ provider: { response: { cacheControl: "no-cache" } } })
      yield* TestClock.adjust("30 seconds")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, 1)
      yield* TestClock.adjust("31 seconds")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, 2)
      const last = idp.log.filter(({ endpoint }) => endpoint === "discovery").at(-1)
      assert.strictEqual(last?.status, 304)
    }),
  )

  it.effect("is received whole by the first flight that finds it older than maxTtl", () =>
    Effect.gen(function* () {
      const { idp } = yield* registered({
        provider: { response: { cacheControl: "max-age=60" } },
        registration: { maxTtl: "10 minutes" },
      })
      yield* TestClock.adjust("30 minutes")
      const statuses = idp.log
        .filter(({ endpoint }) => endpoint === "discovery")
        .map(({ at, status }) => [at - start, status])
      const whole = statuses.filter(([, status]) => status === 200).map(([at = 0]) => at)
      assert.isAtLeast(whole.length, 3)
      assert.isTrue(whole.every((at, index) => at - (whole[index - 1] ?? 0) <= minutes(12)))
      assert.isTrue(statuses.some(([, status]) => status === 304))
    }),
  )

  it.effect("when asking again fails: the known URL stays, and an event tells", () =>
    Effect.gen(function* () {
      const { idp, refresh, registry, resolve } = yield* registered({
        registration: { negativeCacheTtl: "30 seconds", retryPolicy: { maxRetries: 0 } },
      })
      const events = yield* Effect.forkChild(Stream.runCollect(Stream.take(telling(registry.events), 2)))
      yield* settle
      yield* TestClock.adjust("11 minutes")
      yield* idp.faults.status(500, { only: "discovery" })
      const before = idp.requestsFor
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.strictEqual(idp.requestsFor.discovery, before.discovery + 1)
      assert.strictEqual((yield* resolve).freshness, "fresh")
      // Remembered for negativeCacheTtl, and no longer.
      yield* TestClock.adjust("29 seconds")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, before.discovery + 1)
      yield* TestClock.adjust("1 second")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, before.discovery + 2)
      const told = yield* Fiber.join(events)
      assert.deepStrictEqual(
        told.map((event) => event._tag === "RediscoveryFailed" && [event.reason._tag, event.count]),
        [
          ["HttpStatus", 1],
          ["HttpStatus", 2],
        ],
      )
      yield* idp.faults.heal
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.strictEqual(idp.requestsFor.discovery, before.discovery + 3)
    }),
  )

  it.effect("when the metadata hang: after half of the attempt it goes on with the known URL", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* registered({
        registration: {
          retryPolicy: { maxRetries: 0, attemptTimeout: "2 seconds" },
          maxTtl: "1 hour",
          negativeCacheTtl: 0,
        },
        provider: { response: { cacheControl: "max-age=60" } },
      })
      yield* idp.faults.hang({ only: "discovery" })
      yield* TestClock.adjust("61 seconds")
      const refreshed = yield* begin(refresh)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(refreshed))._tag, "NotModified")
    }),
  )

  it.effect("and a Retry-After of the metadata is kept to, as is its end", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* registered({ registration: { retryPolicy: { maxRetries: 0 } } })
      yield* TestClock.adjust("11 minutes")
      yield* idp.faults.status(429, { only: "discovery", retryAfter: "5 minutes" })
      const before = idp.requestsFor.discovery
      yield* refresh
      yield* TestClock.adjust("299 seconds")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, before + 1)
      yield* TestClock.adjust("1 second")
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, before + 2)
    }),
  )

  it.effect("not for the failed first discovery: that is remembered no longer than negativeCacheTtl", () =>
    Effect.gen(function* () {
      const { idp, reason, resolve } = yield* setUp({
        before: (idp) => idp.publishMetadata({ issuer: "https://other.test" }),
        registration: { negativeCacheTtl: "500 millis" },
      })
      yield* reason
      yield* idp.publishMetadata({ issuer })
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* answerAtOnce(resolve)).jwks.keys.length, 1)
    }),
  )
})

/** The events that tell of discovery. */
const telling = <E, R>(events: Stream.Stream<JwksEvent, E, R>) =>
  Stream.filter(events, ({ _tag }) => _tag === "RediscoveryFailed" || _tag === "JwksUrlDiscovered")

describe("When the JWK Set moves", () => {
  const moving = Effect.fnUntraced(function* (registration: Partial<ProviderRegistration> = {}) {
    yield* TestClock.setTime(start)
    const elsewhere = yield* ScriptedProvider.make({ issuer: "https://keys.test" })
    const given = yield* registered({
      others: [elsewhere],
      registration: { retryPolicy: { maxRetries: 0 }, ...registration },
    })
    const move = given.idp.publishMetadata({ jwks_uri: elsewhere.jwksUrl })
    return { ...given, elsewhere, move }
  })

  for (const status of [404, 410]) {
    it.effect(`a ${status} at its URL sends the flight to the metadata at once`, () =>
      Effect.gen(function* () {
        const { elsewhere, idp, move, refresh, registry, resolve, status: statusOf } = yield* moving()
        const events = yield* Effect.forkChild(Stream.runHead(telling(registry.events)))
        yield* settle
        yield* move
        yield* idp.faults.status(status, { only: "jwks" })
        const outcome = yield* refresh
        assert.strictEqual(outcome._tag, "Updated")
        assert.strictEqual((yield* resolve).jwks.keys[0]?.kid, elsewhere.keys.current.kid)
        // A new URL gets no old validators.
        assert.isUndefined(elsewhere.log[0]?.headers["if-none-match"])
        assert.strictEqual((yield* statusOf).url, elsewhere.jwksUrl)
        const event = yield* Fiber.join(events)
        assert.deepInclude(event._tag === "Some" ? event.value : {}, {
          _tag: "JwksUrlDiscovered",
          url: elsewhere.jwksUrl,
          previous: idp.jwksUrl,
        })
      }),
    )
  }

  it.effect("and the metadata still name the URL that is gone, the flight fails with its status", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* moving()
      yield* idp.faults.status(404, { only: "jwks" })
      const before = idp.requestsFor
      const error = yield* Effect.flip(refresh)
      assert.deepStrictEqual(error._tag === "JwksUnavailable" && error.reason, {
        _tag: "HttpStatus",
        url: idp.jwksUrl,
        status: 404,
      })
      assert.deepStrictEqual(idp.requestsFor, {
        discovery: before.discovery + 1,
        jwks: before.jwks + 1,
        other: before.other,
      })
      assert.strictEqual((yield* resolve).freshness, "fresh")
    }),
  )

  it.effect("to a URL that fails, the set stays until a good fetch", () =>
    Effect.gen(function* () {
      const { elsewhere, idp, move, refresh, resolve } = yield* moving()
      const { kid } = idp.keys.current
      yield* move
      yield* idp.faults.status(404, { only: "jwks" })
      yield* elsewhere.faults.status(500)
      const error = yield* Effect.flip(refresh)
      assert.deepStrictEqual(error._tag === "JwksUnavailable" && error.reason, {
        _tag: "HttpStatus",
        url: elsewhere.jwksUrl,
        status: 500,
      })
      assert.strictEqual((yield* resolve).jwks.keys[0]?.kid, kid)
      yield* elsewhere.faults.heal
      yield* refresh
      assert.strictEqual((yield* resolve).jwks.keys[0]?.kid, elsewhere.keys.current.kid)
    }),
  )

  it.effect("to a URL that redirects to the old one, no old validators go there", () =>
    Effect.gen(function* () {
      const { elsewhere, idp, move, refresh } = yield* moving()
      yield* move
      yield* elsewhere.faults.redirect(idp.jwksUrl)
      yield* idp.faults.status(404, { next: 1, only: "jwks" })
      assert.strictEqual((yield* refresh)._tag, "Updated")
      assert.isUndefined(idp.log.at(-1)?.headers["if-none-match"])
      // From then on the old URL's document is the new one's, validators and all.
      assert.strictEqual((yield* refresh)._tag, "NotModified")
    }),
  )

  it.effect("the new URL is found when the metadata are due, without a failure", () =>
    Effect.gen(function* () {
      const { elsewhere, move, resolve } = yield* moving({ maxTtl: "10 minutes" })
      yield* move
      yield* TestClock.adjust(hours(1))
      assert.strictEqual((yield* resolve).jwks.keys[0]?.kid, elsewhere.keys.current.kid)
    }),
  )

  it.effect("an unknown kid finds it too", () =>
    Effect.gen(function* () {
      const { elsewhere, idp, move, registry } = yield* moving()
      yield* move
      yield* idp.faults.status(404, { only: "jwks" })
      const { kid } = elsewhere.keys.current
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).kid, kid)
    }),
  )
})

describe("Registering again", () => {
  it.effect("keeps the discovered URL with an unchanged source, and forgets it with another", () =>
    Effect.gen(function* () {
      const { idp, refresh, register, registry } = yield* registered()
      yield* register
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, 1)
      yield* registry.register({ tenant: "acme", provider: "idp", issuer, maxRedirects: 1 })
      yield* settle
      yield* refresh
      assert.strictEqual(idp.requestsFor.discovery, 2)
    }),
  )
})

describe("Registering again with shorter clamps", () => {
  it.effect("shortens the life of what the metadata said", () =>
    Effect.gen(function* () {
      const { idp, refresh, registry } = yield* registered({
        provider: { response: { cacheControl: "max-age=86400" } },
      })
      yield* registry.register({ tenant: "acme", provider: "idp", issuer, minTtl: "30 seconds", maxTtl: "30 seconds" })
      yield* TestClock.adjust("31 seconds")
      yield* refresh
      assert.isAtLeast(idp.requestsFor.discovery, 2)
    }),
  )
})

describe("Pins", () => {
  it.effect("need an issuer with https as well", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp({
        options: { requireHttps: false },
        registration: {
          issuer: "http://idp.test",
          requireHttps: false,
          pinnedSpki: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
        },
      })
      const { issues } = yield* Effect.flip(register)
      assert.isTrue(issues.some(({ field, rule }) => field === "pinnedSpki" && rule === "needs https in issuer"))
    }),
  )
})
