/**
 * What the compiler says of protected APIs: handlers see the typed identity, and only where the middleware is.
 */
import type { InvalidRegistration } from "@effect-jwks/core"
import { type JwtPayload, JwtVerifier, type VerifiedJwt, type VerifyError, type VerifyOptions } from "@effect-jwks/jwt"
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expectTypeOf, it } from "vitest"

const Claims = Schema.Struct({ sub: Schema.String, visits: Schema.NumberFromString })

class CurrentUser extends Context.Service<CurrentUser, VerifiedJwt<typeof Claims.Type>>()("types/CurrentUser") {}
class AnyUser extends Context.Service<AnyUser, VerifiedJwt>()("types/AnyUser") {}

class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "types/Authorization",
  BearerApi.definition,
) {}

const mine = HttpApiEndpoint.get("mine", "/mine", { success: Schema.Int })
const Api = HttpApi.make("api")
  .add(HttpApiGroup.make("mine").add(mine).middleware(Authorization))
  .add(HttpApiGroup.make("open").add(HttpApiEndpoint.get("all", "/all", { success: Schema.Int })))

const auth = BearerAuth.make(CurrentUser, { tenant: "acme", verify: { audience: "orders", claims: Claims } })

type Requirements<L extends Layer.Any> = Layer.Services<L>

describe("a handler", () => {
  it("sees what the schema makes of the claims", () => {
    const group = HttpApiBuilder.group(Api, "mine", (handlers) =>
      handlers.handle("mine", () =>
        Effect.map(CurrentUser, ({ claims }) => {
          expectTypeOf(claims).toEqualTypeOf<{ readonly sub: string; readonly visits: number }>()
          return claims.visits
        }),
      ),
    )
    expectTypeOf<Extract<Requirements<typeof group>, CurrentUser>>().toEqualTypeOf<never>()
  })

  it("may fail as the middleware does", () => {
    HttpApiBuilder.group(Api, "mine", (handlers) =>
      handlers.handle("mine", () =>
        Effect.fail(new BearerApi.InsufficientScope({ message: "not this one", scope: ["orders:write"] })),
      ),
    )
  })

  it("has no identity where the middleware is not", () => {
    const group = HttpApiBuilder.group(Api, "open", (handlers) =>
      handlers.handle("all", () => Effect.map(CurrentUser, ({ claims }) => claims.visits)),
    )
    // Nobody can satisfy this: the identity belongs to a request.
    expectTypeOf<HttpRouter.Request<"Requires", CurrentUser>>().toExtend<Requirements<typeof group>>()
  })

  it("of a route is the same", () => {
    const route = HttpRouter.add(
      "GET",
      "/me",
      Effect.map(CurrentUser, ({ claims }) => HttpServerResponse.text(claims.sub)),
    )
    expectTypeOf<HttpRouter.Request<"Requires", CurrentUser>>().toExtend<Requirements<typeof route>>()
    const guarded = route.pipe(Layer.provide(auth.routes().layer))
    expectTypeOf<Requirements<typeof guarded>>().toEqualTypeOf<HttpRouter.HttpRouter | JwtVerifier>()
  })
})

describe("make", () => {
  it("needs a verifier, and nothing of a request", () => {
    expectTypeOf(auth.layer(Authorization)).toEqualTypeOf<
      Layer.Layer<Authorization, InvalidRegistration, JwtVerifier>
    >()
    const byHeader = BearerAuth.make(CurrentUser, {
      tenant: Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-tenant"]),
      verify: { claims: Claims },
    })
    expectTypeOf(byHeader.layer(Authorization)).toEqualTypeOf<
      Layer.Layer<Authorization, InvalidRegistration, JwtVerifier>
    >()
  })

  it("needs the services that its options ask for", () => {
    class Directory extends Context.Service<Directory, { readonly tenant: string }>()("types/Directory") {}
    class Audit extends Context.Service<Audit, { readonly tell: Effect.Effect<void> }>()("types/Audit") {}
    const asking = BearerAuth.make(CurrentUser, {
      tenant: Effect.gen(function* () {
        yield* HttpRouter.params
        return (yield* Directory).tenant
      }),
      verify: { claims: Claims },
      onRefused: () => Effect.flatMap(Audit, ({ tell }) => tell),
    })
    expectTypeOf<Requirements<ReturnType<typeof asking.layer<Authorization, never>>>>().toEqualTypeOf<
      JwtVerifier | Directory | Audit
    >()
  })

  it("gives the claims as they were signed where no schema is asked", () => {
    const plain = BearerAuth.make(AnyUser, { tenant: "acme" })
    expectTypeOf(plain).toEqualTypeOf<BearerAuth.BearerAuth<AnyUser, never>>()
    expectTypeOf<AnyUser["Service"]["claims"]>().toEqualTypeOf<JwtPayload>()
  })

  it("takes no schema that makes something else than the identity has", () => {
    // @ts-expect-error visits is a number in CurrentUser
    BearerAuth.make(CurrentUser, { tenant: "acme", verify: { claims: Schema.Struct({ sub: Schema.String }) } })
    // @ts-expect-error an identity with claims of its own needs their schema
    BearerAuth.make(CurrentUser, { tenant: "acme", verify: { audience: "orders" } })
    class More extends Context.Service<More, VerifiedJwt & { readonly roles: ReadonlyArray<string> }>()("types/More") {}
    // @ts-expect-error nobody says what the roles are
    BearerAuth.make(More, { tenant: "acme" })
    // @ts-expect-error nobody says what the roles are
    BearerAuth.make(More, { tenant: "acme", verify: { claims: Claims } })
    // @ts-expect-error whose tokens are accepted is never left open
    BearerAuth.make(AnyUser, {})
  })

  it("implements no middleware of another identity", () => {
    class Other extends HttpApiMiddleware.Service<Other, { provides: AnyUser }>()(
      "types/Other",
      BearerApi.definition,
    ) {}
    // @effect-diagnostics missingEffectContext:off
    // @ts-expect-error Other provides AnyUser
    auth.layer(Other)
    // @effect-diagnostics missingEffectContext:error
  })

  it("gives its part to a middleware with another scheme or another error", () => {
    class Teapot extends Schema.TaggedError<Teapot>()("Teapot", {}, { httpApiStatus: 418 }) {}
    class Wider extends HttpApiMiddleware.Service<Wider, { provides: CurrentUser }>()("types/Wider", {
      security: BearerApi.definition.security,
      error: [...BearerApi.definition.error, Teapot],
    }) {}
    const layer = Layer.effect(
      Wider,
      Effect.map(auth.handler, (bearer) => Wider.of({ bearer })),
    )
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<Wider, InvalidRegistration, JwtVerifier>>()
  })
})

