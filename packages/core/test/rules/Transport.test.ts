/**
 * What goes upstream and what comes of redirects, addresses and limits, end to end.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwksRegistryOptions, ProviderRegistration, UnavailableReason } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { answerAtOnce, begin, openRegistryOn, openStrictRegistry, start } from "./support.ts"

type Reason = typeof UnavailableReason.Type

/** Providers at https://first.test, https://second.test and https://third.test, behind a strict registry. */
const setUp = Effect.fnUntraced(function* (
  options: JwksRegistryOptions = {},
  registration: Partial<ProviderRegistration> = {},
) {
  yield* TestClock.setTime(start)
  const [first, second, third] = yield* Effect.all([
    ScriptedProvider.make({ issuer: "https://first.test" }),
    ScriptedProvider.make({ issuer: "https://second.test" }),
    ScriptedProvider.make({ issuer: "https://third.test" }),
  ])
  const registry = yield* openStrictRegistry([first, second, third], options)
  const register = (more: Partial<ProviderRegistration> = {}) =>
    registry.register({
      tenant: "acme",
      provider: "idp",
      jwksUrl: first.jwksUrl,
      retryPolicy: { maxRetries: 0 },
      ...registration,
      ...more,
    })
  return {
    first,
    second,
    third,
    registry,
    register,
    resolve: registry.resolve("acme", "idp"),
    /** Why the first flight fails. */
    reason: Effect.gen(function* () {
      yield* register()
      const error = yield* Effect.flip(answerAtOnce(registry.resolve("acme", "idp")))
      return error._tag === "JwksUnavailable" ? error.reason : assert.fail(`got ${error._tag}: ${error.message}`)
    }),
  }
})

const tagIn = (reason: Reason, ...tags: ReadonlyArray<Reason["_tag"]>): void => assert.include(tags, reason._tag)

describe("What is sent", () => {
  it.effect("is a GET that accepts JWK Sets, without cookies, credentials and trace headers", () =>
    Effect.gen(function* () {
      const { first, register, registry, resolve } = yield* setUp()
      yield* first.respondWith({ extra: { "set-cookie": "session=1; Secure" } })
      yield* Effect.withSpan(Effect.andThen(register(), resolve), "caller")
      yield* Effect.withSpan(registry.refresh("acme", "idp"), "refresher")
      assert.strictEqual(first.requests, 2)
      for (const { headers, method } of first.log) {
        assert.strictEqual(method, "GET")
        assert.strictEqual(headers["accept"], "application/jwk-set+json, application/json;q=0.9, */*;q=0.1")
        for (const name of ["cookie", "authorization", "traceparent", "tracestate", "b3", "referer", "origin"]) {
          assert.notProperty(headers, name)
        }
      }
    }).pipe(Effect.provideService(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))),
  )

  it.effect("is the URL as it was registered, query and all", () =>
    Effect.gen(function* () {
      const { first, register, resolve } = yield* setUp()
      yield* register({ jwksUrl: "https://first.test/jwks?appid=7&x=%2F" })
      yield* resolve
      assert.strictEqual(first.log[0]?.url, "https://first.test/jwks?appid=7&x=%2F")
    }),
  )

  it.effect("follows no jku and no x5u", () =>
    Effect.gen(function* () {
      const { first, register, resolve, second, third } = yield* setUp()
      yield* first.keys.rotate({ members: { x5u: second.jwksUrl, jku: third.jwksUrl } })
      yield* register()
      yield* resolve
      assert.deepStrictEqual([second.requests, third.requests], [0, 0])
    }),
  )
})

