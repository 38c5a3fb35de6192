/**
 * Validators and 304, end to end.
 */
import { assert, describe, it } from "@effect/vitest"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  begin,
  errorAtOnce,
  hours,
  minutes,
  openRegistry,
  openRegistryOn,
  seconds,
  setUp,
  setUpLoaded,
  start,
} from "./support.ts"

const conditional = ({ headers }: { readonly headers: Readonly<Record<string, string>> }) =>
  "if-none-match" in headers || "if-modified-since" in headers

describe("A revalidation", () => {
  it.effect("sends the entity tag as it was given, strong or weak", () =>
    Effect.gen(function* () {
      for (const etag of ["strong", "weak"] as const) {
        const { idp, refresh } = yield* setUpLoaded({ provider: { response: { etag } } })
        assert.strictEqual((yield* refresh)._tag, "NotModified")
        const plain = idp.keys.document.etag
        assert.strictEqual(idp.log[1]?.headers["if-none-match"], etag === "weak" ? `W/${plain}` : plain)
        assert.isFalse(conditional(idp.log[0] ?? { headers: { "if-none-match": "" } }))
      }
    }),
  )

  it.effect("sends Last-Modified where there is no entity tag", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded({ provider: { response: { etag: "none" } } })
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.strictEqual(
        idp.log[1]?.headers["if-modified-since"],
        new Date(idp.keys.document.lastModified).toUTCString(),
      )
      assert.notProperty(idp.log[1]?.headers ?? {}, "if-none-match")
    }),
  )

  it.effect("is a plain GET where there is neither", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded({ provider: { response: { etag: "none", lastModified: false } } })
      yield* refresh
      assert.isFalse(idp.log.some(conditional))
      assert.strictEqual(idp.ok, 2)
    }),
  )

  it.effect("uses the validators of the last 200, not of an older one", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      const first = idp.keys.document.etag
      yield* idp.keys.rotate()
      yield* refresh
      const second = idp.keys.document.etag
      yield* refresh
      assert.deepStrictEqual(
        idp.log.map(({ headers }) => headers["if-none-match"]),
        [undefined, first, second],
      )
    }),
  )

  it.effect("follows a failed attempt with the same validators: a failure costs no ETag", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      yield* idp.faults.body("<html></html>", { next: 1 })
      yield* Effect.flip(refresh)
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.strictEqual(idp.log.at(-1)?.headers["if-none-match"], idp.keys.document.etag)
    }),
  )
})

describe("A 304", () => {
  it.effect("brings new headers: its max-age counts, and the stored Age and Date are gone", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded({
        provider: { response: { cacheControl: "max-age=300", age: 200, date: start - seconds(150) } },
      })
      assert.strictEqual((yield* status).expiresAt, start + seconds(100))
      yield* TestClock.adjust("10 seconds")
      yield* idp.respondWith({ cacheControl: "max-age=400", age: undefined, date: undefined })
      assert.deepStrictEqual(yield* refresh, { _tag: "NotModified", expiresAt: start + seconds(410) })
      assert.strictEqual((yield* status).fetchedAt, start + seconds(10))
    }),
  )

  it.effect("without Cache-Control leaves the stored one in force", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded({ provider: { response: { cacheControl: "max-age=300" } } })
      yield* idp.respondWith({ cacheControl: undefined })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* refresh, { _tag: "NotModified", expiresAt: start + seconds(310) })
    }),
  )

  it.effect("ages by its own Age", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded({ provider: { response: { cacheControl: "max-age=300" } } })
      yield* idp.respondWith({ age: 100 })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* refresh).expiresAt, start + seconds(210))
    }),
  )

  it.effect("may shorten the stale window, and give it back", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded()
      yield* idp.respondWith({ cacheControl: "max-age=600, stale-if-error=60" })
      yield* refresh
      assert.strictEqual((yield* status).staleUntil, start + minutes(11))
      yield* idp.respondWith({ cacheControl: "max-age=600" })
      yield* refresh
      assert.strictEqual((yield* status).staleUntil, start + minutes(10) + hours(1))
    }),
  )

  it.effect("may revive a set past its stale window, and without a full GET", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(404)
      yield* TestClock.adjust("5 hours")
      assert.strictEqual((yield* Effect.flip(resolve()))._tag, "JwksUnavailable")
      yield* idp.faults.heal
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.deepStrictEqual([idp.ok, idp.notModified], [1, 1])
    }),
  )

  it.effect("keeps the keys, but gives new answers with the new times", () =>
    Effect.gen(function* () {
      const { refresh, resolve } = yield* setUpLoaded()
      const before = yield* resolve()
      yield* TestClock.adjust("1 minute")
      yield* refresh
      const after = yield* resolve()
      assert.strictEqual(after.thumbprint, before.thumbprint)
      assert.deepStrictEqual([after.fetchedAt, after.expiresAt], [start + minutes(1), start + minutes(11)])
      assert.strictEqual(before.fetchedAt, start)
    }),
  )
})

