/**
 * What server and clients share: the definition. It loads no verifier.
 */
import type { VerifiedJwt } from "@effect-jwks/jwt"
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import * as Context from "effect/Context"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Schema from "effect/Schema"

/** What our tokens say. */
export const Claims = Schema.Struct({ sub: Schema.String, email: Schema.String })

/** Who asks. */
export class CurrentUser extends Context.Service<CurrentUser, VerifiedJwt<typeof Claims.Type>>()("shop/CurrentUser") {}

/** Lets those through who bear a token, and provides who they are. */
export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "shop/Authorization",
  BearerApi.definition,
) {}

const Catalogue = HttpApiGroup.make("catalogue").add(
  HttpApiEndpoint.get("items", "/items", { success: Schema.Array(Schema.String) }),
)

const Orders = HttpApiGroup.make("orders")
  .add(HttpApiEndpoint.get("mine", "/:tenant/orders", { params: { tenant: Schema.String }, success: Schema.String }))
  .add(
    HttpApiEndpoint.post("place", "/:tenant/orders", {
      params: { tenant: Schema.String },
      success: Schema.String,
    }).pipe(BearerApi.requireScopes("orders:write")),
  )
  .middleware(Authorization)

/** The shop: a catalogue for everybody, and orders for those who have signed in at their tenant. */
export class ShopApi extends HttpApi.make("shop").add(Catalogue).add(Orders) {}
