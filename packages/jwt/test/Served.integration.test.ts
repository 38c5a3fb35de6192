/**
 * The protected API on a server's socket, with a provider on another: what is on the wire.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { createServer, request } from "node:http"
import { Api, apiLayer, auth, Authorization, challengeOf, whoRoute } from "./support/orders.ts"

const open = Effect.gen(function* () {
  const idp = yield* FakeProvider.make()
  const routes = Layer.merge(apiLayer(auth.layer(Authorization)), whoRoute.pipe(Layer.provide(auth.routes().layer)))
  const context = yield* Layer.build(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
      Layer.provide(JwtVerifierLive),
      Layer.provideMerge(TestRegistry.layer()),
    ),
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  const baseUrl = `http://127.0.0.1:${address._tag === "UnixPathAddress" ? 0 : address.port}`
  yield* Context.get(context, JwksRegistry).register({
    tenant: "acme",
    provider: "idp",
    issuer: idp.issuer,
    jwksUrl: idp.jwksUrl,
  })
  const tokenWith = (claims: Readonly<Record<string, unknown>> = {}) =>
    idp.token({ sub: "ada", aud: "orders", visits: "3", ...claims })
  const ask = (path: string, init?: RequestInit) => Effect.promise(() => fetch(baseUrl + path, init))
  return { ask, baseUrl, idp, tokenWith }
})

/** Status and raw header lines, as they came over the socket. */
const raw = (url: string, headers: ReadonlyArray<string>) =>
  Effect.callback<{ readonly status: number; readonly lines: ReadonlyArray<string> }>((resume) => {
    const sent = request(url, { headers: [...headers] }, (response) => {
      response.resume()
      resume(Effect.succeed({ status: response.statusCode ?? 0, lines: response.rawHeaders }))
    })
    sent.end()
  })

describe("over a socket", () => {
  it.live("a token opens the API and the route, and its lack is challenged", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open
      const headers = { authorization: `Bearer ${yield* tokenWith()}` }
      const mine = yield* ask("/orders/mine", { headers })
      assert.deepStrictEqual(yield* Effect.promise(() => mine.json()), { sub: "ada", visits: 3 })
      assert.strictEqual((yield* ask("/who", { headers, method: "HEAD" })).status, 200)
      for (const path of ["/orders/mine", "/who"]) {
        const refused = yield* ask(path)
        assert.strictEqual(refused.status, 401)
        assert.deepStrictEqual(yield* challengeOf(refused), { scheme: "bearer", realm: 'the "orders" of acme' })
      }
    }),
  )

  it.live("a rotation is followed, and an outage is 503 for keys that nobody has seen", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open
      const statusOf = (token: string) =>
        Effect.map(ask("/who", { headers: { authorization: `Bearer ${token}` } }), ({ status }) => status)
      const first = yield* tokenWith()
      assert.strictEqual(yield* statusOf(first), 200)
      yield* idp.keys.rotate()
      assert.strictEqual(yield* statusOf(yield* tokenWith()), 200)
      yield* idp.keys.rotate()
      yield* idp.faults.status(503)
      const unseen = yield* tokenWith()
      const refused = yield* ask("/who", { headers: { authorization: `Bearer ${unseen}` } })
      assert.strictEqual(refused.status, 503)
      assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
      assert.isNull(refused.headers.get("www-authenticate"))
    }),
  )

  it.live("the answers of a typed client are those of the definition", () =>
    Effect.gen(function* () {
      const { baseUrl, tokenWith } = yield* open
      const clientWith = (bearer: string) =>
        HttpApiClient.make(Api, {
          baseUrl,
          transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(bearer)),
        }).pipe(Effect.provide(FetchHttpClient.layer))
      const ada = yield* clientWith(yield* tokenWith())
      assert.deepStrictEqual(yield* ada.orders.mine(), { sub: "ada", visits: 3 })
      const forbidden = yield* Effect.flip(ada.orders.place())
      assert.strictEqual(forbidden._tag, "InsufficientScope")
      const expired = yield* Effect.flip((yield* clientWith(yield* tokenWith({ exp: 1_000 }))).orders.mine())
      assert.isTrue(expired._tag === "Unauthenticated" && expired.error === "invalid_token")
    }),
  )

  it.live("one answer has one challenge, whatever is sent", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* open
      const refused = yield* raw(`${baseUrl}/who`, ["Host", "orders.test", "Authorization", "Bearer a b"])
      assert.strictEqual(refused.status, 400)
      const challenges = refused.lines.filter((line) => line.toLowerCase() === "www-authenticate")
      assert.strictEqual(challenges.length, 1)
    }),
  )
})
