/**
 * A protected API and a protected route: who gets through, with which identity, and what the others are told.
 */
import { assert, describe, it } from "@effect/vitest"
import { type BearerError, JwtInvalid, type VerifiedJwt } from "@effect-jwks/jwt"
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import {
  Api,
  apiLayer,
  auth,
  Authorization,
  challengeOf,
  Claims,
  clientOf,
  CurrentUser,
  serve,
  setUp,
  verify,
  whoRoute,
} from "./support/orders.ts"

const realm = 'the "orders" of acme'

/** The API and the route, over one provider. */
const open = Effect.fnUntraced(function* (options?: { readonly down?: boolean }) {
  const world = yield* setUp(options)
  const routes = Layer.mergeAll(
    apiLayer(auth.layer(Authorization)),
    whoRoute.pipe(Layer.provide(auth.routes().layer)),
    HttpRouter.add(
      "GET",
      "/read",
      Effect.map(CurrentUser, () => HttpServerResponse.text("read")),
    ).pipe(Layer.provide(auth.routes({ scopes: ["orders:read", "orders:audit"] }).layer)),
  )
  return { ...world, ...(yield* serve(routes.pipe(Layer.provide(world.verifier)))) }
})

/** The places that answer alike: an endpoint of the API, and a route. */
const places = ["/orders/mine", "/who"]

const body = (response: Response) => Effect.promise(async () => JSON.parse(await response.text()) as unknown)

describe("a token that is accepted", () => {
  it.effect("gives the endpoint the identity that the schema makes of it", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const response = yield* ask("/orders/mine", { bearer: yield* tokenWith() })
      assert.strictEqual(response.status, 200)
      assert.deepStrictEqual(yield* body(response), { sub: "ada", visits: 3 })
    }),
  )

  it.effect("gives a route the same identity", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const response = yield* ask("/who", { bearer: yield* tokenWith() })
      assert.strictEqual(yield* Effect.promise(() => response.text()), "ada of acme")
    }),
  )

  it.effect("may be asked for with HEAD, and the scheme written in any case", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const authorization = `bEaReR  ${yield* tokenWith()}`
      for (const path of places) {
        const response = yield* ask(path, { method: "HEAD", headers: { authorization } })
        assert.strictEqual(response.status, 200, path)
        assert.strictEqual(yield* Effect.promise(() => response.text()), "")
      }
    }),
  )

  it.effect("leaves an error of the handler as it is", () =>
    Effect.gen(function* () {
      const { fetch, tokenWith } = yield* open()
      const client = yield* clientOf(fetch, yield* tokenWith())
      const error = yield* Effect.flip(client.orders.one({ params: { id: "7" } }))
      assert.strictEqual(error._tag, "NotYours")
    }),
  )

  it.effect("is not asked for where the API is public", () =>
    Effect.gen(function* () {
      const { ask } = yield* open()
      assert.strictEqual((yield* ask("/hello")).status, 200)
    }),
  )
})

describe("a request without a token", () => {
  it.effect("is challenged without an error code", () =>
    Effect.gen(function* () {
      const { ask } = yield* open()
      for (const path of places) {
        for (const headers of [{}, { authorization: "Basic YWRhOg==" }, { cookie: "access_token=a.b.c" }]) {
          const response = yield* ask(path, { headers })
          assert.strictEqual(response.status, 401)
          assert.deepStrictEqual(yield* challengeOf(response.clone()), { scheme: "bearer", realm })
          assert.strictEqual(response.headers.get("cache-control"), "no-store")
          assert.deepStrictEqual(yield* body(response), {
            _tag: "Unauthenticated",
            message: "no bearer token was sent",
          })
        }
      }
    }),
  )

  it.effect("is not helped by a token in the query, in a cookie or in the body", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open()
      const token = yield* tokenWith({ scope: "orders:write" })
      const asked = idp.requests
      const byQuery = yield* ask(`/who?access_token=${token}`)
      const byCookie = yield* ask("/who", { headers: { cookie: `access_token=${token}; authorization=${token}` } })
      const byBody = yield* ask("/orders", {
        method: "POST",
        body: `access_token=${token}`,
        headers: { "content-type": "application/x-www-form-urlencoded" },
      })
      assert.deepStrictEqual([byQuery.status, byCookie.status, byBody.status], [401, 401, 401])
      assert.strictEqual(idp.requests, asked)
    }),
  )
})

