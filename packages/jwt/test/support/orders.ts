/**
 * What the tests of bearer security share: a small API, its routes as a server would serve them, and its typed client.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive, type VerifiedJwt } from "@effect-jwks/jwt"
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as oauth from "oauth4webapi"

export const Claims = Schema.Struct({ sub: Schema.String, visits: Schema.FiniteFromString })

export class CurrentUser extends Context.Service<CurrentUser, VerifiedJwt<typeof Claims.Type>>()("test/CurrentUser") {}

export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "test/Authorization",
  BearerApi.definition,
) {}

/** An error of the application's own, with a status that we answer with, too. */
class NotYours extends Schema.TaggedError<NotYours>()("NotYours", { id: Schema.String }, { httpApiStatus: 403 }) {}

const Orders = HttpApiGroup.make("orders")
  .add(
    HttpApiEndpoint.get("mine", "/orders/mine", { success: Schema.Struct({ sub: Schema.String, visits: Schema.Int }) }),
  )
  .add(
    HttpApiEndpoint.get("one", "/orders/:id", {
      params: { id: Schema.String },
      success: Schema.String,
      error: NotYours,
    }),
  )
  .add(
    HttpApiEndpoint.post("place", "/orders", { success: Schema.String }).pipe(BearerApi.requireScopes("orders:write")),
  )
  .middleware(Authorization)

const Public = HttpApiGroup.make("public").add(HttpApiEndpoint.get("hello", "/hello", { success: Schema.String }))

export const Api = HttpApi.make("orders-api").add(Orders).add(Public)

const OrdersLive = HttpApiBuilder.group(Api, "orders", (handlers) =>
  handlers
    .handle("mine", () => Effect.map(CurrentUser, ({ claims }) => claims))
    .handle("one", ({ params: { id } }) => Effect.fail(new NotYours({ id })))
    .handle("place", () => Effect.map(CurrentUser, ({ claims }) => `placed for ${claims.sub}`)),
)

const PublicLive = HttpApiBuilder.group(Api, "public", (handlers) =>
  handlers.handle("hello", () => Effect.succeed("hello")),
)

export const verify = { audience: "orders", claims: Claims } as const

/** Fixed options; `realm` has what a quoted string has to escape. */
export const auth = BearerAuth.make(CurrentUser, { tenant: "acme", verify, realm: 'the "orders" of acme' })

export const apiLayer = <E, R>(authorization: Layer.Layer<Authorization, E, R>) =>
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide([OrdersLive, PublicLive]),
    Layer.provide(authorization),
    Layer.provide(HttpServer.layerServices),
  )

/** A route that says who asks. */
export const whoRoute = HttpRouter.add(
  "GET",
  "/who",
  Effect.map(CurrentUser, ({ claims, tenant }) => HttpServerResponse.text(`${claims.sub} of ${tenant}`)),
)

/** A provider on the test's clock, and a verifier over a registry that knows it. */
export const setUp = Effect.fnUntraced(function* (options: { readonly down?: boolean } = {}) {
  yield* TestClock.setTime(Date.UTC(2026, 10, 20))
  const idp = yield* ScriptedProvider.make({ response: { cacheControl: "max-age=600" } })
  if (options.down === true) yield* idp.faults.status(503, { retryAfter: "90 seconds" })
  const context = yield* Layer.build(
    JwtVerifierLive.pipe(
      Layer.provideMerge(TestRegistry.layerNoClient()),
      Layer.provide(ScriptedProvider.layerClient(idp)),
    ),
  )
  const registry = Context.get(context, JwksRegistry)
  yield* registry.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl })
  const tokenWith = (claims: Readonly<Record<string, unknown>> = {}) =>
    idp.token({ sub: "ada", aud: "orders", visits: "3", ...claims })
  return { idp, registry, tokenWith, verifier: Layer.succeedContext(context) }
})

/** Routes, asked as a server would ask them, on the test's clock. */
export const serve = Effect.fnUntraced(function* <E>(routes: Layer.Layer<never, E, HttpRouter.HttpRouter>) {
  const router = yield* HttpRouter.make
  yield* Layer.build(routes.pipe(Layer.provide(Layer.succeed(HttpRouter.HttpRouter, router)), Layer.orDie))
  const context = yield* Effect.context<never>()
  const handler = HttpEffect.toWebHandler(router.asHttpEffect())
  const fetch = (request: Request) => handler(request, context)
  const ask = (path: string, { bearer, ...init }: RequestInit & { readonly bearer?: string } = {}) =>
    Effect.promise(() => {
      const headers = new Headers(init.headers)
      if (bearer !== undefined) headers.set("authorization", `Bearer ${bearer}`)
      return fetch(new Request(`http://orders.test${path}`, { ...init, headers }))
    })
  return { ask, fetch }
})

/** The typed client, over the same fetch. */
export const clientOf = (fetch: (request: Request) => Promise<Response>, bearer?: string) =>
  HttpApiClient.makeWith(Api, {
    baseUrl: "http://orders.test",
    httpClient: HttpClient.make((request, url) =>
      Effect.promise(() => fetch(new Request(url, { method: request.method, headers: request.headers }))).pipe(
        Effect.map((response) => HttpClientResponse.fromWeb(request, response)),
      ),
    ).pipe(
      HttpClient.mapRequest((request) =>
        bearer === undefined ? request : HttpClientRequest.bearerToken(request, bearer),
      ),
    ),
  })

/** What an OAuth client of others reads in `WWW-Authenticate`; `undefined` where it sees no challenge. */
export const challengeOf = (response: Response) =>
  Effect.promise(async () => {
    try {
      await oauth.protectedResourceRequest("t", "GET", new URL("https://orders.test/"), undefined, undefined, {
        [oauth.customFetch]: async () => response,
      })
      return undefined
    } catch (error) {
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
      const [challenge, another] = error.cause
      if (another !== undefined || challenge === undefined) throw error
      const scheme: string = challenge.scheme
      return { scheme, ...challenge.parameters }
    }
  })
