/**
 * The shop's routes: the API, and one more route of the router behind the same guard.
 */
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Authorization, Claims, CurrentUser, ShopApi } from "./api.ts"

/** One guard for all: the path says whose providers' tokens are accepted. */
const auth = BearerAuth.make(CurrentUser, {
  realm: "shop",
  tenant: (_request, { tenant }) => tenant,
  verify: { audience: "shop", claims: Claims },
})

const CatalogueLive = HttpApiBuilder.group(ShopApi, "catalogue", (handlers) =>
  handlers.handle("items", () => Effect.succeed(["tea", "cups"])),
)

const OrdersLive = HttpApiBuilder.group(ShopApi, "orders", (handlers) =>
  handlers
    .handle("mine", () => Effect.map(CurrentUser, ({ claims, tenant }) => `${claims.email} of ${tenant}: no orders`))
    .handle("place", () => Effect.map(CurrentUser, ({ claims }) => `placed for ${claims.sub}`)),
)

const Api = HttpApiBuilder.layer(ShopApi, { openapiPath: "/openapi.json" }).pipe(
  Layer.provide([CatalogueLive, OrdersLive]),
  Layer.provide(auth.layer(Authorization)),
)

const Receipt = HttpRouter.add(
  "GET",
  "/:tenant/receipt.txt",
  Effect.map(CurrentUser, ({ claims }) => HttpServerResponse.text(`a receipt for ${claims.email}`)),
).pipe(Layer.provide(auth.routes().layer))

/** Needs a router and a `JwtVerifier`. */
export const ShopRoutes = Layer.merge(Api, Receipt)