describe("a malformed header", () => {
  const malformed = [
    "Bearer",
    "Bearer ",
    "Bearer a.b.c d.e.f",
    "Bearer a.b.c, Bearer d.e.f",
    'Bearer token="a.b.c"',
    "Bearer a\u00e4.b.c",
  ]

  it.effect("is a bad request", () =>
    Effect.gen(function* () {
      const { ask } = yield* open()
      for (const path of places) {
        for (const authorization of malformed) {
          const response = yield* ask(path, { headers: { authorization } })
          assert.strictEqual(response.status, 400, authorization)
          assert.deepStrictEqual(yield* challengeOf(response.clone()), {
            scheme: "bearer",
            realm,
            error: "invalid_request",
            error_description: "the Authorization header does not hold one bearer token",
          })
          assert.strictEqual(response.headers.get("cache-control"), "no-store")
          assert.deepInclude(yield* body(response), { _tag: "MalformedCredentials" })
        }
      }
    }),
  )

  it.effect("is one where the client appends a second", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const token = yield* tokenWith()
      const headers = new Headers({ authorization: `Bearer ${token}` })
      headers.append("authorization", `Bearer ${token}`)
      assert.strictEqual((yield* ask("/who", { headers })).status, 400)
    }),
  )
})

describe("a token that is not accepted", () => {
  it.effect("is challenged with the kind of the reason, and with nothing that it holds", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const other = yield* ScriptedProvider.make({ issuer: "https://mallory.test" })
      const tokens: ReadonlyArray<readonly [string, string]> = [
        ["a.b.c", "the token is malformed"],
        [yield* tokenWith({ exp: 1_000 }), "the token has expired"],
        [yield* tokenWith({ aud: "secret-audience" }), "the token is for another audience"],
        [yield* tokenWith({ visits: "secret-visits" }), "the claims of the token are not accepted"],
        [yield* other.token({ sub: "ada", aud: "orders" }), "the issuer of the token is not trusted here"],
      ]
      for (const path of places) {
        for (const [bearer, error_description] of tokens) {
          const response = yield* ask(path, { bearer })
          assert.strictEqual(response.status, 401)
          const written = `${response.headers.get("www-authenticate")} ${yield* Effect.promise(() => response.clone().text())}`
          assert.notMatch(written, /secret|mallory|acme\.|idp\.test/)
          for (const part of bearer.split(".").filter(({ length }) => length > 1)) assert.notInclude(written, part)
          assert.deepStrictEqual(yield* challengeOf(response.clone()), {
            scheme: "bearer",
            realm,
            error: "invalid_token",
            error_description,
          })
          assert.deepStrictEqual(yield* body(response), {
            _tag: "Unauthenticated",
            message: error_description,
            error: "invalid_token",
          })
        }
      }
    }),
  )

  it.effect("is told in full to the hook, and by its tag on the span", () =>
    Effect.gen(function* () {
      const { tokenWith, verifier } = yield* setUp()
      const heard: Array<BearerError> = []
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        },
      })
      const heeded = BearerAuth.make(CurrentUser, {
        tenant: "acme",
        verify,
        onRefused: (error) => Effect.sync(() => heard.push(error)),
      })
      const { ask } = yield* serve(whoRoute.pipe(Layer.provide(heeded.routes().layer), Layer.provide(verifier))).pipe(
        Effect.provideService(Tracer.Tracer, tracer),
      )
      yield* ask("/who")
      yield* ask("/who", { bearer: yield* tokenWith({ exp: 1_000 }) })
      yield* ask("/who", { bearer: yield* tokenWith() })
      const [missing, expired, another] = heard
      assert.strictEqual(missing?._tag, "BearerMissing")
      assert.isTrue(expired instanceof JwtInvalid && expired.reason._tag === "Expired")
      assert.isUndefined(another)
      assert.deepStrictEqual(
        spans.filter(({ kind }) => kind === "server").map(({ attributes }) => attributes.get("jwt.refused")),
        ["BearerMissing", "Expired", undefined],
      )
    }),
  )
})