describe("What may come", () => {
  it.effect("is any content type", () =>
    Effect.gen(function* () {
      for (const contentType of [
        "text/plain",
        "text/json",
        "application/octet-stream",
        "application/json; charset=ISO-8859-1",
      ]) {
        const { first, register, resolve } = yield* setUp()
        yield* first.respondWith({ contentType })
        yield* register()
        yield* answerAtOnce(resolve)
      }
    }),
  )

  it.effect("may begin with a byte order mark", () =>
    Effect.gen(function* () {
      const { first, register, resolve } = yield* setUp()
      yield* first.keys.publishRaw(`\ufeff${JSON.stringify({ keys: [first.keys.current.publicJwk] })}`)
      yield* register()
      yield* answerAtOnce(resolve)
    }),
  )

  it.effect("is not an endless body: no more is read than the limit", () =>
    Effect.gen(function* () {
      const { first, reason } = yield* setUp({}, { maxResponseBytes: 10_000 })
      yield* first.faults.oversized(Infinity)
      assert.deepStrictEqual(yield* reason, { _tag: "BodyTooLarge", url: first.jwksUrl, limitBytes: 10_000 })
    }),
  )

  it.effect("is not an endless error page either: the status counts", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      let read = 0
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          const endless = new ReadableStream<Uint8Array>({
            pull: (controller) => {
              read += 65_536
              controller.enqueue(new Uint8Array(65_536).fill(0x78))
            },
          })
          return HttpClientResponse.fromWeb(request, new Response(endless, { status: 500 }))
        }),
      )
      const registry = yield* openRegistryOn(client)
      yield* registry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl: "https://idp.test/jwks",
        retryPolicy: { maxRetries: 0 },
        maxResponseBytes: 100_000,
      })
      const error = yield* Effect.flip(registry.resolve("acme", "idp"))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") tagIn(error.reason, "HttpStatus", "BodyTooLarge")
      assert.notInclude(error.message, "xxxx")
      assert.isBelow(read, 1_000_000)
    }),
  )

  it.effect("is not a body that trickles for ever: the attempt is timed with its body", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      let cancel = () => {}
      const cancelled = new Promise<void>((resolve) => {
        cancel = resolve
      })
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          const stuck = new ReadableStream<Uint8Array>({
            start: (controller) => controller.enqueue(new TextEncoder().encode('{"keys":[')),
            cancel: () => cancel(),
          })
          return HttpClientResponse.fromWeb(request, new Response(stuck))
        }),
      )
      const registry = yield* openRegistryOn(client)
      yield* registry.register({
        tenant: "acme",
        provider: "idp",
        jwksUrl: "https://idp.test/jwks",
        retryPolicy: { maxRetries: 0 },
      })
      const caller = yield* begin(Effect.flip(registry.resolve("acme", "idp")))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(caller)
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.deepInclude(error.reason, { _tag: "TimedOut" })
      // The body is let go of, which closes the connection.
      yield* Effect.promise(() => cancelled)
    }),
  )
})

describe("Redirects", () => {
  it.effect.each([301, 302, 303, 307, 308])("a %d is followed to another host", (status) =>
    Effect.gen(function* () {
      const { first, register, registry, resolve, second } = yield* setUp()
      yield* first.faults.redirect(second.jwksUrl, status)
      yield* register()
      yield* answerAtOnce(resolve)
      const { kid } = second.keys.current
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).kid, kid)
      assert.deepStrictEqual([first.requests, second.requests], [1, 1])
    }),
  )

  it.effect("a relative one is followed from where it was", () =>
    Effect.gen(function* () {
      const { first, register, resolve } = yield* setUp()
      yield* first.faults.redirect("/jwks?moved", 302, { next: 1 })
      yield* register()
      yield* answerAtOnce(resolve)
      assert.strictEqual(first.log[1]?.url, "https://first.test/jwks?moved")
    }),
  )

  it.effect("are at most 3: the fourth is refused", () =>
    Effect.gen(function* () {
      for (const [redirects, follows] of [
        [3, true],
        [4, false],
      ] as const) {
        const { first, register, resolve } = yield* setUp()
        for (let i = 0; i < redirects; i += 1) yield* first.faults.redirect(`/jwks?hop=${i}`, 302, { next: 1 })
        yield* register()
        const exit = yield* Effect.exit(answerAtOnce(resolve))
        assert.strictEqual(exit._tag, follows ? "Success" : "Failure")
        assert.strictEqual(first.requests, 4)
      }
    }),
  )

  it.effect("are refused, and not retried, when there are too many", () =>
    Effect.gen(function* () {
      const { first, reason } = yield* setUp({}, { retryPolicy: { maxRetries: 2 } })
      yield* first.faults.redirect(first.jwksUrl)
      tagIn(yield* reason, "RedirectRefused")
      assert.isAtMost(first.requests, 4)
    }),
  )

  it.effect("are not followed at all where maxRedirects is 0", () =>
    Effect.gen(function* () {
      const { first, reason, second } = yield* setUp({}, { maxRedirects: 0 })
      yield* first.faults.redirect(second.jwksUrl)
      tagIn(yield* reason, "RedirectRefused")
      assert.deepStrictEqual([first.requests, second.requests], [1, 0])
    }),
  )

  it.effect("need a Location that is a URL", () =>
    Effect.gen(function* () {
      for (const location of ["https://", "http://[", "https://exa mple.test/"]) {
        const { first, reason } = yield* setUp()
        yield* first.faults.redirect(location)
        tagIn(yield* reason, "RedirectRefused", "UrlRefused")
      }
      const { first, reason } = yield* setUp()
      yield* first.faults.status(302)
      tagIn(yield* reason, "RedirectRefused", "HttpStatus")
    }),
  )

  it.effect("never turn https into http, whatever the settings", () =>
    Effect.gen(function* () {
      const { first, reason, second } = yield* setUp({ requireHttps: false }, { requireHttps: false })
      yield* first.faults.redirect("http://second.test/jwks")
      tagIn(yield* reason, "RedirectRefused", "UrlRefused")
      assert.strictEqual(second.requests, 0)
    }),
  )

  it.effect.each([
    "ftp://second.test/jwks",
    "file:///etc/passwd",
    "data:application/json,{}",
    "https://user:secret@second.test/jwks",
  ])("never lead to %s", (location) =>
    Effect.gen(function* () {
      const { first, reason, second } = yield* setUp()
      yield* first.faults.redirect(location)
      const refused = yield* reason
      tagIn(refused, "RedirectRefused", "UrlRefused")
      assert.notInclude(JSON.stringify(refused), "secret")
      assert.strictEqual(second.requests, 0)
    }),
  )

  it.effect("pass the allow-lists on every hop", () =>
    Effect.gen(function* () {
      const lists: ReadonlyArray<readonly [JwksRegistryOptions, Partial<ProviderRegistration>]> = [
        [{}, { allowedDomains: ["first.test", "second.test"] }],
        [{ allowedDomains: ["first.test", "second.test"] }, {}],
        [{ allowedDomains: ["test"] }, { allowedDomains: ["first.test", "second.test"] }],
      ]
      for (const [options, registration] of lists) {
        const { first, reason, second, third } = yield* setUp(options, registration)
        yield* first.faults.redirect(second.jwksUrl)
        yield* second.faults.redirect(third.jwksUrl)
        tagIn(yield* reason, "RedirectRefused", "UrlRefused")
        assert.deepStrictEqual([first.requests, second.requests, third.requests], [1, 1, 0])
      }
    }),
  )

  it.effect("do not carry the query of one URL into another", () =>
    Effect.gen(function* () {
      const { first, register, resolve, second } = yield* setUp()
      yield* first.faults.redirect(second.jwksUrl)
      yield* register({ jwksUrl: "https://first.test/jwks?key=secret" })
      yield* resolve
      assert.strictEqual(second.log[0]?.url, second.jwksUrl)
      assert.notInclude(JSON.stringify(second.log), "secret")
    }),
  )
})

