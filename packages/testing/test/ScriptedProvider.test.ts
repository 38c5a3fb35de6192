import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { FakeProvider, ScriptedProvider } from "../src/index.ts"

const fetchBytes = (url: string, headers?: Readonly<Record<string, string>>) =>
  Effect.flatMap(HttpClient.get(url, { headers: headers ?? {} }), (response) =>
    Effect.map(Stream.mkUint8Array(response.stream), (bytes) => ({ response, bytes })),
  )

describe("ScriptedProvider", () => {
  it.effect("is read to the end without a promise and without time", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* TestClock.setTime(90_000)
      const context = yield* Effect.context<HttpClient.HttpClient>()
      // runSync throws as soon as anything has to be waited for.
      const { response, bytes } = Effect.runSyncWith(context)(fetchBytes(provider.jwksUrl))
      assert.deepStrictEqual(bytes, provider.keys.document.bytes)
      assert.strictEqual(response.headers["date"], "Thu, 01 Jan 1970 00:01:30 GMT")
      assert.strictEqual(response.url, provider.jwksUrl)
      assert.deepStrictEqual(
        provider.log.map(({ at, status }) => [at, status]),
        [[90_000, 200]],
      )
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("lets a loop of requests run for hours in one step of the test clock", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.faults.delay("2 seconds")
      yield* Effect.forkChild(Effect.repeat(fetchBytes(provider.jwksUrl), Schedule.spaced("58 seconds")))
      yield* TestClock.adjust("3 hours")
      // One at the start of each of the 180 minutes, and one that is still delayed.
      assert.deepStrictEqual([provider.requests, provider.ok], [181, 180])
      assert.strictEqual(provider.log.at(-1)?.at, 3 * 3_600_000)
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("times out, retries and recovers on the test clock alone", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.faults.hang({ next: 1 })
      yield* provider.faults.resetMidway({ next: 1 })
      yield* provider.faults.refuse({ next: 1 })
      const attempt = Effect.timeout(fetchBytes(provider.jwksUrl), "3 seconds")
      const fiber = yield* Effect.forkChild(Effect.retry(attempt, Schedule.spaced("1 second")))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).response.status, 200)
      assert.deepStrictEqual(
        provider.log.map(({ at, fault, status }) => [at, fault, status]),
        [
          [0, "Hang", undefined],
          [4000, "ResetMidway", 200],
          [5000, "Refuse", undefined],
          [6000, undefined, 200],
        ],
      )
      assert.strictEqual(provider.abandoned, 1)
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("revalidates like the server", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const { response } = yield* fetchBytes(provider.jwksUrl)
      const conditions = { "If-None-Match": response.headers["etag"] ?? "" }
      const confirmed = yield* HttpClient.get(provider.jwksUrl, { headers: conditions })
      assert.deepStrictEqual([confirmed.status, yield* confirmed.text], [304, ""])
      // No body at all, as with fetch.
      const error = yield* Effect.flip(Stream.runDrain(confirmed.stream))
      assert.strictEqual(error.reason._tag, "EmptyBodyError")
      yield* provider.keys.rotate()
      assert.strictEqual((yield* HttpClient.get(provider.jwksUrl, { headers: conditions })).status, 200)
      assert.deepStrictEqual([provider.ok, provider.notModified], [2, 1])
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("tells several providers apart by URL, then by origin", () =>
    Effect.gen(function* () {
      const acme = yield* ScriptedProvider.make({ issuer: "https://idp.test/realms/acme" })
      const globex = yield* ScriptedProvider.make({ issuer: "https://idp.test/realms/globex/" })
      const elsewhere = yield* ScriptedProvider.make({ issuer: "https://a.test", jwksUrl: "https://keys.test/a?b=c" })
      const client = ScriptedProvider.client(acme, globex, elsewhere)
      const statusOf = (url: string) => Effect.map(client.get(url), ({ status }) => status)

      assert.strictEqual(globex.jwksUrl, "https://idp.test/realms/globex/jwks")
      for (const provider of [acme, globex, elsewhere]) {
        assert.strictEqual(yield* statusOf(provider.jwksUrl), 200)
        assert.strictEqual(yield* statusOf(provider.discoveryUrl), 200)
      }
      assert.strictEqual(yield* statusOf("https://idp.test/realms"), 404)
      assert.deepStrictEqual([acme.requests, globex.requests, elsewhere.requests], [3, 2, 2])

      const unknown = yield* Effect.flip(client.get("https://nowhere.test/jwks"))
      assert.strictEqual(unknown.reason._tag, "TransportError")
      assert.include(String(unknown.reason.cause instanceof Error && unknown.reason.cause.cause), "ENOTFOUND")
    }),
  )

  it.effect("meets held requests on events", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.faults.hold
      const clients = yield* Effect.forkChild(
        Effect.all([fetchBytes(provider.jwksUrl), fetchBytes(provider.jwksUrl)], { concurrency: 2 }),
      )
      yield* provider.awaitRequests(2)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([provider.faults.held, provider.ok], [2, 0])
      assert.strictEqual(yield* provider.faults.release(), 2)
      yield* provider.awaitResponses(2)
      yield* Fiber.join(clients)
      assert.strictEqual(provider.ok, 2)
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("says how many requests it released, also where each brings the next one", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider.make()
      const client = ScriptedProvider.client(provider)
      yield* provider.faults.hold
      yield* Effect.forkChild(Effect.andThen(client.get(provider.jwksUrl), client.get(provider.jwksUrl)), {
        startImmediately: true,
      })
      assert.strictEqual(yield* provider.faults.release(1), 1)
      yield* provider.faults.awaitHeld(1)
      assert.strictEqual(provider.requests, 2)
    }),
  )

  it.effect("signs tokens on the test's clock", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* TestClock.setTime(10_500)
      const [, claims] = (yield* provider.token({ sub: "somebody", exp: 11 })).split(".")
      const decoded = JSON.parse(Buffer.from(claims ?? "", "base64url").toString())
      assert.deepStrictEqual(decoded, { iss: "https://idp.test", iat: 10, exp: 11, sub: "somebody" })
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("hands over a response that keeps what HttpClientResponse promises", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      const client = yield* HttpClient.HttpClient
      const request = HttpClientRequest.get(provider.discoveryUrl)
      const response = yield* client.execute(request)
      const Metadata = Schema.Struct({ issuer: Schema.String })
      assert.deepStrictEqual(yield* HttpClientResponse.schemaBodyJson(Metadata)(response), {
        issuer: "https://idp.test",
      })
      assert.strictEqual(response.request.url, request.url)
      assert.strictEqual(
        yield* HttpClientResponse.matchStatus(response, { "2xx": (_) => _.text, orElse: () => Effect.succeed("") }),
        yield* response.text,
      )
      assert.deepStrictEqual(
        [response.remoteAddress, HttpClientResponse.toWeb(response)],
        [Option.none(), Option.none()],
      )
      assert.include(JSON.stringify(response), "HttpClientResponse")
      assert.strictEqual((yield* Effect.flip(response.formData)).reason._tag, "DecodeError")
      assert.strictEqual((yield* Effect.flip(response.upgrade)).reason._tag, "StatusCodeError")
      yield* provider.faults.body("a=1&b=2", { next: 1 })
      const form = yield* (yield* client.get(provider.jwksUrl)).urlParamsBody
      assert.deepStrictEqual(UrlParams.toRecord(form), { a: "1", b: "2" })
      yield* provider.faults.body("{", { next: 1 })
      assert.strictEqual((yield* Effect.flip((yield* client.get(provider.jwksUrl)).json)).reason._tag, "DecodeError")
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("stops an endless body where the client stops reading", () =>
    Effect.gen(function* () {
      const provider = yield* ScriptedProvider
      yield* provider.faults.oversized(Infinity)
      const response = yield* HttpClient.get(provider.jwksUrl)
      const start = yield* Stream.mkUint8Array(Stream.limitBytes(response.stream, 1_000_000, () => Stream.empty))
      assert.isAbove(start.length, 900_000)
      assert.isAtMost(start.length, 1_000_000)
    }).pipe(Effect.provide(ScriptedProvider.layer())),
  )

  it.effect("makes no client for providers that have a socket", () =>
    Effect.gen(function* () {
      const listening = yield* FakeProvider.make()
      assert.throws(() => ScriptedProvider.client(listening), /ScriptedProvider\.make/)
    }),
  )
})