describe("scopes", () => {
  const forbidden = (scope: string) => ({
    scheme: "bearer",
    realm,
    scope,
    error: "insufficient_scope",
    error_description: "the token does not give the scope that is needed",
  })

  it.effect("that are missing are named with 403", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const bearer = yield* tokenWith({ scope: "orders:read" })
      const placed = yield* ask("/orders", { method: "POST", bearer })
      assert.strictEqual(placed.status, 403)
      assert.deepStrictEqual(yield* challengeOf(placed.clone()), forbidden("orders:write"))
      assert.deepInclude(yield* body(placed), { _tag: "InsufficientScope", scope: ["orders:write"] })
      const read = yield* ask("/read", { bearer })
      assert.strictEqual(read.status, 403)
      assert.deepStrictEqual(yield* challengeOf(read), forbidden("orders:read orders:audit"))
    }),
  )

  it.effect("are found in every form that issuers write", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const forms: ReadonlyArray<readonly [Record<string, unknown>, number]> = [
        [{ scope: "orders:read orders:write" }, 200],
        [{ scope: ["orders:write"] }, 200],
        [{ scp: "openid orders:write" }, 200],
        [{ scp: ["orders:write"] }, 200],
        [{ scp: [["orders:write"]] }, 403],
        [{ scope: "orders:writer ORDERS:WRITE" }, 403],
        [{ scope: { "orders:write": true } }, 403],
        [{ roles: ["orders:write"] }, 403],
        [{}, 403],
      ]
      for (const [claims, status] of forms) {
        const response = yield* ask("/orders", { method: "POST", bearer: yield* tokenWith(claims) })
        assert.strictEqual(response.status, status, JSON.stringify(claims))
      }
    }),
  )

  it.effect("are not looked at for a token that is not accepted", () =>
    Effect.gen(function* () {
      const { ask, tokenWith } = yield* open()
      const bearer = yield* tokenWith({ exp: 1_000 })
      assert.strictEqual((yield* ask("/orders", { method: "POST", bearer })).status, 401)
    }),
  )
})

describe("an outage", () => {
  it.effect("before the first keys is 503 with a time to come back, and ends by itself", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open({ down: true })
      const bearer = yield* tokenWith()
      for (const path of places) {
        const response = yield* ask(path, { bearer })
        assert.strictEqual(response.status, 503)
        assert.isNull(response.headers.get("www-authenticate"))
        assert.strictEqual(response.headers.get("cache-control"), "no-store")
        const retryAfter = Number(response.headers.get("retry-after"))
        assert.isTrue(Number.isInteger(retryAfter) && retryAfter >= 85 && retryAfter <= 95, String(retryAfter))
        assert.deepInclude(yield* body(response), { _tag: "KeysUnavailable", retryAfter })
      }
      yield* idp.faults.heal
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* ask("/who", { bearer })).status, 200)
    }),
  )

  it.effect("says nothing of a token that is wrong in itself", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open()
      const bearer = yield* tokenWith({ exp: 1_000 })
      yield* idp.faults.status(503)
      assert.strictEqual((yield* ask("/who", { bearer })).status, 401)
    }),
  )

  it.effect("goes unnoticed while the set may be served stale, and by nobody after that", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open()
      const bearer = yield* tokenWith({ exp: Date.UTC(2027, 1, 1) / 1_000 })
      assert.strictEqual((yield* ask("/who", { bearer })).status, 200)
      yield* idp.faults.status(503)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* ask("/who", { bearer })).status, 200)
      yield* TestClock.adjust("2 hours")
      // A flight may be under way, with its retries ahead of it.
      const asked = yield* Effect.forkChild(ask("/who", { bearer }), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(asked)).status, 503)
    }),
  )

  it.effect("hides whether a new key is right, but not a key that was seen", () =>
    Effect.gen(function* () {
      const { ask, idp, tokenWith } = yield* open()
      const before = yield* tokenWith()
      assert.strictEqual((yield* ask("/who", { bearer: before })).status, 200)
      yield* idp.keys.rotate()
      const after = yield* tokenWith()
      yield* idp.faults.status(503)
      const response = yield* ask("/who", { bearer: after })
      assert.strictEqual(response.status, 503)
      assert.isTrue(Number(response.headers.get("retry-after")) >= 1)
      assert.strictEqual((yield* ask("/who", { bearer: before })).status, 200)
      yield* idp.faults.heal
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ask("/who", { bearer: after })).status, 200)
    }),
  )
})