describe("scopes", () => {
  const orders = BearerApi.requireScopes("orders")

  it("leave an endpoint and a group what they are", () => {
    expectTypeOf(mine.pipe(orders, BearerApi.requireScopes("read", "write"))).toEqualTypeOf<typeof mine>()
    const group = HttpApiGroup.make("mine").add(mine).middleware(Authorization)
    expectTypeOf(group.pipe(orders)).toEqualTypeOf<typeof group>()
    expectTypeOf(orders(HttpApiGroup.make("none"))).toEqualTypeOf<HttpApiGroup.HttpApiGroup<"none">>()
    class Mine extends HttpApiGroup.make("mine").add(mine) {}
    expectTypeOf(Mine.pipe(orders).endpoints.mine).toEqualTypeOf<typeof mine>()
  })

  it("are for endpoints and groups alone, and at least one", () => {
    // @ts-expect-error an API's annotations reach no middleware
    Api.pipe(orders)
    class ApiClass extends HttpApi.make("class").add(HttpApiGroup.make("mine").add(mine)) {}
    // @ts-expect-error nor do those of a class
    orders(ApiClass)
    // @ts-expect-error they are no annotations, which could replace others
    mine.annotateMerge(orders)
    // @ts-expect-error no scope is no requirement
    BearerApi.requireScopes()
  })
})

describe("a typed client", () => {
  it("knows every refusal", () => {
    type MiddlewareErrors = HttpApiMiddleware.Error<Authorization>
    expectTypeOf<MiddlewareErrors>().toEqualTypeOf<BearerApi.BearerAnswer>()
    expectTypeOf<MiddlewareErrors["_tag"]>().toEqualTypeOf<
      "MalformedCredentials" | "Unauthenticated" | "InsufficientScope" | "KeysUnavailable"
    >()
  })
})

describe("a verification", () => {
  const Visits = Schema.Struct({ visits: Schema.NumberFromString })
  const options = { audience: "orders", claims: Visits }

  it("is typed by the schema, and by both where the caller does not know whether there is one", () => {
    expectTypeOf(JwtVerifier.verify("acme", "token", options)).toEqualTypeOf<
      Effect.Effect<VerifiedJwt<{ readonly visits: number }>, VerifyError, JwtVerifier>
    >()
    expectTypeOf(JwtVerifier.verify("acme", "token", { audience: "orders" })).toEqualTypeOf<
      Effect.Effect<VerifiedJwt, VerifyError, JwtVerifier>
    >()
    const either = (known: typeof options | VerifyOptions) => JwtVerifier.verify("acme", "token", known)
    expectTypeOf(either).returns.toEqualTypeOf<
      Effect.Effect<VerifiedJwt<{ readonly visits: number } | JwtPayload>, VerifyError, JwtVerifier>
    >()
  })

  it("is what a helper makes of a schema that may be there", () => {
    const helper = <S extends Schema.Constraint>(given: { readonly audience: string; readonly claims?: S }) =>
      JwtVerifier.verify("acme", "token", given)
    expectTypeOf(helper(options)).toEqualTypeOf<
      Effect.Effect<VerifiedJwt<{ readonly visits: number } | JwtPayload>, VerifyError, JwtVerifier>
    >()
    expectTypeOf<ReturnType<typeof JwtVerifier.verify>>().toEqualTypeOf<
      Effect.Effect<VerifiedJwt, VerifyError, JwtVerifier>
    >()
  })

  it("hides no schema in options that have none", () => {
    // @ts-expect-error nobody would expect what it decodes, or provide what it needs
    const hidden: VerifyOptions = options
    expectTypeOf(hidden).toEqualTypeOf<VerifyOptions>()
  })
})
