/**
 * The protected API that both servers serve: everything but who guards it.
 */
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import { NodeHttpServer } from "@effect/platform-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

/** A tenant's provider, as it is told to a server. */
export interface Idp {
  readonly tenant: string
  readonly issuer: string
  readonly jwksUrl: string
}

export const audience = "orders"

/** What every token says, and the schema that it is decoded with. */
export const Claims = Schema.Struct({
  sub: Schema.String,
  email: Schema.String,
  role: Schema.Literals(["buyer", "clerk"]),
})

export class CurrentUser extends Context.Service<
  CurrentUser,
  { readonly tenant: string; readonly claims: typeof Claims.Type }
>()("routes/CurrentUser") {}

export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "routes/Authorization",
  BearerApi.definition,
) {}

const Api = HttpApi.make("orders").add(
  HttpApiGroup.make("orders")
    .add(
      HttpApiEndpoint.get("me", "/:tenant/me", {
        params: { tenant: Schema.String },
        success: Schema.Struct({ tenant: Schema.String, sub: Schema.String }),
      }),
    )
    .middleware(Authorization),
)

const OrdersLive = HttpApiBuilder.group(Api, "orders", (handlers) =>
  handlers.handle("me", () => Effect.map(CurrentUser, ({ claims: { sub }, tenant }) => ({ tenant, sub }))),
)

/** The API on a free port of 127.0.0.1, behind a guard. */
export const serverWith = <E>(guard: Layer.Layer<Authorization, E>) =>
  HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(OrdersLive), Layer.provide(guard)), {
    disableLogger: true,
    disableListenLog: true,
  }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn")),
  )