describe("the tenant", () => {
  const twoTenants = Effect.fnUntraced(function* (tenant: BearerAuth.TenantOf) {
    const world = yield* setUp()
    const other = yield* ScriptedProvider.make({ issuer: "https://idp.globex.test" })
    yield* world.registry.register({ tenant: "globex", provider: "idp", issuer: other.issuer, jwksUrl: other.jwksUrl })
    return { ...world, ofTenant: BearerAuth.make(CurrentUser, { tenant, verify }) }
  })

  it.effect("may be named by the path, and no other tenant's token gets in", () =>
    Effect.gen(function* () {
      const { ofTenant, tokenWith, verifier } = yield* twoTenants((_, { tenant }) => tenant)
      const route = HttpRouter.add(
        "GET",
        "/:tenant/who",
        Effect.map(CurrentUser, ({ claims, tenant }) => HttpServerResponse.text(`${claims.sub} of ${tenant}`)),
      )
      const { ask } = yield* serve(route.pipe(Layer.provide(ofTenant.routes().layer), Layer.provide(verifier)))
      const bearer = yield* tokenWith()
      assert.strictEqual((yield* ask("/acme/who", { bearer })).status, 200)
      assert.strictEqual((yield* ask("/globex/who", { bearer })).status, 401)
      assert.strictEqual((yield* ask("/nobody/who", { bearer })).status, 401)
    }),
  )

  it.effect("may be named by a header, and without it nobody gets in", () =>
    Effect.gen(function* () {
      const { ofTenant, tokenWith, verifier } = yield* twoTenants(({ headers }) => headers["x-tenant"])
      const { ask } = yield* serve(apiLayer(ofTenant.layer(Authorization)).pipe(Layer.provide(verifier)))
      const bearer = yield* tokenWith()
      assert.strictEqual((yield* ask("/orders/mine", { bearer, headers: { "x-tenant": "acme" } })).status, 200)
      assert.strictEqual((yield* ask("/orders/mine", { bearer })).status, 401)
    }),
  )

  it.effect("may be looked up in a service of the application, as what is asked of the token may", () =>
    Effect.gen(function* () {
      class Directory extends Context.Service<Directory, { readonly tenantAt: (host: string) => string }>()(
        "test/Directory",
      ) {}
      const { tokenWith, verifier } = yield* setUp()
      const byHost = BearerAuth.make(CurrentUser, {
        tenant: Effect.gen(function* () {
          const { headers } = yield* HttpServerRequest.HttpServerRequest
          return (yield* Directory).tenantAt(headers["host"] ?? "")
        }),
        verify: Effect.map(Directory, () => verify),
      })
      const { ask } = yield* serve(
        whoRoute.pipe(
          Layer.provide(byHost.routes().layer),
          Layer.provide(verifier),
          Layer.provide(Layer.succeed(Directory, { tenantAt: (host) => host.replace(".orders.test", "") })),
        ),
      )
      const bearer = yield* tokenWith()
      assert.strictEqual((yield* ask("/who", { bearer, headers: { host: "acme.orders.test" } })).status, 200)
      assert.strictEqual((yield* ask("/who", { bearer, headers: { host: "globex.orders.test" } })).status, 401)
    }),
  )

  it.effect("that shares its provider with another is told apart by a claim", () =>
    Effect.gen(function* () {
      const { idp, registry, tokenWith, verifier } = yield* setUp()
      yield* registry.register({ tenant: "globex", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl })
      const claimsIn = (tenant: string) => Schema.Struct({ ...Claims.fields, org_id: Schema.Literal(tenant) })
      const members = BearerAuth.make(CurrentUser, {
        tenant: (_, { tenant }) => tenant,
        verify: Effect.map(HttpRouter.RouteContext, ({ params: { tenant = "" } }) => ({
          audience: "orders",
          claims: claimsIn(tenant),
        })),
      })
      const route = HttpRouter.add("GET", "/:tenant", Effect.as(CurrentUser, HttpServerResponse.text("in")))
      const { ask } = yield* serve(route.pipe(Layer.provide(members.routes().layer), Layer.provide(verifier)))
      const bearer = yield* tokenWith({ org_id: "acme" })
      assert.strictEqual((yield* ask("/acme", { bearer })).status, 200)
      assert.strictEqual((yield* ask("/globex", { bearer })).status, 401)
    }),
  )
})