const addresses = [
  "127.0.0.1",
  "127.1.2.3",
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "[::1]",
  "[::]",
  "[fe80::1]",
  "[fc00::1]",
  "[fd12:3456::1]",
  "[fd00:ec2::254]",
  "[ff02::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "2130706433",
  "0x7f.1",
  "0177.0.0.1",
  "127.1",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "a.localhost",
  "printer.local",
  "vault.internal",
  "metadata.google.internal",
]

/** How an address on the first URL is refused: at the registration, or by the flight. */
const refusalAtFirstUrl = Effect.fnUntraced(function* (host: string) {
  const { first, register, resolve } = yield* setUp()
  const registered = yield* Effect.result(register({ jwksUrl: `https://${host}/jwks` }))
  if (registered._tag === "Failure") return registered.failure.issues.map(({ field }) => field).join()
  const error = yield* Effect.flip(answerAtOnce(resolve))
  assert.strictEqual(first.requests, 0)
  return error._tag === "JwksUnavailable" ? error.reason._tag : error._tag
})

describe("Addresses", () => {
  it.effect.each(addresses)("%s is refused on a hop", (host) =>
    Effect.gen(function* () {
      const { first, reason } = yield* setUp()
      yield* first.faults.redirect(`https://${host}/jwks`)
      assert.strictEqual((yield* reason)._tag, "AddressRefused")
      assert.strictEqual(first.requests, 1)
    }),
  )

  it.effect.each(addresses)("%s is refused on the first URL", (host) =>
    Effect.gen(function* () {
      assert.include(["AddressRefused", "jwksUrl"], yield* refusalAtFirstUrl(host))
    }),
  )

  it.effect("public ones and other names are not", () =>
    Effect.gen(function* () {
      for (const host of ["8.8.8.8", "[2606:4700::1111]", "localhost.example.com", "internal.test", "172.32.0.1"]) {
        const issuer = `https://${host}`
        yield* TestClock.setTime(start)
        const idp = yield* ScriptedProvider.make({ issuer })
        const registry = yield* openStrictRegistry([idp])
        yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
        yield* answerAtOnce(registry.resolve("acme", "idp"))
      }
    }),
  )

  it.effect("are the operator's to allow: all, or by host", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const idp = yield* ScriptedProvider.make({ issuer: "https://10.0.0.1" })
      const attempt = (allowPrivateAddresses: boolean | ReadonlyArray<string>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const registry = yield* openStrictRegistry([idp], { allowPrivateAddresses })
            yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
            return yield* answerAtOnce(registry.resolve("acme", "idp"))
          }),
        ).pipe(
          Effect.exit,
          Effect.map((exit) => exit._tag),
        )
      assert.deepStrictEqual(
        [
          yield* attempt(true),
          yield* attempt(["10.0.0.1"]),
          yield* attempt(["10.0.0.2", "localhost"]),
          yield* attempt([]),
          yield* attempt(false),
        ],
        ["Success", "Success", "Failure", "Failure", "Failure"],
      )
    }),
  )

  it.effect("are never a registration's to allow", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp()
      const loosened = { allowPrivateAddresses: true } as unknown as Partial<ProviderRegistration>
      const error = yield* Effect.flip(register(loosened))
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["allowPrivateAddresses"],
      )
      const { first, reason } = yield* setUp({}, { allowedDomains: ["127.0.0.1", "first.test"] })
      yield* first.faults.redirect("https://127.0.0.1/jwks")
      assert.strictEqual((yield* reason)._tag, "AddressRefused")
    }),
  )
})
