import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { createRemoteJWKSet, jwtVerify } from "jose"
import { connect } from "node:net"
import { FakeProvider } from "../src/index.ts"
import { rawGet } from "./rawGet.ts"

const get = (provider: FakeProvider["Service"], headers?: Readonly<Record<string, string>>) =>
  rawGet(provider.jwksUrl, headers)

describe("FakeProvider", () => {
  it.effect("publishes its keys, its metadata and nothing else", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make()
      const jwks = yield* get(provider)
      assert.strictEqual(jwks.status, 200)
      assert.strictEqual(jwks.headers["content-type"], "application/jwk-set+json")
      assert.deepStrictEqual(JSON.parse(jwks.body), { keys: [provider.keys.current.publicJwk] })
      const metadata = yield* rawGet(`${provider.issuer}/.well-known/openid-configuration`)
      assert.include(JSON.parse(metadata.body), { issuer: provider.issuer, jwks_uri: provider.jwksUrl })
      assert.strictEqual((yield* rawGet(`${provider.issuer}/elsewhere`)).status, 404)
      const posted = yield* rawGet(provider.jwksUrl, {}, "POST")
      assert.deepStrictEqual([posted.status, posted.headers["allow"]], [405, "GET"])
      assert.deepStrictEqual(provider.requestsFor, { jwks: 2, discovery: 1, other: 1 })
      assert.deepStrictEqual(provider.byStatus, { 200: 2, 404: 1, 405: 1 })
    }),
  )

  it.effect("signs tokens that a resource server verifies over its socket", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make({ keys: { alg: "RS256" } })
      const token = yield* provider.token({ sub: "somebody" })
      const { payload } = yield* Effect.promise(() =>
        jwtVerify(token, createRemoteJWKSet(new URL(provider.jwksUrl)), { issuer: provider.issuer }),
      )
      assert.strictEqual(payload.sub, "somebody")
    }),
  )

  it.effect("puts the metadata where the issuer's path and RFC 8414 say", () =>
    Effect.gen(function* () {
      const openid = yield* FakeProvider.make({ issuerPath: "/realms/acme" })
      assert.strictEqual(openid.discoveryUrl, `${openid.issuer}/.well-known/openid-configuration`)
      const oauth = yield* FakeProvider.make({ issuerPath: "/realms/acme", discovery: "oauth" })
      assert.strictEqual(
        oauth.discoveryUrl,
        `http://127.0.0.1:${oauth.port}/.well-known/oauth-authorization-server/realms/acme`,
      )
      const none = yield* FakeProvider.make({ discovery: "none" })
      const statuses = yield* Effect.forEach([openid, oauth, none], (provider) => rawGet(provider.discoveryUrl))
      assert.deepStrictEqual(
        statuses.map(({ status }) => status),
        [200, 200, 404],
      )
    }),
  )

  it.effect("moves and lies in its metadata", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make({ metadata: { token_endpoint: undefined } })
      const first = yield* rawGet(provider.discoveryUrl)
      yield* provider.publishMetadata({ issuer: "https://somebody.test" })
      const second = yield* rawGet(provider.discoveryUrl, { "if-none-match": first.headers["etag"] ?? "" })
      assert.strictEqual(second.status, 200)
      assert.include(JSON.parse(second.body), { issuer: "https://somebody.test", jwks_uri: provider.jwksUrl })
      assert.notProperty(JSON.parse(second.body), "token_endpoint")
    }),
  )

  it.effect("answers 304 to a client that holds the document, and only to such", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make()
      const { headers } = yield* get(provider)
      const etag = headers["etag"] ?? ""
      const modified = headers["last-modified"] ?? ""
      const earlier = new Date(Date.parse(modified) - 1000).toUTCString()
      const later = new Date(Date.parse(modified) + 60_000).toUTCString()
      const cases: ReadonlyArray<readonly [Readonly<Record<string, string>>, number]> = [
        [{ "if-none-match": etag }, 304],
        [{ "if-none-match": `W/${etag}` }, 304],
        [{ "if-none-match": `"a, b", ${etag}` }, 304],
        [{ "if-none-match": "*" }, 304],
        [{ "if-none-match": '"other"' }, 200],
        [{ "if-none-match": "nonsense" }, 200],
        [{ "if-modified-since": modified }, 304],
        [{ "if-modified-since": later }, 304],
        [{ "if-modified-since": earlier }, 200],
        [{ "if-modified-since": "nonsense" }, 200],
        // If-None-Match alone decides (RFC 9110 section 13.1.3).
        [{ "if-none-match": '"other"', "if-modified-since": modified }, 200],
        [{ "if-none-match": etag, "if-modified-since": earlier }, 304],
      ]
      for (const [conditions, status] of cases) {
        const response = yield* get(provider, conditions)
        assert.strictEqual(response.status, status, JSON.stringify(conditions))
        assert.strictEqual(response.headers["etag"], etag)
        assert.strictEqual(response.headers["cache-control"], "public, max-age=600")
        if (status === 304) {
          assert.strictEqual(response.body, "")
          assert.notProperty(response.headers, "content-type")
        }
      }
      yield* provider.keys.rotate()
      assert.strictEqual((yield* get(provider, { "if-none-match": etag })).status, 200)
      assert.strictEqual((yield* get(provider, { "if-modified-since": modified })).status, 200)
      const seen = cases.filter(([, status]) => status === 304).length
      assert.deepStrictEqual([provider.notModified, provider.ok, provider.requests], [seen, 15 - seen, 15])
    }),
  )

  it.effect("sends the headers that it is told to", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make({ response: { etag: "weak", extra: { vary: "origin" } } })
      const { headers } = yield* get(provider)
      assert.match(headers["etag"] ?? "", /^W\/"/)
      assert.strictEqual(headers["vary"], "origin")
      assert.strictEqual((yield* get(provider, { "if-none-match": headers["etag"] ?? "" })).status, 304)

      yield* provider.respondWith({ cacheControl: "max-age=15", age: 7, date: 0, contentType: "text/plain" })
      const dated = yield* get(provider)
      assert.include(dated.headers, {
        "cache-control": "max-age=15",
        age: "7",
        date: "Thu, 01 Jan 1970 00:00:00 GMT",
        "content-type": "text/plain",
        vary: "origin",
      })

      yield* provider.respondWith({
        cacheControl: undefined,
        age: undefined,
        date: undefined,
        etag: "none",
        lastModified: false,
      })
      const bare = yield* get(provider, { "if-none-match": headers["etag"] ?? "" })
      assert.strictEqual(bare.status, 200)
      for (const name of ["cache-control", "age", "date", "etag", "last-modified"])
        assert.notProperty(bare.headers, name)
    }),
  )

  it.effect("records the last requests and counts all of them", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make({ keptRequests: 2 })
      for (const n of ["1", "2", "3"]) yield* get(provider, { "x-n": n })
      assert.deepStrictEqual(
        provider.log.map(({ headers, status, endpoint }) => [headers["x-n"], status, endpoint]),
        [
          ["2", 200, "jwks"],
          ["3", 200, "jwks"],
        ],
      )
      assert.strictEqual(provider.requests, 3)
      assert.strictEqual(provider.connections.opened, 3)
    }),
  )

  it.effect("tells when a request has arrived, before it is answered", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make()
      yield* provider.faults.holdNext()
      const client = yield* Effect.forkChild(get(provider))
      yield* provider.awaitRequests(1)
      yield* provider.faults.awaitHeld(1)
      assert.deepStrictEqual([provider.requests, provider.ok, provider.connections.open], [1, 0, 1])
      yield* provider.faults.release()
      assert.strictEqual((yield* Fiber.join(client)).status, 200)
      yield* provider.awaitResponses(1)
      assert.deepStrictEqual([provider.ok, provider.abandoned], [1, 0])
    }),
  )

  it.effect("tells when a client leaves without its answer", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.make()
      yield* provider.faults.hang()
      const client = yield* Effect.forkChild(get(provider))
      yield* provider.awaitRequests(1)
      yield* Fiber.interrupt(client)
      yield* provider.awaitAbandoned(1)
      assert.deepStrictEqual([provider.requests, provider.abandoned, provider.byStatus], [1, 1, {}])
    }),
  )

  it.effect("keeps apart what several providers saw", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* FakeProvider.make(), yield* FakeProvider.make()]
      yield* get(a)
      assert.deepStrictEqual([a.requests, b.requests], [1, 0])
      assert.notStrictEqual(a.keys.current.thumbprint, b.keys.current.thumbprint)
    }),
  )

  it.live("leaves no socket and no handle when its scope closes, whatever its connections are doing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const provider = yield* Scope.provide(FakeProvider.make(), scope)

      const silent = yield* connection(provider.port)
      const idle = yield* connection(provider.port)
      idle.write("GET /jwks HTTP/1.1\r\nhost: idp\r\n\r\n")
      yield* provider.awaitResponses(1)
      yield* provider.faults.hang({ next: 1 })
      const hanging = yield* Effect.forkChild(Effect.flip(get(provider)))
      yield* provider.faults.awaitMet(1)
      yield* provider.faults.oversized(Infinity, { next: 1 })
      const endless = yield* Effect.forkChild(Effect.flip(get(provider)))
      yield* provider.faults.awaitMet(2)
      yield* provider.faults.hold
      const held = yield* Effect.forkChild(Effect.flip(get(provider)))
      yield* provider.faults.awaitHeld(1)
      assert.strictEqual(provider.connections.open, 5)

      const closed = Effect.all(
        [silent, idle].map((socket) => Effect.promise(() => new Promise((done) => socket.once("close", done)))),
        {
          concurrency: "unbounded",
        },
      )
      const ends = yield* Effect.forkChild(closed)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(provider.connections.open, 0)
      yield* Fiber.join(ends)
      assert.deepStrictEqual(yield* Fiber.joinAll([hanging, endless, held]), ["ECONNRESET", "ECONNRESET", "ECONNRESET"])
      assert.deepStrictEqual(
        process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")),
        [],
      )
      assert.strictEqual(yield* Effect.flip(get(provider)), "ECONNREFUSED")
    }),
  )

  it.effect("comes back on the port that it had", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(FakeProvider.make())
      const provider = yield* FakeProvider.make({ port })
      assert.strictEqual((yield* get(provider)).status, 200)
    }),
  )

  it.effect("is a layer", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider
      assert.strictEqual((yield* get(provider)).status, 200)
    }).pipe(Effect.provide(FakeProvider.layer())),
  )
})

const connection = (port: number) =>
  Effect.promise(() => {
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => {})
    socket.resume()
    return new Promise<typeof socket>((connected) => socket.once("connect", () => connected(socket)))
  })