describe("a schema that asks a service", () => {
  it.effect("finds it where the layer was built", () =>
    Effect.gen(function* () {
      class Names extends Context.Service<Names, { readonly of: (sub: string) => string }>()("test/Names") {}
      const Named = Schema.Struct({
        sub: Schema.String.pipe(
          Schema.decodeTo(
            Schema.String,
            SchemaTransformation.transformEffect({
              decode: (sub) => Effect.map(Names, (names) => names.of(sub)),
              encode: Effect.succeed,
            }),
          ),
        ),
      })
      class NamedUser extends Context.Service<NamedUser, VerifiedJwt<typeof Named.Type>>()("test/NamedUser") {}
      const named = BearerAuth.make(NamedUser, { tenant: "acme", verify: { audience: "orders", claims: Named } })
      const { tokenWith, verifier } = yield* setUp()
      const { ask } = yield* serve(
        HttpRouter.add(
          "GET",
          "/name",
          Effect.map(NamedUser, ({ claims }) => HttpServerResponse.text(claims.sub)),
        ).pipe(
          Layer.provide(named.routes().layer),
          Layer.provide(verifier),
          Layer.provide(Layer.succeed(Names, { of: (sub) => `the name of ${sub}` })),
        ),
      )
      const response = yield* ask("/name", { bearer: yield* tokenWith() })
      assert.strictEqual(yield* Effect.promise(() => response.text()), "the name of ada")
    }),
  )
})

describe("a browser on another origin", () => {
  const origin = "https://shop.test"

  it.effect("may ask before it has a token, and may read why it is refused", () =>
    Effect.gen(function* () {
      const { tokenWith, verifier } = yield* setUp()
      const cors = HttpRouter.cors({
        allowedOrigins: [origin],
        allowedHeaders: ["authorization"],
        exposedHeaders: ["www-authenticate", "retry-after"],
      })
      const { ask } = yield* serve(Layer.merge(apiLayer(auth.layer(Authorization)), cors).pipe(Layer.provide(verifier)))
      const preflight = yield* ask("/orders/mine", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "GET", "access-control-request-headers": "authorization" },
      })
      assert.strictEqual(preflight.status, 204)
      assert.strictEqual(preflight.headers.get("access-control-allow-headers"), "authorization")
      const refused = yield* ask("/orders/mine", { headers: { origin } })
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(refused.headers.get("access-control-allow-origin"), origin)
      const accepted = yield* ask("/orders/mine", { headers: { origin }, bearer: yield* tokenWith() })
      assert.strictEqual(accepted.status, 200)
    }),
  )
})

describe("the typed client", () => {
  it.effect("gets each refusal as an error of its own", () =>
    Effect.gen(function* () {
      const { fetch, idp, tokenWith } = yield* open()
      const stranger = yield* clientOf(fetch)
      const missing = yield* Effect.flip(stranger.orders.mine())
      assert.isTrue(missing instanceof BearerApi.Unauthenticated)
      assert.isTrue(missing._tag === "Unauthenticated" && missing.error === undefined)

      const late = yield* clientOf(fetch, yield* tokenWith({ exp: 1_000 }))
      const expired = yield* Effect.flip(late.orders.mine())
      assert.isTrue(expired._tag === "Unauthenticated" && expired.error === "invalid_token")
      assert.isTrue(expired._tag === "Unauthenticated" && expired.challenge?.startsWith("Bearer realm="))

      const clumsy = yield* clientOf(fetch, "two tokens")
      assert.strictEqual((yield* Effect.flip(clumsy.orders.mine()))._tag, "MalformedCredentials")

      const reader = yield* clientOf(fetch, yield* tokenWith({ scope: "orders:read" }))
      const forbidden = yield* Effect.flip(reader.orders.place())
      assert.deepStrictEqual(forbidden._tag === "InsufficientScope" && forbidden.scope, ["orders:write"])

      yield* idp.keys.rotate()
      yield* idp.faults.status(503, { retryAfter: "20 seconds" })
      const early = yield* clientOf(fetch, yield* tokenWith())
      const unavailable = yield* Effect.flip(early.orders.mine())
      assert.isTrue(unavailable._tag === "KeysUnavailable" && unavailable.retryAfter >= 1)
    }),
  )

  it.effect("gets them without the headers that a browser may not see", () =>
    Effect.gen(function* () {
      const { fetch } = yield* open()
      const client = yield* clientOf(async (request) => {
        const response = await fetch(request)
        const headers = new Headers({ "content-type": response.headers.get("content-type") ?? "" })
        return new Response(response.body, { status: response.status, headers })
      })
      const error = yield* Effect.flip(client.orders.mine())
      assert.isTrue(error._tag === "Unauthenticated" && error.challenge === undefined)
    }),
  )
})