describe("A 304 that makes no sense", () => {
  it.effect("to a request without validators: one unconditional retry in the flight", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(304, { next: 1 }) })
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.strictEqual(idp.requests, 2)
      assert.isFalse(idp.log.some(conditional))
    }),
  )

  it.effect("twice: BodyInvalid", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(304) })
      const error = yield* errorAtOnce(resolve())
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, "BodyInvalid")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("with a strong ETag other than ours: one unconditional retry, which brings the new set", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      yield* idp.keys.rotate({ keepOld: false })
      yield* idp.faults.status(304, { next: 1, headers: { etag: '"of-another-replica"' } })
      assert.strictEqual((yield* answerAtOnce(refresh))._tag, "Updated")
      assert.strictEqual((yield* answerAtOnce(resolve())).kid, idp.keys.current.kid)
      assert.deepStrictEqual(idp.log.map(conditional), [false, true, false])
    }),
  )

  it.effect("with another strong ETag again and again: BodyInvalid, and the set stays", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded()
      yield* idp.faults.status(304, { headers: { etag: '"of-another-replica"' } })
      const error = yield* Effect.flip(refresh)
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, "BodyInvalid")
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("with our strong ETag, with none, or with a weak one is what it says", () =>
    Effect.gen(function* () {
      const { idp, refresh } = yield* setUpLoaded()
      for (const headers of [{ etag: idp.keys.document.etag }, {}, { etag: `W/${idp.keys.document.etag}` }]) {
        yield* idp.faults.status(304, { next: 1, headers })
        assert.strictEqual((yield* answerAtOnce(refresh))._tag, "NotModified")
      }
      assert.strictEqual(idp.requests, 4)
    }),
  )
})

describe("A full GET at least every maxTtl", () => {
  it.effect.each([
    { maxTtl: "1 hour", cacheControl: "max-age=600", over: "6 hours", atMost: hours(1) },
    { maxTtl: "5 minutes", cacheControl: "max-age=60", over: "1 hour", atMost: minutes(5) },
    { maxTtl: "10 minutes", cacheControl: "max-age=600", over: "2 hours", atMost: minutes(10) },
  ] as const)(
    "for a provider that always says 304 ($cacheControl, maxTtl $maxTtl)",
    ({ atMost, cacheControl, maxTtl, over }) =>
      Effect.gen(function* () {
        const { idp } = yield* setUpLoaded({
          provider: { response: { cacheControl } },
          registration: { maxTtl },
        })
        yield* TestClock.adjust(over)
        const full = idp.log.filter((request) => !conditional(request)).map(({ at }) => at)
        const gaps = full.slice(1).map((at, i) => at - (full[i] ?? 0))
        assert.isAtLeast(full.length, 3)
        assert.isAtMost(Math.max(...gaps), atMost)
        assert.isAtMost((idp.log.at(-1)?.at ?? 0) - (full.at(-1) ?? 0), atMost)
        assert.isAtLeast(idp.requests, full.length)
      }),
  )

  it.effect("so a proxy that says 304 to whoever holds a set cannot freeze the keys", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const idp = yield* ScriptedProvider.make()
      const proxied = HttpClient.transform(ScriptedProvider.client(idp), (response, request) =>
        Effect.andThen(
          "if-none-match" in request.headers ? idp.faults.status(304, { next: 1 }) : Effect.void,
          response,
        ),
      )
      const registry = yield* openRegistryOn(proxied)
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, maxTtl: "1 hour" })
      yield* registry.resolve("acme", "idp")
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      yield* TestClock.adjust("20 minutes")
      assert.isAbove(idp.notModified, 1)
      yield* TestClock.adjust("40 minutes")
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).kid, kid)
    }),
  )
})

describe("Validators belong to the final URL", () => {
  const redirecting = Effect.gen(function* () {
    yield* TestClock.setTime(start)
    const [first, second, third] = yield* Effect.all([
      ScriptedProvider.make({ issuer: "https://first.test" }),
      ScriptedProvider.make({ issuer: "https://second.test" }),
      ScriptedProvider.make({ issuer: "https://third.test" }),
    ])
    yield* first.faults.redirect(second.jwksUrl)
    const registry = yield* openRegistry([first, second, third])
    yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: first.jwksUrl })
    yield* registry.resolve("acme", "idp")
    return { first, second, third, registry, refresh: registry.refresh("acme", "idp") }
  })

  it.effect("and go only there", () =>
    Effect.gen(function* () {
      const { first, refresh, second } = yield* redirecting
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.deepStrictEqual(
        [first.log.map(conditional), second.log.map(conditional)],
        [
          [false, false],
          [false, true],
        ],
      )
    }),
  )

  it.effect("and not to another URL that the redirect names later", () =>
    Effect.gen(function* () {
      const { first, refresh, registry, third } = yield* redirecting
      yield* first.faults.redirect(third.jwksUrl)
      assert.strictEqual((yield* refresh)._tag, "Updated")
      assert.deepStrictEqual(third.log.map(conditional), [false])
      assert.strictEqual((yield* registry.resolveKey("acme", third.keys.current.kid)).kid, third.keys.current.kid)
      assert.strictEqual((yield* refresh)._tag, "NotModified")
      assert.deepStrictEqual(third.log.map(conditional), [false, true])
    }),
  )

  it.effect("and not to the first URL, when it stops redirecting", () =>
    Effect.gen(function* () {
      const { first, refresh } = yield* redirecting
      yield* first.faults.heal
      assert.strictEqual((yield* refresh)._tag, "Updated")
      assert.isFalse(first.log.some(conditional))
    }),
  )

  it.effect("the query is a part of the URL", () =>
    Effect.gen(function* () {
      const { first, refresh, second } = yield* redirecting
      yield* first.faults.redirect(`${second.jwksUrl}?replica=2`)
      yield* refresh
      assert.deepStrictEqual(second.log.map(conditional), [false, false])
    }),
  )
})

describe("An attempt that broke off", () => {
  it.effect("half-way through the body brings neither keys nor validators", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.resetMidway({ next: 1 }) })
      const caller = yield* begin(resolve())
      yield* TestClock.adjust("250 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(caller)))
      assert.isFalse(idp.log.some(conditional))
      assert.strictEqual(idp.requests, 2)
    }),
  )
})