describe("the OpenAPI document", () => {
  const { components, paths } = OpenApi.fromApi(Api)

  it("has the scheme, and the scopes of an operation", () => {
    assert.deepStrictEqual(components.securitySchemes, {
      bearer: { type: "http", scheme: "Bearer", bearerFormat: "JWT" },
    })
    assert.deepStrictEqual(paths["/orders/mine"]?.get?.security, [{ bearer: [] }])
    assert.deepStrictEqual(paths["/orders"]?.post?.security, [{ bearer: ["orders:write"] }])
    assert.deepStrictEqual(paths["/hello"]?.get?.security, [])
  })

  it("has every refusal with its headers", () => {
    const responses = paths["/orders/mine"]?.get?.responses
    const headersOf = (status: number) => Object.keys(responses?.[status]?.headers ?? {})
    assert.hasAllKeys(responses, ["200", "400", "401", "403", "503"])
    for (const status of [400, 401, 403]) assert.include(headersOf(status), "www-authenticate")
    assert.include(headersOf(503), "retry-after")
    assert.containsAllKeys(components.schemas, [
      "MalformedCredentials",
      "Unauthenticated",
      "InsufficientScope",
      "KeysUnavailable",
    ])
    assert.deepStrictEqual(Object.keys(paths["/hello"]?.get?.responses ?? {}), ["200"])
  })
})

it.effect("options may be an object of a class, which has them as getters", () =>
  Effect.gen(function* () {
    class Options {
      readonly claims = Claims
      get audience() {
        return "orders"
      }
      get requiredClaims() {
        return ["scope"]
      }
    }
    const { tokenWith, verifier } = yield* setUp()
    const { routes } = BearerAuth.make(CurrentUser, { tenant: "acme", verify: new Options() })
    const { ask } = yield* serve(whoRoute.pipe(Layer.provide(routes().layer), Layer.provide(verifier)))
    assert.strictEqual((yield* ask("/who", { bearer: yield* tokenWith({ scope: "read" }) })).status, 200)
    assert.strictEqual((yield* ask("/who", { bearer: yield* tokenWith() })).status, 401)
  }),
)

describe("wrong options", () => {
  it.effect("that are fixed end the layer with what is wrong", () =>
    Effect.gen(function* () {
      const { verifier } = yield* setUp()
      const wrong = BearerAuth.make(CurrentUser, {
        tenant: "acme",
        verify: { audience: "", claims: Claims, issuer: "https://idp.test" },
      })
      const error = yield* Effect.flip(Layer.build(wrong.layer(Authorization).pipe(Layer.provide(verifier))))
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["audience"],
      )
    }),
  )

  const wrongOptions: ReadonlyArray<readonly [options: unknown, field: string]> = [
    [{ maxTokenLength: 1_000 }, "maxTokenLength"],
    [{ provider: 7, claims: Claims }, "provider"],
    [{ issuer: 5, claims: Claims }, "issuer"],
    [{ claims: { sub: "text" } }, "claims"],
    [{ profile: "at+jwt", typ: "JWT", claims: Claims }, "typ"],
    [null, ""],
  ]
  for (const [options, field] of wrongOptions) {
    it.effect(`of callers without types do, too: ${JSON.stringify(Object.keys(options ?? {}))}`, () =>
      Effect.gen(function* () {
        const { verifier } = yield* setUp()
        const wrong = BearerAuth.make(CurrentUser, { tenant: "acme", verify: untyped(options) })
        const error = yield* Effect.flip(Layer.build(Layer.provide(wrong.layer(Authorization), verifier)))
        const ofRoutes = yield* Effect.flip(Layer.build(Layer.provide(wrong.routes().layer, verifier)))
        for (const { issues } of [error, ofRoutes]) {
          assert.deepStrictEqual(
            issues.map((issue) => issue.field),
            [field],
          )
        }
      }),
    )
  }

  for (const scope of ["", "two words", 'quoted"', "back\\slash", "ümlaut", "line\n"]) {
    it.effect(`a scope that no token can have: ${JSON.stringify(scope)}`, () =>
      Effect.gen(function* () {
        const { verifier } = yield* setUp()
        const { layer } = auth.routes({ scopes: ["orders:read", scope] })
        const error = yield* Effect.flip(Layer.build(Layer.provide(layer, verifier)))
        assert.deepStrictEqual(
          error.issues.map(({ field }) => field),
          ["scopes[1]"],
        )
        const endpoint = HttpApiEndpoint.get("orders", "/orders")
        assert.throws(() => BearerApi.requireScopes("orders:read", scope)(endpoint), TypeError, "scopes[1]")
      }),
    )
  }
})

/** What callers without types may write. */
const untyped = (options: unknown) => options as { readonly claims: typeof Claims }
